"""Text on its way to a terminal: inert, coloured where wanted, and cut to the width.

Everything that a pack, a file name or a log can bring passes `sanitize` here, at the
sink; what is stored stays as it came. Does not know what the text says.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TextIO

from factory.faces.streams import lost, tolerate, unwritten, write_lines

__all__ = [
    "Palette",
    "fit",
    "is_terminal",
    "lost",
    "palette_for",
    "plain",
    "sanitize",
    "tolerate",
    "unwritten",
    "width",
    "write_lines",
]

# CSI, OSC (ended by BEL, ST or nothing), and the other two-character sequences.
_ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\|$)"
    r"|\x1b[ -/]*[0-Z\\-~]"
)
_UNSAFE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_ASCII_PRINTABLE = re.compile(r"[ -~]*")

_CODES = {"green": "32", "yellow": "33", "red": "31", "dim": "2", "bold": "1"}


def sanitize(text: str) -> str:
    """The text with every character that could act on a terminal shown as an escape.

    Control and format characters (bidirectional ones, joiners, escape), surrogates, private
    and unassigned ones, and line separators become `\\xNN`, `\\uNNNN` or `\\UNNNNNNNN`. A tab
    becomes a space. Idempotent, and never longer lines: a line feed is escaped too.
    """
    if _ASCII_PRINTABLE.fullmatch(text):
        return text
    return "".join(map(_inert, text))


def _inert(char: str) -> str:
    if char == "\t":
        return " "
    if unicodedata.category(char) not in _UNSAFE_CATEGORIES:
        return char
    code = ord(char)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def plain(text: str) -> str:
    """As `sanitize`, after dropping well-formed escape sequences: for showing a log line, where colour is no news."""
    return sanitize(_ESCAPES.sub("", text))


def width(text: str) -> int:
    """How many columns an inert text takes."""
    if text.isascii():
        return len(text)
    return sum(map(_columns, text))


def _columns(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def fit(text: str, columns: int) -> str:
    """An inert text cut to at most `columns`, with "…" where something was cut."""
    if width(text) <= columns:
        return text
    if columns < 1:
        return ""
    taken, used = [], 0
    for char in text:
        used += _columns(char)
        if used > columns - 1:
            break
        taken.append(char)
    return "".join(taken) + "…"


@dataclass(frozen=True, slots=True)
class Palette:
    """Colours, or none."""

    enabled: bool

    def paint(self, text: str, colour: str) -> str:
        """The text in one of green, yellow, red, dim, bold."""
        return f"\x1b[{_CODES[colour]}m{text}\x1b[0m" if self.enabled else text


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
