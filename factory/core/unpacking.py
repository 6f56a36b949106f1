"""What is in compressed and packed bytes, for those who search them: nothing is kept, extracted or believed.

Rule: never an error, and never more than a bound. What is damaged, encrypted or larger shows what could be
read of it. Of a ZIP no directory and no length is believed: whatever begins like a member is unpacked. Tar needs
no unpacking, since its members stand in it as they are, as the names in a ZIP do. Knows no files.
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


def layers(content: bytes) -> Iterator[bytes]:
    """`content`, and everything that was compressed in it, within the bounds."""
    yield from _layers(content, _Left(MOST_BYTES), MOST_LAYERS)


class _Left:
    """Bytes that may still be unpacked."""

    def __init__(self, count: int) -> None:
        self.count = count


def _layers(content: bytes, left: _Left, depth: int) -> Iterator[bytes]:
    yield content
    if depth == 0:
        return
    for inner in _within(content, left):
        yield from _layers(inner, left, depth - 1)


def _within(content: bytes, left: _Left) -> Iterator[bytes]:
    for begin, make in _STREAMS:
        if content.startswith(begin):
            yield from _stream(content, make, left)
            return
    yield from _zip(content, left)


def _stream(content: bytes, make: Callable[[], _Decompressor], left: _Left) -> Iterator[bytes]:
    """All members of a compressed stream, one after another, as one text: a word may go over their border."""
    parts: list[bytes] = []
    rest = content
    while rest and left.count > 0:
        unpacked, rest = _member(rest, make(), left)
        parts += unpacked
    if parts:
        yield b"".join(parts)


def _member(packed: bytes, reader: _Decompressor, left: _Left) -> tuple[list[bytes], bytes]:
    """What one member holds, and the bytes behind it; none where it is damaged or the bound is reached."""
    parts: list[bytes] = []
    given = packed
    try:
        while not reader.eof and left.count > 0:
            part = reader.decompress(given, min(_PIECE, left.count))
            given = getattr(reader, "unconsumed_tail", b"")
            if not part and not given:
                break
            parts.append(part)
            left.count -= len(part)
    except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError):
        return parts, b""
    return parts, getattr(reader, "unused_data", b"") if reader.eof else b""


def _zip(content: bytes, left: _Left) -> Iterator[bytes]:
    at = content.find(b"PK\3\4")
    members = 0
    while 0 <= at <= len(content) - _LOCAL.size and members < MOST_MEMBERS and left.count > 0:
        row = _LOCAL.unpack_from(content, at)
        method, named, extra = row[3], row[9], row[10]
        make = _ZIPPED.get(method)
        if make is not None:
            members += 1
            parts, _ = _member(content[at + _LOCAL.size + named + extra :], make(), left)
            yield b"".join(parts)
        at = content.find(b"PK\3\4", at + 4)
