"""Run the command line: find the command, and turn how it ended into an exit code.

Rule: the one place that turns an outcome into an exit code (0 PASS, 2 BLOCKED, 1 FAIL, 64 usage,
130 interrupted). A command's module is imported when it was chosen, and only then. What goes
wrong is one line on standard error; a traceback only with FACTORY_DEBUG=1. Does not
know what any command does.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, cast

from factory.commands.command_table import COMMANDS, Subcommand, overview
from factory.model.errors import FactoryError, Interrupted, Refusal, UsageError
from factory.model.verdict import EXIT_INTERRUPTED, EXIT_USAGE, Status
from factory.report.terminal import (
    fitted,
    lost,
    own_lines,
    sanitize,
    tolerate,
    unwritten,
    write_lines,
)

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Mapping
    from pathlib import Path

    from factory.commands.options import Parser
    from factory.report.answer import CommandResult


class CommandModule(Protocol):
    """List what a command's module has; one module may have several commands, hence the names."""

    HELP: Mapping[str, str]

    def define(self, command: str, parser: Parser) -> None:
        """Add the command's own options."""

    def run(self, command: str, given: Namespace) -> CommandResult:
        """Carry it out and return the answer. Raise Refusal, UsageError, Interrupted."""


# Commands that start packs by themselves: a polite request to stop has to end what they started,
# as the engine does for all others.
_STARTS_PACKS = frozenset({"determinism", "environment", "prove", "verify"})


def main(words: Sequence[str]) -> int:
    """Carry out the command that `words` name; the exit code."""
    tolerate(sys.stdout)
    tolerate(sys.stderr)
    code = _ended(words)
    why = unwritten(sys.stdout)
    if why:
        _complain(f"factory: {lost(why)}")
    return code or (Status.BLOCKED.exit_code if why else 0)


def _ended(words: Sequence[str]) -> int:
    try:
        return _main(list(words))
    except UsageError as error:
        _complain(f"factory: {error}")
        return EXIT_USAGE
    except KeyboardInterrupt:
        _complain("interrupted: what is finished is kept; run it again to go on")
        return EXIT_INTERRUPTED


def _main(words: list[str]) -> int:
    if not words:
        write_lines(sys.stderr, own_lines(overview()))
        return EXIT_USAGE
    if words[0] == "--version":
        from factory.version import __version__

        write_lines(sys.stdout, own_lines(f"factory {__version__}"))
        return 0
    if words[0] == "help":
        words = [*words[1:2], "--help"]
    if words[0] in ("-h", "--help"):
        write_lines(sys.stdout, own_lines(overview()))
        return 0
    command = _chosen(words[0])
    module = cast("CommandModule", importlib.import_module(f"factory.commands.{command.module}"))
    return _carry_out(command, module, words[1:])


def _chosen(word: str) -> Subcommand:
    found = next((command for command in COMMANDS if command.name == word), None)
    if found is not None:
        return found
    if word.startswith("-"):
        raise UsageError(
            f"expected a command first, found the option {word!r}", "see: factory --help"
        )
    near = difflib.get_close_matches(word, [command.name for command in COMMANDS], n=1)
    hint = f"did you mean {near[0]}?" if near else "see: factory --help"
    raise UsageError(f"there is no command {word!r}", hint)


def _carry_out(command: Subcommand, module: CommandModule, words: list[str]) -> int:
    from factory.commands.options import COMMON_HELP, Parser

    if any(word in ("-h", "--help") for word in words[: _end_of_options(words)]):
        text = module.HELP[command.name].rstrip("\n") + "\n" + COMMON_HELP
        write_lines(sys.stdout, own_lines(text.rstrip("\n")))
        return 0
    parser = Parser(command.name)
    module.define(command.name, parser)
    given = parser.parse(words)
    answer, code = _answered(command, module, given)
    return _render(command, given, answer, code)


def _end_of_options(words: list[str]) -> int:
    return words.index("--") if "--" in words else len(words)


def _answered(
    command: Subcommand, module: CommandModule, given: Namespace
) -> tuple[CommandResult, int]:
    """Return (answer, exit code). Whatever goes wrong is printed on standard error and is an answer
    too.
    """
    from factory.report.answer import CommandResult, finding_lines

    try:
        with contextlib.ExitStack() as stack:
            if command.module in _STARTS_PACKS:
                from factory.engine.polite_stop import stop_like_ctrl_c

                stop_like_ctrl_c(stack)
            answer = module.run(command.name, given)
    except Refusal as refusal:
        write_lines(sys.stderr, fitted(finding_lines(refusal.findings), sys.stderr, os.environ))
        return CommandResult(Status.BLOCKED, findings=refusal.findings), refusal.exit_code
    except Interrupted as error:
        _complain(error.sentence)
        return CommandResult(Status.FAIL), error.exit_code
    except UsageError:
        raise
    except Exception as error:  # noqa: BLE001  any defect is one line and FAIL
        return _crashed(command, error), Status.FAIL.exit_code
    return answer, answer.status.exit_code


def _crashed(command: Subcommand, error: Exception) -> CommandResult:
    from factory.engine.crash import crash, one_line
    from factory.model.finding import Finding
    from factory.report.answer import CommandResult

    if isinstance(error, FactoryError):
        finding = Finding("CRASH", {"case": "error", "found": error.sentence, "advice": error.hint})
    else:
        finding = crash(f"expected factory {command.name} to reach a verdict", error)
    if os.environ.get("FACTORY_DEBUG") == "1":
        import traceback

        write_lines(sys.stderr, own_lines("".join(traceback.format_exception(error)).rstrip("\n")))
    _complain(one_line(finding))
    return CommandResult(Status.FAIL, findings=(finding,))


def _render(command: Subcommand, given: Namespace, answer: CommandResult, code: int) -> int:
    from factory.report.annotations import annotate
    from factory.report.answer import document_of, finding_lines

    if given.json:
        write_lines(sys.stdout, own_lines(document_of(command.name, answer, code)))
    else:
        lines = map(sanitize, answer.lines)
        fits = lines if answer.verbatim else fitted(lines, sys.stdout, os.environ)
        write_lines(sys.stdout, fits)
    annotate(sys.stderr, os.environ, answer.findings)
    if given.json_out is not None:
        try:
            _write_document(given.json_out, document_of(command.name, answer, code))
        except Refusal as refusal:
            write_lines(sys.stderr, finding_lines(refusal.findings))
            return code or refusal.exit_code
    return code


def _write_document(file: Path, document: str) -> None:
    """Write `document` to `file` atomically, or straight into what is no plain file (terminal,
    pipe).

    Raise Refusal DISK_UNWRITABLE.
    """
    from factory.files.fs_guard import disk_errors, write_atomic
    from factory.report.veil import veiled

    target = type(file)(os.path.realpath(file))  # `resolve` raises at a circle of links
    content = f"{veiled(document)}\n".encode("ascii")
    if target.exists() and not target.is_file():
        with disk_errors(target):
            target.write_bytes(content)
        return
    write_atomic(target, content)


def _complain(line: str) -> None:
    write_lines(sys.stderr, fitted((sanitize(line),), sys.stderr, os.environ))
