"""Read a text through what breaks it: without line ends, as hexadecimal digits alone, out of
UTF-16.

Rule: what is found in such a reading has a place in the text, and costs a few passes over it.
Nothing is decoded beyond that. Does not know what is searched.
"""

from __future__ import annotations

import bisect
import re

LINE_ENDS = b"\r\n"
# What dumps write between the digits of hexadecimal bytes, or before them, as in \x41.
BETWEEN_DIGITS = b"\r\n\t :-\\xX"
_LOWER = bytes(range(256)).lower()
_BLOCK = 256


class Through:
    """Read a text without some bytes, optionally in lower case, with the origin of each byte."""

    def __init__(self, text: bytes, dropped: bytes, lower: bool = False) -> None:
        self.content = text.translate(_LOWER if lower else None, dropped)
        self._text = text
        self._dropped = dropped
        self._kept: list[
            int
        ] = []  # how many bytes were kept before each block of the text; made when it is needed

    def origin(self, at: int) -> int:
        """Return the position in the text of byte `at` of the reading."""
        if len(self.content) == len(self._text):
            return at
        if not self._kept:
            kept = 0
            for begin in range(0, len(self._text), _BLOCK):
                self._kept.append(kept)
                kept += len(self._text[begin : begin + _BLOCK].translate(None, self._dropped))
        block = bisect.bisect_right(self._kept, at) - 1
        more = at - self._kept[block]
        where = block * _BLOCK
        while more or self._text[where] in self._dropped:
            more -= self._text[where] not in self._dropped
            where += 1
        return where


# Printable characters with a NUL between them: UTF-16 either way round, but for the first character
# of one way.
_WIDE = re.compile(rb"\0(?:[\t\n\r -~]\0|(?!)){2,}+[\t\n\r -~]?+")
_PRINTABLE = frozenset(b"\t\n\r" + bytes(range(0x20, 0x7F)))
_APART = b"\n\xff"  # no credential goes over it


class Narrow:
    """Read the ASCII parts of a text in UTF-16, separated, with the origin of each character."""

    def __init__(self, text: bytes) -> None:
        self._starts: list[int] = []  # of each part, in what is read
        self._origins: list[int] = []  # and in the text
        parts: list[bytes] = []
        size, end = 0, 0
        for found in _WIDE.finditer(text) if b"\0" in text else ():
            begin = found.start() + 1
            if begin > 1 and text[begin - 2] in _PRINTABLE:
                begin -= 2
            end = found.end()
            self._starts.append(size)
            self._origins.append(begin)
            parts += [text[begin:end:2], _APART]
            size += len(parts[-2]) + len(_APART)
        if parts and end == len(text):
            parts.pop()  # it may go on
        self.content = b"".join(parts)

    def origin(self, at: int) -> int:
        """Return the position in the text of character `at` of the reading."""
        part = bisect.bisect_right(self._starts, at) - 1
        return self._origins[part] + 2 * (at - self._starts[part])
