"""Write and read Git bundles whose bytes depend on their objects only.

Rule: no delta, no compression (stored deflate blocks, written here), objects in the order of their
ids. So the bytes do not depend on the version of zlib or Git, and two hosts write the same file. A
bundle is accepted only if writing it again would give the same bytes. Does not know where objects
come from. Sources: gitformat-bundle, gitformat-pack, RFC 1950/1951.
"""

from __future__ import annotations

import hashlib
import re
import struct
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate

from factory.model.tree import object_id

_KINDS = {"commit": 1, "tree": 2, "blob": 3}
_KIND_NAMES = {number: kind for kind, number in _KINDS.items()}
_STORED_MAX = 0xFFFF  # the length of a stored block has 16 bits (RFC 1951, 3.2.4)
_ZLIB = b"\x78\x01"  # deflate with a window of 32 KiB, fastest (RFC 1950, 2.2)
_PACK_HEAD = struct.Struct(">4sII")
_LONGEST_SIZE = 64  # bits of an object's size; more is no size of anything
_HEAD = re.compile(
    rb"\A(?:# v2 git bundle\n|# v3 git"
    rb" bundle\n@object-format=sha256\n)(?:-(?P<need>[0-9a-f]{40,64}) \n)?"
    rb"(?P<tip>[0-9a-f]{40,64}) (?P<ref>refs/codex/[A-Za-z0-9._-]+)\n\n"
)

Objects = Mapping[str, tuple[str, bytes]]
"""Kind and content of Git objects, by id."""


class BundleError(ValueError):
    """Report that the bytes are not a bundle in this project's form: one clause."""


@dataclass(frozen=True, slots=True)
class Carried:
    """Contain a bundle's content: its prerequisite commit, its tip, and (kind, content) by object
    id.
    """

    prerequisite: str
    tip: str
    ref: str
    objects: dict[str, tuple[str, bytes]]


def format_bundle(
    commit: str, ref: str, prerequisite: str, objects: Objects, hash_name: str
) -> bytes:
    """Return a bundle that offers `commit` as `ref` to a receiver that has `prerequisite` ("" for
    none).

    `objects` must contain all that is new, the commit too. Version 2 for SHA-1, version 3 with its
    capability for SHA-256.
    """
    parts = [_head(commit, ref, prerequisite, hash_name), *_pack(objects, hash_name)]
    return b"".join(parts)


def _head(commit: str, ref: str, prerequisite: str, hash_name: str) -> bytes:
    version = (
        "# v2 git bundle\n"
        if hash_name == "sha1"
        else f"# v3 git bundle\n@object-format={hash_name}\n"
    )
    needed = f"-{prerequisite} \n" if prerequisite else ""
    return f"{version}{needed}{commit} {ref}\n\n".encode("utf-8", "surrogateescape")


def format_pack(objects: Objects, hash_name: str) -> bytes:
    """Return an undeltified pack of version 2, ending in its own digest."""
    return b"".join(_pack(objects, hash_name))


def format_index(objects: Objects, pack: bytes, hash_name: str) -> bytes:
    """Return the index (version 2) of what `format_pack` made of these objects, below 2 GiB."""
    at, sums, places = _PACK_HEAD.size, b"", b""
    for oid in sorted(objects):
        kind, content = objects[oid]
        end = at + len(_entry_head(kind, len(content))) + _stored_size(len(content))
        sums += struct.pack(">I", zlib.crc32(memoryview(pack)[at:end]))
        places += struct.pack(">I", at)
        at = end
    oids = sorted(map(bytes.fromhex, objects))
    counts = Counter(oid[0] for oid in oids)
    fan = struct.pack(">256I", *accumulate(counts[first] for first in range(256)))
    index = b"\xfftOc\0\0\0\2" + fan + b"".join(oids) + sums + places + pack[at:]
    return index + hashlib.new(hash_name, index, usedforsecurity=False).digest()


def _pack(objects: Objects, hash_name: str) -> Iterator[bytes | memoryview]:
    """Yield a pack in parts, of which the large ones are views of the objects."""
    hashed = hashlib.new(hash_name, usedforsecurity=False)
    for part in _pack_body(objects):
        hashed.update(part)
        yield part
    yield hashed.digest()


def _pack_body(objects: Objects) -> Iterator[bytes | memoryview]:
    yield _PACK_HEAD.pack(b"PACK", 2, len(objects))
    for oid in sorted(objects):
        kind, content = objects[oid]
        yield _entry_head(kind, len(content))
        yield from stored_blocks(content)


def _entry_head(kind: str, size: int) -> bytes:
    """Return the type in three bits and the size in 4 + 7 + 7 … bits, least significant first."""
    first = _KINDS[kind] << 4 | size & 0x0F
    size >>= 4
    out = bytearray()
    while size:
        out.append(first | 0x80)
        first = size & 0x7F
        size >>= 7
    out.append(first)
    return bytes(out)


def stored_blocks(content: bytes) -> Iterator[bytes | memoryview]:
    """Yield a zlib stream of stored blocks: header, full blocks and a last one, Adler-32."""
    view = memoryview(content)
    yield _ZLIB
    for at, size, last in _blocks(len(content)):
        yield _block_head(size, last)
        yield view[at : at + size]
    yield struct.pack(">I", zlib.adler32(content))


def _stored_size(length: int) -> int:
    """Return the size of `stored_blocks` of so many bytes."""
    return len(_ZLIB) + sum(5 + size for _, size, _ in _blocks(length)) + 4


def _blocks(length: int) -> Iterator[tuple[int, int, bool]]:
    """Yield offset, size and whether it is the last, for each block of so many bytes; of no bytes
    one.
    """
    for at in range(0, max(length, 1), _STORED_MAX):
        size = min(_STORED_MAX, length - at)
        yield at, size, at + size == length


def _block_head(size: int, last: bool) -> bytes:
    return struct.pack("<BHH", last, size, size ^ 0xFFFF)


def tip_of(content: bytes) -> str:
    """Return the commit that a bundle of this tool offers, by its head; "" for other bytes."""
    head = _HEAD.match(content)
    return head["tip"].decode() if head is not None else ""


def parse_bundle(content: bytes, hash_name: str) -> Carried:
    """Parse a bundle. Raise BundleError unless writing it again gives the same bytes."""
    head = _HEAD.match(content)
    if head is None:
        raise BundleError("does not start like a bundle of this tool")
    prerequisite, tip, ref = (head[name] or b"" for name in ("need", "tip", "ref"))
    carried = Carried(
        prerequisite.decode(),
        tip.decode(),
        ref.decode(),
        _parse_pack(memoryview(content)[head.end() :], hash_name),
    )
    if carried.tip not in carried.objects:
        raise BundleError("does not contain the commit that it names")
    if head[0] != _head(carried.tip, carried.ref, carried.prerequisite, hash_name):
        raise BundleError("is not in the form this tool writes")
    return carried


def _parse_pack(pack: memoryview, hash_name: str) -> dict[str, tuple[str, bytes]]:
    hashed = hashlib.new(hash_name, usedforsecurity=False)
    if len(pack) < 12 + hashed.digest_size:
        raise BundleError("ends inside its pack")
    magic, version, count = struct.unpack_from(">4sII", pack)
    if magic != b"PACK" or version != 2:
        raise BundleError("contains no pack of version 2")
    body, at = pack[: -hashed.digest_size], 12
    objects: dict[str, tuple[str, bytes]] = {}
    for _ in range(count):
        kind, length, at = _parse_entry_head(body, at)
        content, at = _parse_stored(body, at, length)
        objects[object_id(kind, content, hash_name)] = (kind, content)
    if at != len(body) or len(objects) != count:
        raise BundleError("contains more or fewer objects than it says")
    hashed.update(body)
    if list(objects) != sorted(objects) or hashed.digest() != pack[-hashed.digest_size :]:
        raise BundleError("is not in the form this tool writes")
    return objects


def _parse_entry_head(body: memoryview, at: int) -> tuple[str, int, int]:
    """Return kind and size of the object at `at`, and where its content begins."""
    if at >= len(body):
        raise BundleError("ends inside its pack")
    start, byte = at, body[at]
    kind, length, shift, at = byte >> 4 & 7, byte & 0x0F, 4, at + 1
    while byte & 0x80:
        if at >= len(body) or shift + 4 > _LONGEST_SIZE:
            raise BundleError("contains an object of no sound length")
        byte = body[at]
        length, shift, at = length | (byte & 0x7F) << shift, shift + 7, at + 1
    if kind not in _KIND_NAMES:
        raise BundleError("contains a delta or an unknown kind of object")
    if body[start:at] != _entry_head(_KIND_NAMES[kind], length):
        raise BundleError("is not in the form this tool writes")
    return _KIND_NAMES[kind], length, at


def _parse_stored(body: memoryview, at: int, length: int) -> tuple[bytes, int]:
    """Return the content of one stream of `stored_blocks` of `length` bytes, and where the next
    entry begins.
    """
    blocks = max(1, -(-length // _STORED_MAX))
    if at + len(_ZLIB) + 5 * blocks + length + 4 > len(body):
        raise BundleError("ends inside an object")
    if body[at : at + 2] != _ZLIB:
        raise BundleError("contains an object that is not stored plainly")
    at += 2
    parts: list[memoryview] = []
    for _, size, last in _blocks(length):
        if body[at : at + 5] != _block_head(size, last):
            raise BundleError("contains an object that is not stored plainly")
        parts.append(body[at + 5 : at + 5 + size])
        at += 5 + size
    content = b"".join(parts)
    if body[at : at + 4] != struct.pack(">I", zlib.adler32(content)):
        raise BundleError("contains an object that is not stored plainly")
    return content, at + 4
