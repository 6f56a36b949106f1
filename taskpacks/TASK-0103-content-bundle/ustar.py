"""A tar archive (POSIX ustar) that is a function of names and contents alone.

Rule: sorted names, one mode, owner 0, time 0, no compression: nothing is left to a library, a
clock or the order of the files. Does not know file systems.
"""

from __future__ import annotations

from collections.abc import Mapping

_BLOCK = 512
_RECORD = 20 * _BLOCK
_NAME, _PREFIX = 100, 155


def archive(files: Mapping[str, bytes]) -> bytes:
    """The archive's bytes. Raises ValueError for a name that ustar or a reader cannot take."""
    parts = []
    for name in sorted(files):
        content = files[name]
        parts += [_header(name, len(content)), content, bytes(-len(content) % _BLOCK)]
    body = b"".join(parts) + bytes(2 * _BLOCK)
    return body + bytes(-len(body) % _RECORD)


def _header(name: str, size: int) -> bytes:
    prefix, short = _split(name)
    fields = (
        short.ljust(_NAME, b"\0"),
        b"0000644\0",  # mode
        b"0000000\0" * 2,  # owner and group
        b"%011o\0" % size,
        b"%011o\0" % 0,  # time
        b" " * 8,  # the checksum counts as spaces
        b"0",  # a plain file
        bytes(100),  # no link
        b"ustar\x0000",
        bytes(64),  # no names of owner and group
        b"0000000\0" * 2,  # no device
        prefix.ljust(_PREFIX, b"\0"),
        bytes(12),
    )
    block = b"".join(fields)
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def _split(name: str) -> tuple[bytes, bytes]:
    """A name as ustar keeps it: a prefix and up to 100 bytes."""
    parts = name.split("/")
    if (
        not name.isascii()
        or not name.isprintable()
        or any(part in ("", ".", "..") for part in parts)
    ):
        raise ValueError(f"expected a plain relative name in ASCII, found {name!r}")
    for cut in range(len(parts)):
        prefix, short = "/".join(parts[:cut]).encode(), "/".join(parts[cut:]).encode()
        if len(short) <= _NAME and len(prefix) <= _PREFIX:
            return prefix, short
    raise ValueError(
        f"expected a name that fits into {_PREFIX} and {_NAME} bytes, found {len(name)}"
    )
