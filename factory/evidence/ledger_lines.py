"""Read lines of the ledger, as bytes: all of them, those that contain a text, and from the end.

The ledger is a list of files, its segments, in their order; each but the last is whole. Every
function reads the first `size` bytes of them together, which end with a line feed, and yields
lines without theirs. Does not know what a line says.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self, TypeAlias

Segments: TypeAlias = Sequence[Path]
_CHUNK = 1 << 22


class Joined:
    """Read segments as one stream of bytes, from its start or any other place."""

    def __init__(self, segments: Segments) -> None:
        """Open them. Raise FileNotFoundError where one is missing."""
        with ExitStack() as stack:
            self._streams = [stack.enter_context(open(path, "rb")) for path in segments]
            self._opened = stack.pop_all()
        found = [os.fstat(stream.fileno()) for stream in self._streams]
        self.inodes = tuple(one.st_ino for one in found)
        self.before = sum(one.st_size for one in found[:-1])
        self.size = self.before + found[-1].st_size
        self._sizes = tuple(one.st_size for one in found)
        self._at = 0

    def read(self, most: int) -> bytes:
        """Return up to so many bytes, of one segment; none at the end of all."""
        while self._at < len(self._streams):
            chunk = self._streams[self._at].read(most)
            if chunk:
                return chunk
            self._at += 1
        self._at = len(self._streams) - 1  # it may grow
        return b""

    def seek(self, place: int) -> None:
        """Go to a place in all of them together."""
        for at, size in enumerate(self._sizes):
            self._at = at
            if place < size or at == len(self._sizes) - 1:
                self._streams[at].seek(place)
                break
            place -= size
        for later in self._streams[self._at + 1 :]:
            later.seek(0)

    def close(self) -> None:
        """Close them."""
        self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def lines_of(segments: Segments, size: int) -> Iterator[bytes]:
    """Yield every line, in order."""
    for block in _blocks(segments, size):
        yield from block.split(b"\n")


def lines_with(segments: Segments, size: int, needles: Collection[bytes]) -> Iterator[bytes]:
    """Yield lines that contain one of the texts, in order; blocks without any are skipped whole."""
    for block in _blocks(segments, size):
        if any(needle in block for needle in needles):
            yield from (
                line for line in block.split(b"\n") if any(needle in line for needle in needles)
            )


def lines_backwards(segments: Segments, size: int, needles: Collection[bytes]) -> Iterator[bytes]:
    """Yield lines that contain one of the texts, the last one first; reads no further back than
    needed.
    """
    for path, length in reversed(_parts(segments, size)):
        yield from _backwards(path, length, needles)


def _backwards(path: Path, size: int, needles: Collection[bytes]) -> Iterator[bytes]:
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


def _parts(segments: Segments, size: int) -> list[tuple[Path, int]]:
    """Return the segments that the first `size` bytes lie in, and how many of them in each."""
    parts = []
    left = size
    for at, path in enumerate(segments):
        last = at == len(segments) - 1
        length = left if last else min(left, os.stat(path).st_size)
        if length:
            parts.append((path, length))
        left -= length
    return parts


def _blocks(segments: Segments, size: int) -> Iterator[bytes]:
    """Yield the bytes in pieces of whole lines, without the last line feed of each."""
    for path, length in _parts(segments, size):
        with open(path, "rb") as stream:
            left, rest = length, b""
            while left and (chunk := stream.read(min(left, _CHUNK))):
                left -= len(chunk)
                whole, feed, rest = (rest + chunk).rpartition(b"\n")
                if feed:
                    yield whole
