"""Read Git objects out of a bundle file, by own code: ids computed here, nothing extra or
compressed.

Rule: only the one form is read that may be written: a header with at most one prerequisite and one
ref, an undeltified pack of stored blocks in the order of ids, its checksum, the end. Does not know
what the objects mean. Sources: gitformat-bundle, gitformat-pack, RFC 1950, RFC 1951.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

AUTHOR = b"Codex Orchestrator <orchestrator@localhost> 315532800 +0000"
_HEADS = ((b"# v2 git bundle\n", "sha1"), (b"# v3 git bundle\n@object-format=sha256\n", "sha256"))
_REFS = re.compile(rb"(?:-([0-9a-f]{40,64}) \n)?([0-9a-f]{40,64}) (refs/codex/[A-Za-z0-9._-]+)\n\n")
_KINDS = {1: "commit", 2: "tree", 3: "blob"}
_FULL_BLOCK = 65535  # the length of a stored block has 16 bits (RFC 1951, 3.2.4)


class ObjectError(ValueError):
    """Report that a bundle or an object is malformed: one clause."""


@dataclass(frozen=True, slots=True)
class Carried:
    """Contain a bundle's content: its prerequisite ("" for none), its tip under a ref, and (kind,
    payload) by id.
    """

    hash_name: str
    prerequisite: str
    tip: str
    ref: str
    objects: Mapping[str, tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Commit:
    """Describe a commit of the constant author: tree, parents and message."""

    tree: str
    parents: tuple[str, ...]
    message: str


def object_id(kind: str, payload: bytes, hash_name: str) -> str:
    """Return the id of an object."""
    name = f"{kind} {len(payload)}".encode("ascii")
    return hashlib.new(hash_name, name + b"\0" + payload, usedforsecurity=False).hexdigest()


def tip_of(content: bytes) -> str:
    """Return the commit that a bundle file offers, by its head alone; "" for another file."""
    heads = ((len(head), content.startswith(head)) for head, _ in _HEADS)
    found = next((_REFS.match(content, at) for at, begins in heads if begins), None)
    return found[2].decode("ascii") if found is not None else ""


def read_bundle(content: bytes) -> Carried:
    """Return the content of a bundle file. Raise ObjectError."""
    for head, hash_name in _HEADS:
        found = _REFS.match(content, len(head)) if content.startswith(head) else None
        if found is not None:
            need, tip, ref = (part.decode("ascii") for part in found.groups(b""))
            objects = _read_pack(content[found.end() :], hash_name)
            if {len(tip), len(need) or len(tip)} != {hashlib.new(hash_name).digest_size * 2}:
                raise ObjectError(f"expected {hash_name} ids in its head, found others")
            return Carried(hash_name, need, tip, ref, MappingProxyType(objects))
    raise ObjectError("expected a Git bundle with one ref, found something else")


def _read_pack(pack: bytes, hash_name: str) -> dict[str, tuple[str, bytes]]:
    end = len(pack) - hashlib.new(hash_name).digest_size
    if end < 12 or pack[:8] != b"PACK\0\0\0\x02":
        raise ObjectError("expected a pack of version 2, found none")
    if hashlib.new(hash_name, pack[:end], usedforsecurity=False).digest() != pack[end:]:
        raise ObjectError("expected the pack's own checksum at its end, found another")
    objects: dict[str, tuple[str, bytes]] = {}
    at, before = 12, ""
    for _ in range(int.from_bytes(pack[8:12], "big")):
        kind, size, at = _entry(pack, at, end)
        payload, at = _stored(pack, at, end, size)
        oid = object_id(kind, payload, hash_name)
        if oid <= before:
            raise ObjectError(
                f"expected objects in the order of their ids, found {oid[:12]} after {before[:12]}"
            )
        objects[oid], before = (kind, payload), oid
    if at != end:
        raise ObjectError(
            f"expected the pack to end after its objects, found {end - at} more bytes"
        )
    return objects


def _entry(pack: bytes, at: int, end: int) -> tuple[str, int, int]:
    """Return (kind, size, offset of its stream) of the entry at `at`. Raise ObjectError."""
    number, shift, start = 0, 0, at
    while at < end and at - start < 9:
        byte = pack[at]
        number |= (byte & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if not byte & 0x80:
            kind, size = _KINDS.get(number >> 4 & 7), number & 0xF | number >> 7 << 4
            if kind is None or (at - start > 1 and byte == 0):
                raise ObjectError(
                    "expected whole commits, trees and blobs with plain sizes, found another entry"
                )
            return kind, size, at
    raise ObjectError("expected an entry's size, found the end of the pack")


def _stored(pack: bytes, at: int, end: int, size: int) -> tuple[bytes, int]:
    """Return (payload, end) of the zlib stream at `at`; the payload has `size` bytes. Raise
    ObjectError.
    """
    blocks = max(1, -(-size // _FULL_BLOCK))
    after = at + 2 + blocks * 5 + size + 4
    if after > end or pack[at : at + 2] != b"\x78\x01":
        raise ObjectError("expected an object in stored blocks, found another stream")
    at, parts = at + 2, []
    for number in range(blocks):
        last = number == blocks - 1
        length = size - number * _FULL_BLOCK if last else _FULL_BLOCK
        marks = (
            bytes([last]) + length.to_bytes(2, "little") + (length ^ 0xFFFF).to_bytes(2, "little")
        )
        if pack[at : at + 5] != marks:
            raise ObjectError("expected full stored blocks, found others")
        parts.append(pack[at + 5 : at + 5 + length])
        at += 5 + length
    payload = b"".join(parts)
    if zlib.adler32(payload).to_bytes(4, "big") != pack[at : at + 4]:
        raise ObjectError("expected the checksum of an object's stream, found another")
    return payload, at + 4


def commit_payload(commit: Commit) -> bytes:
    """Return the one form of a commit by the constant author at the constant time."""
    rows = [
        b"tree " + commit.tree.encode(),
        *(b"parent " + parent.encode() for parent in commit.parents),
    ]
    rows += [
        b"author " + AUTHOR,
        b"committer " + AUTHOR,
        b"",
        commit.message.rstrip().encode("utf-8", "surrogateescape"),
    ]
    return b"\n".join(rows) + b"\n"


def unreached(carried: Carried, links: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Return carried objects that the tip does not lead to; `links` maps commits and trees to their
    ids.
    """
    seen: set[str] = set()
    waiting = [carried.tip]
    while waiting:
        oid = waiting.pop()
        if oid in carried.objects and oid not in seen:
            seen.add(oid)
            waiting += links.get(oid, ())
    return tuple(sorted(carried.objects.keys() - seen))
