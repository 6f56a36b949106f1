"""Answer `check`: small checks that packs of earlier versions had helpers for, as commands for
acceptance.yml. Reads files of the current folder only.
"""

from __future__ import annotations

import re
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from factory.commands.options import Parser, here, read_named
from factory.model.errors import UsageError
from factory.model.verdict import Status
from factory.model.wording import nearest
from factory.report.answer import CommandResult
from factory.report.terminal import sanitize
from factory.strict import yaml as strict_yaml
from factory.strict.values import DocumentError

HELP = {
    "check": """\
usage: factory check WHAT FILE [TEXT…]

A small check, for acceptance.yml: of files of the current folder, without a repository. That a
change is in its scope and that artifacts are there is checked of every pack without being asked.

  present FILE…         each file is there and is not empty
  contains FILE TEXT…   the file has at least one of the texts
  without FILE TEXT…    the file has none of the words, in small or capital letters
  declared FILE KEY…    the YAML file gives each of these keys a value, as: declared task.yml engine

Ends with 0 where it is so, with 2 where not, and says the line.

  factory check contains docs/report.md "no finding" "1 finding"

In acceptance.yml write it as: python -m factory check …
The interpreter of packs has to have this package installed: not a checkout that pip -e names.

options
""",
}
_LARGEST = 16 * 1024 * 1024  # bytes


def define(command: str, parser: Parser) -> None:
    """Add what to check."""
    del command
    parser.add_argument("what", metavar="WHAT")
    parser.add_argument("words", nargs="+", metavar="FILE")
    parser.add_argument("texts", nargs="*", metavar="TEXT")


def run(command: str, given: Namespace) -> CommandResult:
    """Return PASS, or BLOCKED with a line for each thing that is not so. Raise UsageError."""
    del command
    check = _CHECKS.get(given.what)
    if check is None:
        meant = nearest(given.what, _CHECKS)
        hint = f"did you mean {meant}?" if meant else f"known are: {', '.join(_CHECKS)}"
        raise UsageError(f"there is no check {given.what!r}", hint)
    words = (*given.words, *given.texts)
    if given.what != "present" and len(words) < 2:
        raise UsageError(f"check {given.what} expects a file and a text", "see: factory check -h")
    wrong = tuple(map(sanitize, check(here(), words)))
    if wrong:
        return CommandResult(Status.BLOCKED, wrong)
    return CommandResult(Status.PASS, (f"{given.what}: as it has to be",))


def _present(folder: Path, files: tuple[str, ...]) -> Iterator[str]:
    for file in files:
        content = read_named(folder, file, 1)
        if not content:
            found = "none" if content is None else "an empty one"
            yield f"{file}: expected a file with content, found {found}"


def _contains(folder: Path, words: tuple[str, ...]) -> Iterator[str]:
    file, *texts = words
    content = _text(folder, file)
    if not any(text in content for text in texts):
        yield f"{file}: expected one of {_quoted(texts)}, found none of them"


def _without(folder: Path, words: tuple[str, ...]) -> Iterator[str]:
    file, *texts = words
    whole = "|".join(re.escape(text) for text in texts)
    word = re.compile(rf"(?<!\w)(?:{whole})(?!\w)", re.IGNORECASE)
    for number, line in enumerate(_text(folder, file).splitlines(), 1):
        for found in word.finditer(line):
            yield f'{file}:{number}: expected no "{found[0]}" here, found it'


def _declared(folder: Path, words: tuple[str, ...]) -> Iterator[str]:
    file, *keys = words
    try:
        value = strict_yaml.parse(_text(folder, file).encode("utf-8")).value
    except DocumentError as error:
        yield f"{file}: expected YAML, found: {error.problems[0].problem}"
        return
    for key in keys:
        given = value.get(key) if isinstance(value, Mapping) else None
        if given is None or given in ("", ()):
            yield f'{file}: expected the key "{key}" with a value, found none'


def _text(folder: Path, file: str) -> str:
    """Return the text of a file, "" for none."""
    return (read_named(folder, file, _LARGEST) or b"").decode("utf-8", "replace")


def _quoted(texts: list[str]) -> str:
    return ", ".join(f'"{text}"' for text in texts)


_CHECKS: Mapping[str, Callable[[Path, tuple[str, ...]], Iterator[str]]] = {
    "present": _present,
    "contains": _contains,
    "without": _without,
    "declared": _declared,
}
