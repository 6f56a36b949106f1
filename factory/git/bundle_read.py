"""Read back the bundles that `git.bundle_write` writes, and nothing else.

Accepts only what the writer would print: at most one prerequisite, one ref, an undeltified pack of
stored blocks in the order of ids, nothing after it. Sources: gitformat-bundle, gitformat-pack.
"""

from __future__ import annotations

import hashlib
import re
import struct
from dataclasses import dataclass

from factory.git.bundle_write import format_bundle, stored_deflate
from factory.model.tree import object_id

_KIND_NAMES = {1: "commit", 2: "tree", 3: "blob"}
_HEAD = re.compile(
    rb"\A(?:# v2 git bundle\n|# v3 git"
    rb" bundle\n@object-format=sha256\n)(?:-(?P<need>[0-9a-f]{40,64}) \n)?"
    rb"(?P<tip>[0-9a-f]{40,64}) (?P<ref>refs/codex/[A-Za-z0-9._-]+)\n\n"
)


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


def parse_bundle(content: bytes, hash_name: str) -> Carried:
    """Parse a bundle. Raise BundleError unless writing it again gives the same bytes."""
    head = _HEAD.match(content)
    if head is None:
        raise BundleError("does not start like a bundle of this tool")
    objects = _parse_pack(content[head.end() :], hash_name)
    carried = Carried(
        (head["need"] or b"").decode(), head["tip"].decode(), head["ref"].decode(), objects
    )
    if carried.tip not in objects:
        raise BundleError("does not hold the commit that it names")
    if format_bundle(carried.tip, carried.ref, carried.prerequisite, objects, hash_name) != content:
        raise BundleError("is not in the form this tool writes")
    return carried


def _parse_pack(pack: bytes, hash_name: str) -> dict[str, tuple[str, bytes]]:
    size = hashlib.new(hash_name, usedforsecurity=False).digest_size
    if len(pack) < 12 + size:
        raise BundleError("ends inside its pack")
    magic, version, count = struct.unpack_from(">4sII", pack)
    if magic != b"PACK" or version != 2:
        raise BundleError("holds no pack of version 2")
    body, at = pack[:-size], 12
    objects: dict[str, tuple[str, bytes]] = {}
    for _ in range(count):
        kind, length, at = _entry_head(body, at)
        content, at = _stored(body, at, length)
        objects[object_id(kind, content, hash_name)] = (kind, content)
    if at != len(body) or len(objects) != count:
        raise BundleError("holds more or fewer objects than it says")
    return objects


def _entry_head(body: bytes, at: int) -> tuple[str, int, int]:
    if at >= len(body):
        raise BundleError("ends inside its pack")
    byte = body[at]
    kind, length, shift, at = byte >> 4 & 7, byte & 0x0F, 4, at + 1
    while byte & 0x80:
        if at >= len(body) or shift > 60:
            raise BundleError("holds an object of no sound length")
        byte = body[at]
        length, shift, at = length | (byte & 0x7F) << shift, shift + 7, at + 1
    if kind not in _KIND_NAMES:
        raise BundleError("holds a delta or an unknown kind of object")
    return _KIND_NAMES[kind], length, at


def _stored(body: bytes, at: int, length: int) -> tuple[bytes, int]:
    """Return (content, end) of one stored zlib stream at `at`; the content has exactly `length`
    bytes.

    Raise BundleError for any other stream.
    """
    parts: list[bytes] = []
    got, start, last = 0, at, False
    at += 2
    while not last:
        if at + 5 > len(body):
            raise BundleError("ends inside an object")
        last, size = body[at] == 1, int.from_bytes(body[at + 1 : at + 3], "little")
        parts.append(body[at + 5 : at + 5 + size])
        at, got = at + 5 + size, got + size
        if got > length:
            raise BundleError("holds an object longer than it says")
    at += 4
    content = b"".join(parts)
    if stored_deflate(content) != body[start:at]:
        raise BundleError("holds an object that is not stored plainly")
    return content, at
