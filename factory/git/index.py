"""Write Git's index, version 2, as bytes from known values, so that Git need not read any file.

Rule: an entry records the size and the constant time that our checkout gives every file; with
`core.checkStat=minimal` Git asks for no more. A difference to another index is written as a split
index, whose size depends on the difference only. Does not read or write files. Source:
gitformat-index (entries, "link" extension), Git's ewah/ewah_io.c (bitmaps).
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass

from factory.model.tree import Leaf

EPOCH = 315_532_800  # 1980-01-01 00:00 UTC: every file of a view
_WORD = 64  # bits of an EWAH word


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """Describe one path of the index; `size` in bytes as lstat returns it (0 for a submodule)."""

    path: str
    leaf: Leaf
    size: int


def format_index(entries: Iterable[IndexEntry], hash_name: str) -> bytes:
    """Return a whole index; `entries` in Git's order."""
    rows = [_entry(os.fsencode(entry.path), entry.leaf, entry.size) for entry in entries]
    return _sealed(rows, b"", hash_name)


def format_split_index(
    shared: str,
    removed: Iterable[int],
    replaced: Iterable[tuple[int, IndexEntry]],
    added: Iterable[IndexEntry],
    hash_name: str,
) -> bytes:
    """Return an index that equals the shared index `sharedindex.<shared>` with changes applied.

    `shared` is its digest in hex. `removed` and `replaced` count entries of the shared index from
    0; all are given in order.
    """
    kept = list(replaced)
    rows = [_entry(b"", entry.leaf, entry.size) for _, entry in kept]
    rows += [_entry(os.fsencode(entry.path), entry.leaf, entry.size) for entry in added]
    link = (
        bytes.fromhex(shared) + format_ewah(removed) + format_ewah(position for position, _ in kept)
    )
    return _sealed(rows, b"link" + struct.pack(">I", len(link)) + link, hash_name)


def parse_index(index: bytes, hash_name: str) -> list[tuple[str, Leaf]]:
    """Return path and leaf of every entry of an index of version 2. Raise ValueError for any other,
    for one that is split, and for one with an entry that is not merged.
    """
    width = hashlib.new(hash_name, usedforsecurity=False).digest_size
    magic, version, count = struct.unpack_from(">4sII", index)
    if (magic, version) != (b"DIRC", 2):
        raise ValueError(f"expected an index of version 2, found {magic!r} {version}")
    found: list[tuple[str, Leaf]] = []
    at = 12
    for _ in range(count):
        mode = struct.unpack_from(">I", index, at + 24)[0]
        oid = index[at + 40 : at + 40 + width].hex()
        flags = struct.unpack_from(">H", index, at + 40 + width)[0]
        start = at + 42 + width
        end = index.index(b"\0", start)
        if flags & 0x3000:
            raise ValueError(f"expected merged entries, found stage {flags >> 12 & 3}")
        found.append((os.fsdecode(index[start:end]), Leaf(mode, oid)))
        at += (42 + width + end - start) // 8 * 8 + 8
    if index[at : at + 4] == b"link":
        raise ValueError("expected a whole index, found one that is split")
    return found


def digest_of(index: bytes, hash_name: str) -> str:
    """Return the digest at the end of an index, in hex; a split index refers to it by this
    digest.
    """
    return index[-hashlib.new(hash_name, usedforsecurity=False).digest_size :].hex()


def _sealed(rows: list[bytes], extension: bytes, hash_name: str) -> bytes:
    body = struct.pack(">4sII", b"DIRC", 2, len(rows)) + b"".join(rows) + extension
    return body + hashlib.new(hash_name, body, usedforsecurity=False).digest()


def _entry(path: bytes, leaf: Leaf, size: int) -> bytes:
    # ctime, mtime, device, inode, mode, uid, gid, size: 0 for what checkStat=minimal ignores
    status = struct.pack(">10I", 0, 0, EPOCH, 0, 0, 0, leaf.mode, 0, 0, size & 0xFFFFFFFF)
    row = status + bytes.fromhex(leaf.oid) + struct.pack(">H", min(len(path), 0xFFF)) + path
    return row + b"\0" * (8 - len(row) % 8)


def format_ewah(positions: Iterable[int]) -> bytes:
    """Return a compressed bitmap with the bits at `positions` (rising) set, as Git serialises
    it.
    """
    words: dict[int, int] = {}
    bits = 0
    for position in positions:
        words[position // _WORD] = words.get(position // _WORD, 0) | 1 << position % _WORD
        bits = position + 1
    out: list[int] = []
    marker = 0  # position of the current run-length word
    end = 0  # the first word that is not written yet
    for number, word in words.items():
        if not out or number != end:
            marker = len(out)
            out.append((number - end) << 1)  # count of words of zeros
        out[marker] += 1 << 33  # one more literal word
        out.append(word)
        end = number + 1
    out = out or [0]
    return struct.pack(f">II{len(out)}QI", bits, len(out), *out, marker)
