"""Print the man page factory(1) from the table of commands and their help.

    ./dev python scripts/man.py > packaging/share/man/man1/factory.1

Rule: the page says nothing that `factory --help` and `factory COMMAND --help` do not say; a test
compares the two.
"""

from __future__ import annotations

import importlib
import sys

from factory.commands.command_table import GROUPS, PURPOSE
from factory.commands.options import COMMON_HELP
from factory.version import __version__

_EXIT_CODES = (
    ("0", "PASS"),
    ("2", "BLOCKED: a contract, a check or the host refuses it; every refusal says what to do"),
    ("1", "FAIL: a defect of this program"),
    ("64", "wrong usage"),
    ("130", "interrupted"),
)
_FILES = (
    ("factory.toml", "settings of a repository; `factory config` shows what is in force"),
    ("taskpacks/*/task.yml", "what a pack may read and change, and the steps that do it"),
    ("taskpacks/*/acceptance.yml", "the commands that decide whether the result is accepted"),
    (".factory/", "state, runs and evidence; never part of a commit"),
    ("~/.config/codex-orchestrator/", "your own settings and grants"),
)


def page() -> str:
    """Return the whole page."""
    lines = [
        f'.TH FACTORY 1 "" "codex-orchestrator {__version__}" "User Commands"',
        ".SH NAME",
        rf"factory \- {_text(PURPOSE[0].lower() + PURPOSE[1:].rstrip('.'))}",
        ".SH SYNOPSIS",
        r".B factory",
        r"\fICOMMAND\fR [\fIOPTION\fR...]",
        ".SH COMMANDS",
    ]
    for title, commands in GROUPS:
        lines.append(f".SS {title}")
        for command in commands:
            lines += [".TP", rf"\fB{_text(command.name)}\fR", _text(command.line)]
    for _, commands in GROUPS:
        for command in commands:
            module = importlib.import_module(f"factory.commands.{command.module}")
            text = module.HELP[command.name].rstrip("\n")
            lines += [f'.SH "FACTORY {_text(command.name.upper())}"', ".nf", *_lines(text), ".fi"]
    lines += [".SH OPTIONS OF EVERY COMMAND", ".nf", *_lines(COMMON_HELP.rstrip("\n")), ".fi"]
    for title, rows in (("EXIT STATUS", _EXIT_CODES), ("FILES", _FILES)):
        lines.append(f".SH {title}")
        for name, meaning in rows:
            lines += [".TP", rf"\fB{_text(name)}\fR", _text(meaning)]
    lines += [".SH SEE ALSO", r"\fBdoit\fR(1), \fBgit\fR(1)"]
    return "\n".join(lines) + "\n"


def _lines(text: str) -> list[str]:
    return [_text(line) for line in text.split("\n")]


def _text(line: str) -> str:
    r"""Return a line that roff reads as text: no request, no escape, hyphens that can be copied."""
    text = line.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{text}" if text[:1] in (".", "'") else text


if __name__ == "__main__":
    sys.stdout.write(page())
