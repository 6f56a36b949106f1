"""Write a Git bundle whose bytes depend on its objects only.

Rule: no delta, no compression (stored deflate blocks, written here), objects in the order of their
ids. So the bytes do not depend on the version of zlib or Git, and two hosts write the same file.
Does not know where objects come from. Sources: gitformat-bundle, gitformat-pack, RFC 1950/1951.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Mapping

_KINDS = {"commit": 1, "tree": 2, "blob": 3}
_STORED_MAX = 0xFFFF


def format_bundle(
    commit: str,
    ref: str,
    prerequisite: str,
    objects: Mapping[str, tuple[str, bytes]],
    hash_name: str,
) -> bytes:
    """Return a bundle that offers `commit` as `ref` to a receiver that has `prerequisite` ("" for
    none).

    `objects` maps ids to (kind, content) and must contain all that is new, the commit too. Version
    2 for SHA-1, version 3 with its capability for SHA-256.
    """
    head = (
        "# v2 git bundle\n"
        if hash_name == "sha1"
        else f"# v3 git bundle\n@object-format={hash_name}\n"
    )
    needed = f"-{prerequisite} \n" if prerequisite else ""
    return f"{head}{needed}{commit} {ref}\n\n".encode("utf-8", "surrogateescape") + format_pack(
        objects, hash_name
    )


def format_pack(objects: Mapping[str, tuple[str, bytes]], hash_name: str) -> bytes:
    """Return an undeltified version-2 pack of (kind, content) by id, ending in its own digest."""
    parts = [struct.pack(">4sII", b"PACK", 2, len(objects))]
    for oid in sorted(objects):
        kind, content = objects[oid]
        parts += [_entry_header(_KINDS[kind], len(content)), stored_deflate(content)]
    body = b"".join(parts)
    return body + hashlib.new(hash_name, body, usedforsecurity=False).digest()


def _entry_header(kind: int, size: int) -> bytes:
    """Return the type in three bits and the size in 4 + 7 + 7 … bits, least significant first."""
    first = kind << 4 | size & 0x0F
    size >>= 4
    out = bytearray()
    while size:
        out.append(first | 0x80)
        first = size & 0x7F
        size >>= 7
    out.append(first)
    return bytes(out)


def stored_deflate(content: bytes) -> bytes:
    """Return a zlib stream of stored blocks: header, blocks of at most 65,535 bytes, Adler-32."""
    parts = [b"\x78\x01"]
    last = max(len(content) - 1, 0) // _STORED_MAX
    for number in range(last + 1):
        block = content[number * _STORED_MAX : (number + 1) * _STORED_MAX]
        parts += [struct.pack("<BHH", number == last, len(block), len(block) ^ 0xFFFF), block]
    parts.append(struct.pack(">I", zlib.adler32(content)))
    return b"".join(parts)
