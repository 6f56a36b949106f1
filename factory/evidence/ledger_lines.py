"""Read lines of the ledger file, as bytes: all of them, those that contain a text, and from the
end.

Every function reads the first `size` bytes, which end with a line feed, and yields lines without
theirs. Does not know what a line says.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import BinaryIO

_CHUNK = 1 << 22


def lines_of(path: Path, size: int) -> Iterator[bytes]:
    """Yield every line, in order."""
    for block in _blocks(path, size):
        yield from block.split(b"\n")


def lines_with(path: Path, size: int, needles: Collection[bytes]) -> Iterator[bytes]:
    """Yield lines that contain one of the texts, in order; blocks without any are skipped whole."""
    for block in _blocks(path, size):
        if any(needle in block for needle in needles):
            yield from (
                line for line in block.split(b"\n") if any(needle in line for needle in needles)
            )


def lines_backwards(path: Path, size: int, needles: Collection[bytes]) -> Iterator[bytes]:
    """Yield lines that contain one of the texts, the last one first; reads no further back than
    needed.
    """
    if not size:
        return
    with open(path, "rb") as stream:
        end, rest = size, b""
        while end:
            start = max(0, end - _CHUNK)
            block = _read_at(stream, start, end - start) + rest
            cut = block.find(b"\n") + 1 if start else 0  # the first line may begin further back
            rest, end = block[:cut], start
            lines = reversed(
                block[cut:].split(b"\n")[:-1]
            )  # a block ends with a line feed, as all lines do
            yield from (line for line in lines if any(needle in line for needle in needles))


def _read_at(stream: BinaryIO, start: int, length: int) -> bytes:
    stream.seek(start)
    return stream.read(length)


def _blocks(path: Path, size: int) -> Iterator[bytes]:
    """Yield the bytes in pieces of whole lines, without the last line feed of each."""
    if not size:
        return
    with open(path, "rb") as stream:
        left, rest = size, b""
        while left and (chunk := stream.read(min(left, _CHUNK))):
            left -= len(chunk)
            whole, feed, rest = (rest + chunk).rpartition(b"\n")
            if feed:
                yield whole
