"""Unpack compressed bytes for a search: nothing is stored, extracted or trusted.

Rule: never an error, and never more than the bounds, which apply to all layers together and record
when they were reached: each member, however empty, costs one, and a byte that is read costs as much
as one that comes out. Damaged or encrypted data yields what could be read of it. Of a ZIP no
directory and no length is trusted: whatever begins like a member is unpacked. Tar needs no
unpacking, since it contains its members unchanged, as a ZIP does its names. Knows no files.
Sources: RFC 1951, RFC 1952, PKWARE APPNOTE 6.3.
"""

from __future__ import annotations

import bz2
import lzma
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Protocol

MOST_BYTES = 256 * 1024 * 1024
MOST_MEMBERS = 20_000
MOST_LAYERS = 3
_PIECE = 1 << 20
_FIRST_PIECE = 1 << 9  # of a member: the smaller, the less is read in vain of an empty one


class _Decompressor(Protocol):
    def decompress(self, data: bytes, max_length: int) -> bytes: ...

    @property
    def eof(self) -> bool: ...


_STREAMS: tuple[tuple[bytes, Callable[[], _Decompressor]], ...] = (
    (b"\x1f\x8b", lambda: zlib.decompressobj(wbits=31)),
    (b"BZh", bz2.BZ2Decompressor),
    (b"\xfd7zXZ\0", lzma.LZMADecompressor),
)
_LOCAL = struct.Struct("<4s5H3I2H")
_ZIPPED: Mapping[int, Callable[[], _Decompressor]] = MappingProxyType(
    {8: lambda: zlib.decompressobj(wbits=-15), 12: bz2.BZ2Decompressor}
)


class Bounds:
    """Count what may still be unpacked: bytes that come out, bytes that are read for it, members.

    `reached` is True once it was not enough: the result is then incomplete.
    """

    def __init__(self, unpacked: int = MOST_BYTES, members: int = MOST_MEMBERS) -> None:
        self.unpacked = unpacked
        self.packed = unpacked
        self.members = members
        self.reached = False

    def member(self) -> bool:
        """Count one more member; return True if it may be unpacked."""
        self.members -= 1
        return self.allows(self.members >= 0)

    def allows(self, enough: bool = True) -> bool:
        """Return True if more may be read and unpacked."""
        if not enough or self.unpacked <= 0 or self.packed <= 0:
            self.reached = True
        return not self.reached


def layers(content: bytes, bounds: Bounds | None = None) -> Iterator[bytes]:
    """Yield `content`, and everything that was compressed in it, within the bounds."""
    yield from _layers(content, bounds or Bounds(), MOST_LAYERS)


def _layers(content: bytes, bounds: Bounds, depth: int) -> Iterator[bytes]:
    yield content
    if depth == 0:
        bounds.reached = bounds.reached or content.startswith(tuple(begin for begin, _ in _STREAMS))
        return
    for inner in _within(content, bounds):
        yield from _layers(inner, bounds, depth - 1)


def _within(content: bytes, bounds: Bounds) -> Iterator[bytes]:
    for begin, make in _STREAMS:
        if content.startswith(begin):
            yield from _stream(content, make, bounds)
            return
    yield from _zip(content, bounds)


def _stream(content: bytes, make: Callable[[], _Decompressor], bounds: Bounds) -> Iterator[bytes]:
    """Yield all members of a compressed stream as one text: a word may cross their border."""
    parts: list[bytes] = []
    at = 0
    while at < len(content) and bounds.member():
        unpacked, at = _member(content, at, make(), bounds)
        parts += unpacked
    if parts:
        yield b"".join(parts)


def _member(
    content: bytes, at: int, reader: _Decompressor, bounds: Bounds
) -> tuple[list[bytes], int]:
    """Return (parts of one member, offset after it); the offset is the end if it is damaged or
    bounded.
    """
    parts: list[bytes] = []
    given, size, more = b"", _FIRST_PIECE, False
    try:
        while not reader.eof:
            if not (given or more) and getattr(reader, "needs_input", True):
                given, size = content[at : at + size], min(2 * size, _PIECE)
                if not given:
                    return parts, len(content)
                at += len(given)
                bounds.packed -= len(given)
            if not bounds.allows():
                return parts, len(content)
            asked = min(_PIECE, bounds.unpacked)
            part = reader.decompress(given, asked)
            given, more = getattr(reader, "unconsumed_tail", b""), len(part) == asked
            parts.append(part)
            bounds.unpacked -= len(part)
    except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError):
        return parts, len(content)
    unused = len(getattr(reader, "unused_data", b""))
    bounds.packed += unused
    return parts, at - unused


def _zip(content: bytes, bounds: Bounds) -> Iterator[bytes]:
    at = content.find(b"PK\3\4")
    while 0 <= at <= len(content) - _LOCAL.size:
        row = _LOCAL.unpack_from(content, at)
        method, named, extra = row[3], row[9], row[10]
        make = _ZIPPED.get(method)
        if make is not None:
            if not bounds.member():
                return
            parts, _ = _member(content, at + _LOCAL.size + named + extra, make(), bounds)
            yield b"".join(parts)
        at = content.find(b"PK\3\4", at + 4)
