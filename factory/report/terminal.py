"""Prepare text for a terminal: inert, coloured if wanted, and cut to the width.

Everything that a pack, a file name or a log can bring passes `sanitize`
(`model.inert.for_terminal`) where it is printed; what is stored stays unchanged. Does not know what
the text says.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TextIO

from factory.model.inert import Shown, for_terminal, own_lines, without_colours
from factory.report.streams import lost, tolerate, unwritten, write_lines

__all__ = [
    "Palette",
    "Shown",
    "fit",
    "is_terminal",
    "lost",
    "own_lines",
    "palette_for",
    "plain",
    "sanitize",
    "tolerate",
    "unwritten",
    "width",
    "write_lines",
]

_CODES = {"green": "32", "yellow": "33", "red": "31", "dim": "2", "bold": "1"}

sanitize = for_terminal


def plain(text: str) -> Shown:
    """Return `sanitize` of the text without its colour sequences: for lines of logs."""
    return sanitize(without_colours(text))


def width(text: Shown) -> int:
    """Return the number of columns that an inert text takes."""
    if text.isascii():
        return len(text)
    return sum(map(_columns, text))


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
