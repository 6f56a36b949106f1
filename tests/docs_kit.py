"""Commands that a document tells its reader to type, typed; and what it shows, compared with what
appears.

Blocks tagged `console` hold `$ ` commands with their output; blocks tagged `sh` hold commands
alone. In output, numbers and ids stand for any others, a line `…` for any lines. Where a document
claims exactness, what is counted (lines, files, artifacts, checks, packs) is compared as it is
written.
"""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

from tests.warm import BIN
from tests.world import environment, run_merged

ROOT = Path(__file__).resolve().parents[1]
IDENTITY = {
    f"GIT_{role}_{what}": "a@example.invalid"
    for role in ("AUTHOR", "COMMITTER")
    for what in ("NAME", "EMAIL")
}

NEEDS_SHELL = frozenset("|&;<>()$`*?[]~#!{}\n")
OURS = {"doit": [str(BIN / "doit")], "factory": [sys.executable, "-m", "factory"]}


@dataclass(frozen=True, slots=True)
class Typed:
    """One command of a document: the heading above it, and its output (None where the document
    shows none).
    """

    heading: str
    command: str
    shown: tuple[str, ...] | None


def typed(text: str) -> Iterator[Typed]:
    """Every command of a document, in order."""
    heading = ""
    tokens = MarkdownIt("commonmark").parse(text)
    for index, token in enumerate(tokens):
        if token.type == "heading_open":
            heading = tokens[index + 1].content
        if token.type == "fence" and token.info.strip() == "sh":
            yield from (
                Typed(heading, line, None) for line in token.content.splitlines() if line.strip()
            )
        if token.type == "fence" and token.info.strip() == "console":
            yield from _with_output(heading, token.content.splitlines())


def _with_output(heading: str, lines: list[str]) -> Iterator[Typed]:
    assert lines[0].startswith("$ "), "a console block starts with a command"
    starts = [number for number, line in enumerate(lines) if line.startswith("$ ")]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        yield Typed(heading, lines[start][2:], tuple(lines[start + 1 : end]))


def run(command: str, folder: Path) -> tuple[str, int]:
    """What a person sees who types the command in `folder`, and the exit code."""
    home = folder.parent / "home"
    home.mkdir(exist_ok=True)
    own = {"HOME": str(home), "XDG_CONFIG_HOME": str(home), "COLUMNS": "80", "GIT_PAGER": "cat"}
    line = re.sub(r"(^|[ ;&])\./dev ", r"\1", command)
    words = ["/bin/sh", "-c", line]
    if not set(re.sub("'[^']*'", "", line)) & NEEDS_SHELL:
        words = shlex.split(line)
        while "=" in words[0]:
            name, _, value = words.pop(0).partition("=")
            own[name] = value
        words[:1] = OURS.get(words[0], words[:1])
    return run_merged(words, folder, environment(**IDENTITY, **own))


# `+531 −0`, `2 files`, `43 artifacts`, and the middle of `| 461 ++++`.
COUNTED = re.compile(
    r"[+−][0-9]+|\b[0-9]+(?= (?:artifact|check|file|insertion|pack)s?\b)|(?<=\|) *[0-9]+(?= \+)"
)
KEPT = str.maketrans(
    "0123456789", "０１２３４５６７８９"
)  # digits that `shape` does not take for a number


def shape(line: str, exact: bool = False) -> str:
    """A line with every id and number made one, and bars and gaps of any width. Ids of packs stay,
    and exact counts.
    """
    if exact:
        line = COUNTED.sub(lambda found: found[0].translate(KEPT), line)
    line = re.sub(r"factory_[0-9]{8}_[0-9]{6}_[0-9a-f]{8}_[0-9]{3}", "RUN", line)
    line = re.sub(r"\b[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z", "TIME", line)
    line = re.sub(r"\b[0-9a-f]{7,64}\b", "N", line)
    line = re.sub(r"\b(?<![A-Z]-)[0-9]+(?:\.[0-9]+)?", "N", line)
    return re.sub(r"\s+", " ", re.sub(r"\++(?=$|\s)", "+", line)).strip()


def appears(shown: tuple[str, ...], output: str, exact: bool = False) -> bool:
    """Whether the output has the shown lines, `…` standing for any; with `exact`, what is counted
    is as shown.
    """
    wanted = [".*" if line.strip() == "…" else re.escape(shape(line, exact)) for line in shown]
    expression = "\n".join(wanted).replace("\n.*\n", r"\n(?:.*\n)?")
    found = "\n".join(shape(line, exact) for line in output.splitlines())
    return re.fullmatch(expression, found, re.DOTALL) is not None
