"""Git's index, version 2, as bytes: written from what is known, so that Git need not look at a
single file.

Rule: an entry tells the size and the constant time that our checkout gives every file; with
`core.checkStat=minimal` Git asks for no more. A difference to another index is written as a
split index, whose size depends on the difference only. Does not read or write files.
Source: gitformat-index (entries, "link" extension), Git's ewah/ewah_io.c (bitmaps).
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass

from factory.model.tree import Leaf

EPOCH = 315_532_800  # 1980-01-01 00:00 UTC: every file of a view
_WORD = 64


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """One path of the index; `size` in bytes, as lstat tells it (0 for a submodule)."""

    path: str
    leaf: Leaf
    size: int


def format_index(entries: Iterable[IndexEntry], hash_name: str) -> bytes:
    """A whole index; `entries` in Git's order."""
    rows = [_entry(os.fsencode(entry.path), entry.leaf, entry.size) for entry in entries]
    return _sealed(rows, b"", hash_name)


def format_split_index(
    shared: str,
    removed: Iterable[int],
    replaced: Iterable[tuple[int, IndexEntry]],
    added: Iterable[IndexEntry],
    hash_name: str,
) -> bytes:
    """An index that is the index with digest `shared` (file `sharedindex.<shared>`) with changes.

    `removed` and `replaced` count entries of the shared index from 0; all are given in order.
    """
    kept = list(replaced)
    rows = [_entry(b"", entry.leaf, entry.size) for _, entry in kept]
    rows += [_entry(os.fsencode(entry.path), entry.leaf, entry.size) for entry in added]
    link = (
        bytes.fromhex(shared) + format_ewah(removed) + format_ewah(position for position, _ in kept)
    )
    return _sealed(rows, b"link" + struct.pack(">I", len(link)) + link, hash_name)


def digest_of(index: bytes, hash_name: str) -> str:
    """The digest that an index ends with, in hex: what a split index names it by."""
    return index[-hashlib.new(hash_name, usedforsecurity=False).digest_size :].hex()


def _sealed(rows: list[bytes], extension: bytes, hash_name: str) -> bytes:
    body = struct.pack(">4sII", b"DIRC", 2, len(rows)) + b"".join(rows) + extension
    return body + hashlib.new(hash_name, body, usedforsecurity=False).digest()


def _entry(path: bytes, leaf: Leaf, size: int) -> bytes:
    # ctime, mtime, device, inode, mode, uid, gid, size: what checkStat=minimal does not ask for is
    # 0
    status = struct.pack(">10I", 0, 0, EPOCH, 0, 0, 0, leaf.mode, 0, 0, size & 0xFFFFFFFF)
    row = status + bytes.fromhex(leaf.oid) + struct.pack(">H", min(len(path), 0xFFF)) + path
    return row + b"\0" * (8 - len(row) % 8)


def format_ewah(positions: Iterable[int]) -> bytes:
    """A compressed bitmap with the bits at `positions` (rising) set, as Git serialises it."""
    words: dict[int, int] = {}
    bits = 0
    for position in positions:
        words[position // _WORD] = words.get(position // _WORD, 0) | 1 << position % _WORD
        bits = position + 1
    out: list[int] = []
    marker = 0  # where the running-length word in force stands
    end = 0  # the first word that is not told yet
    for number, word in words.items():
        if not out or number != end:
            marker = len(out)
            out.append((number - end) << 1)  # so many words of zeros
        out[marker] += 1 << 33  # and one more literal word
        out.append(word)
        end = number + 1
    out = out or [0]
    return struct.pack(f">II{len(out)}QI", bits, len(out), *out, marker)
