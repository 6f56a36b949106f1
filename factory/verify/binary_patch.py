"""Apply binary patches as Git writes them: base 85, deflate, literal or delta, in both directions.

Each direction must lead to the other. Sources: git-diff (`GIT binary patch`), gitformat-pack
(deltas), RFC 1950.
"""

from __future__ import annotations

import base64
import re
import zlib
from collections.abc import Callable

_HEAD = re.compile(rb"(literal|delta) (\d{1,10})")


class BinaryPatchError(ValueError):
    """Report that a binary patch is malformed or does not fit: one clause."""


def content_before(next_line: Callable[[], bytes], after: bytes) -> bytes:
    """Return the content before the patch; `next_line` yields the lines after its head.

    Raise BinaryPatchError.
    """
    forward, backward = _part(next_line), _part(next_line)
    before = backward[1] if backward[0] == b"literal" else with_delta(backward[1], after)
    again = forward[1] if forward[0] == b"literal" else with_delta(forward[1], before)
    if again != after:
        raise BinaryPatchError(
            "expected a binary patch to lead to the content after, found another content"
        )
    return before


def _part(next_line: Callable[[], bytes]) -> tuple[bytes, bytes]:
    head = _HEAD.fullmatch(next_line())
    if head is None:
        raise BinaryPatchError("expected literal or delta, found another line")
    packed = []
    while line := next_line():
        packed.append(_decoded(line))
    return head[1], _inflated(b"".join(packed), int(head[2]))


def _decoded(line: bytes) -> bytes:
    """Return the bytes of one line: its first letter is their number, the others must be zeros."""
    letter = line[:1]
    length = ord(letter) - 64 if letter.isupper() else ord(letter) - 70 if letter.islower() else 0
    try:
        content = base64.b85decode(line[1:])
    except ValueError as error:
        raise BinaryPatchError("expected base 85 in a binary patch, found another line") from error
    if not length or len(content) != (length + 3) // 4 * 4 or any(content[length:]):
        raise BinaryPatchError("expected a whole line of a binary patch, found another")
    return content[:length]


def _inflated(packed: bytes, size: int) -> bytes:
    stream = zlib.decompressobj()
    try:
        content = stream.decompress(packed, size + 1)
    except zlib.error as error:
        raise BinaryPatchError(
            "expected a deflated part of a binary patch, found another"
        ) from error
    if len(content) != size or not stream.eof or stream.unused_data:
        raise BinaryPatchError(f"expected {size} bytes in a binary patch, found others")
    return content


def with_delta(delta: bytes, source: bytes) -> bytes:
    """Return `source` with a delta applied. Raise BinaryPatchError."""
    try:
        before, at = _size(delta, 0)
        after, at = _size(delta, at)
        out = bytearray()
        while at < len(delta):
            at = _instruction(delta, at, source, out, after)
    except IndexError as error:
        raise BinaryPatchError("expected a whole delta, found one that breaks off") from error
    if (before, after) != (len(source), len(out)):
        raise BinaryPatchError("expected a delta for this content, found one for another")
    return bytes(out)


def _size(delta: bytes, at: int) -> tuple[int, int]:
    size = shift = 0
    while delta[at] & 0x80:
        size |= (delta[at] & 0x7F) << shift
        shift, at = shift + 7, at + 1
    return size | delta[at] << shift, at + 1


def _instruction(delta: bytes, at: int, source: bytes, out: bytearray, most: int) -> int:
    code = delta[at]
    at += 1
    if not code:
        raise BinaryPatchError("expected a known instruction in a delta, found none")
    if code & 0x80:
        start, at = _little(delta, at, code & 0xF)
        size, at = _little(delta, at, code >> 4 & 0x7)
        piece = source[start : start + (size or 0x10000)]
        if len(piece) != (size or 0x10000):
            raise BinaryPatchError("expected a delta within its source, found one beyond")
    else:
        piece, at = delta[at : at + code], at + code
        if at > len(delta):
            raise IndexError(at)
    out += piece
    if len(out) > most:
        raise BinaryPatchError("expected a delta of its size, found a larger one")
    return at


def _little(delta: bytes, at: int, bits: int) -> tuple[int, int]:
    """Return (number, next offset); `bits` says which of its bytes are written, least significant
    first.
    """
    number = place = 0
    while bits:
        if bits & 1:
            number |= delta[at] << place
            at += 1
        bits, place = bits >> 1, place + 8
    return number, at
