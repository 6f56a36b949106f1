"""Prepare text for a terminal: inert, coloured if wanted, and cut to the width.

Everything that a pack, a file name or a log can bring passes `sanitize`
(`model.inert.for_terminal`) where it is printed; what is stored stays unchanged. Does not know what
the text says.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TextIO

from factory.model.inert import Shown, for_terminal, own_lines, without_colours
from factory.report.streams import lost, tolerate, unwritten, write_lines

__all__ = [
    "Palette",
    "Shown",
    "fit",
    "fitted",
    "is_terminal",
    "lost",
    "own_lines",
    "palette_for",
    "plain",
    "sanitize",
    "size_of",
    "tolerate",
    "unwritten",
    "width",
    "wrapped",
    "write_lines",
]

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_WIDE = "\\u2e80-\\ua4cf\\uac00-\\ud7a3\\uf900-\\ufaff\\uff00-\\uff60"  # written without spaces
_WORD = re.compile(rf"( *)([{_WIDE}]|[^ {_WIDE}]+)")
# A label, and at least two spaces before the text: `Report    x`, `  SCOPE_DENIED  x`.
_LABEL = re.compile(r" *[^ ]+ {2,}| {3,}")
_NARROWEST = 20  # columns; below that nothing is readable, and nothing is wrapped
_FALLBACK_SIZE = os.terminal_size((80, 24))
_CODES = {"green": "32", "yellow": "33", "red": "31", "dim": "2", "bold": "1"}

sanitize = for_terminal


def plain(text: str) -> Shown:
    """Return `sanitize` of the text without its colour sequences: for lines of logs."""
    return sanitize(without_colours(text))


def width(text: Shown) -> int:
    """Return the number of columns that an inert text takes."""
    bare = _COLOUR.sub("", text) if "\x1b" in text else text
    return len(bare) if bare.isascii() else sum(map(_columns, bare))


def _columns(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def fit(text: Shown, columns: int) -> Shown:
    """Return the text cut to at most `columns` columns, with "…" at its end if it was cut."""
    if width(text) <= columns:
        return text
    if columns < 1:
        return Shown("")
    taken, used = [], 0
    for char in text:
        used += _columns(char)
        if used > columns - 1:
            break
        taken.append(char)
    return Shown("".join(taken) + "…")


def wrapped(line: Shown, columns: int) -> Iterator[Shown]:
    """Yield the line in pieces of at most `columns` columns, broken at spaces; the later ones are
    indented below its text.

    A word that is longer stays whole, so that a path can still be copied.
    """
    if width(line) <= columns:
        yield line
        return
    margin = _margin(line, columns)
    now, used = "", 0
    for gap, word in _WORD.findall(line):
        needs = width(Shown(gap + word))
        if used > margin and used + needs > columns:
            yield Shown(now)
            now, used = " " * margin + word, margin + width(word)
        else:
            now, used = f"{now}{gap}{word}", used + needs
    yield Shown(now)


def _margin(line: str, columns: int) -> int:
    """Return where the text of a line begins: after its label, if it has one, else two more than
    its indent.
    """
    label = _LABEL.match(line)
    begins = width(Shown(label[0])) if label else 0
    if 0 < begins <= columns // 2:
        return begins
    return min(len(line) - len(line.lstrip(" ")) + 2, columns // 2)


def size_of(stream: TextIO) -> os.terminal_size:
    """Return the size of a terminal in columns and lines; 80 and 24 if it is not known."""
    try:
        size = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        return _FALLBACK_SIZE
    return size if size.columns and size.lines else _FALLBACK_SIZE


def fitted(lines: Iterable[Shown], stream: TextIO, environ: Mapping[str, str]) -> Iterator[Shown]:
    """Yield the lines wrapped to the width of the stream if it is a terminal, else as they are."""
    if not is_terminal(stream, environ):
        yield from lines
        return
    columns = max(_NARROWEST, size_of(stream).columns)
    for line in lines:
        yield from wrapped(line, columns)


@dataclass(frozen=True, slots=True)
class Palette:
    """Paint text in colours, or not at all if not `enabled`."""

    enabled: bool

    def paint(self, text: Shown, colour: str) -> Shown:
        """Return the text in one of green, yellow, red, dim, bold."""
        return Shown(f"\x1b[{_CODES[colour]}m{text}\x1b[0m") if self.enabled else text


def is_terminal(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Return True if lines on this stream can be redrawn; False for TERM=dumb or no TERM."""
    try:
        interactive = stream.isatty()
    except (AttributeError, ValueError):
        return False
    return interactive and environ.get("TERM", "") not in ("dumb", "")


def palette_for(stream: TextIO, environ: Mapping[str, str]) -> Palette:
    """Return a palette with colours on a terminal, unless NO_COLOR is set and not empty."""
    return Palette(is_terminal(stream, environ) and not environ.get("NO_COLOR"))
