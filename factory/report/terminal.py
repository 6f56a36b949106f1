"""Text on its way to a terminal: inert, coloured where wanted, and cut to the width.

Everything that a pack, a file name or a log can bring passes `sanitize`
(`model.inert.for_terminal`), at the sink, which takes nothing else; what is stored stays as it
came. Does not know what the text says.
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
    """As `sanitize`, after dropping well-formed escape sequences: for showing a log line, where
    colour is no news.
    """
    return sanitize(without_colours(text))


def width(text: Shown) -> int:
    """How many columns an inert text takes."""
    if text.isascii():
        return len(text)
    return sum(map(_columns, text))


def _columns(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def fit(text: Shown, columns: int) -> Shown:
    """An inert text cut to at most `columns`, with "…" where something was cut."""
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
    """Colours, or none."""

    enabled: bool

    def paint(self, text: Shown, colour: str) -> Shown:
        """The text in one of green, yellow, red, dim, bold."""
        return Shown(f"\x1b[{_CODES[colour]}m{text}\x1b[0m") if self.enabled else text


def is_terminal(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether lines on this stream can be redrawn. TERM=dumb can't."""
    try:
        interactive = stream.isatty()
    except (AttributeError, ValueError):
        return False
    return interactive and environ.get("TERM", "") not in ("dumb", "")


def palette_for(stream: TextIO, environ: Mapping[str, str]) -> Palette:
    """Colours on a terminal, unless NO_COLOR is set to something."""
    return Palette(is_terminal(stream, environ) and not environ.get("NO_COLOR"))
