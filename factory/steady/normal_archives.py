"""Normalise ZIP, tar and gzip: the same content gives the same bytes, whenever and whoever packed
it.

Rule: names and contents stay, members are sorted; times, owners, modes beyond "executable",
comments and extra fields become constant. Nothing is ever extracted, and of a ZIP nothing is even
decompressed. An archive with anything doubtful (links, special files, names that leave a folder, a
name twice, encryption, bytes that no member owns, more than a bound) is refused as a whole.
Sources: PKWARE APPNOTE 6.3, POSIX.1-2017 pax, RFC 1952, RFC 1951. Knows no files.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from factory.steady.normal_text import Counts, Unnormal

MOST_MEMBERS = 20_000  # bounds the time that a hostile archive can cost
MOST_BYTES = 256 * 1024 * 1024  # of an archive, and of what comes out of a gzip stream
EPOCH = 315532800  # 1980-01-01 UTC, the earliest time that a ZIP archive can express

# ── names ────────────────────────────────────────────────────────────────────


def _judge_names(names: list[bytes]) -> None:
    """Raise Unnormal for a name that occurs twice, is empty, or leaves the folder it is unpacked
    in.
    """
    if len(names) > MOST_MEMBERS:
        raise Unnormal(f"it has more than {MOST_MEMBERS} members")
    if len({name.rstrip(b"/") for name in names}) != len(names):
        raise Unnormal("it contains a name twice")
    for name in names:
        parts = name.rstrip(b"/").split(b"/")
        odd = b"\\" in name or b"\0" in name or re.match(rb"[A-Za-z]:", name) is not None
        if odd or b".." in parts or b"" in parts or (b"." in parts and name != b"./"):
            raise Unnormal("it contains a name that is not a plain relative path")


# ── ZIP ──────────────────────────────────────────────────────────────────────

_LOCAL, _CENTRAL, _END = (
    struct.Struct("<4s5H3I2H"),
    struct.Struct("<4s6H3I5H2I"),
    struct.Struct("<4s4H2IH"),
)
_UTF8, _DESCRIPTOR, _ENCRYPTED = 0x800, 0x8, 0x2041
_TYPE, _REGULAR, _FOLDER, _EXECUTABLE = 0o170000, 0o100000, 0o040000, 0o111
_UNIX, _FIRST_DAY = 3, 0x21


@dataclass(frozen=True, slots=True)
class _Packed:
    """Describe one member of a ZIP: its header fields, its compressed bytes, and if it is
    executable.
    """

    name: bytes
    flags: int
    method: int
    crc: int
    packed: memoryview
    length: int
    executable: bool


def normal_zip(content: bytes, counts: Counts) -> bytes:
    """Return the same members in order of their names, compressed bytes unchanged. Raise
    Unnormal.
    """
    if len(content) > MOST_BYTES:
        raise Unnormal(f"it is larger than {MOST_BYTES} bytes")
    try:
        members = _zip_members(content)
    except (struct.error, IndexError) as error:
        raise Unnormal("it is no whole ZIP archive") from error
    _judge_names([member.name for member in members])
    counts.add("time, owner and extra fields of a member", len(members))
    return _zip_of(sorted(members, key=_rank))


def _rank(member: _Packed) -> tuple[int, bytes]:
    """Return the sort key: by name, but members that readers look for first (OPC, EPUB, JAR) come
    first.
    """
    first = (b"mimetype", b"META-INF/", b"META-INF/MANIFEST.MF")
    return (first.index(member.name) if member.name in first else len(first), member.name)


def _zip_members(content: bytes) -> list[_Packed]:
    at = content.rfind(b"PK\5\6")
    if at < 0:
        raise Unnormal("it is no whole ZIP archive")
    _, disk, other, here, count, size, start, comment = _END.unpack_from(content, at)
    if disk or other or here != count or count == 0xFFFF or start == 0xFFFFFFFF:
        raise Unnormal("it is a ZIP of several parts, or a ZIP64")
    if at + _END.size + comment != len(content) or start + size != at:
        raise Unnormal("it contains bytes that no member owns")
    if count > MOST_MEMBERS:
        raise Unnormal(f"it has more than {MOST_MEMBERS} members")
    members, spans = [], []
    for _ in range(count):
        start, member, span = _zip_member(content, start)
        members.append(member)
        spans.append(span)
    owned = 0
    for begin, end in sorted(spans):
        if begin != owned:
            raise Unnormal("it contains members that overlap, or bytes that no member owns")
        owned = end
    if start != at or owned != at - size:
        raise Unnormal("it contains bytes that no member owns")
    return members


def _zip_member(content: bytes, at: int) -> tuple[int, _Packed, tuple[int, int]]:
    """Return (offset of the next entry, this member, span of its bytes before the directory)."""
    row = _CENTRAL.unpack_from(content, at)
    (
        mark,
        made_by,
        _,
        flags,
        method,
        _,
        _,
        crc,
        packed,
        length,
        named,
        extra,
        remark,
        disk,
        _,
        attributes,
        start,
    ) = row
    if mark != b"PK\1\2" or disk:
        raise Unnormal("it is no whole ZIP archive")
    if flags & _ENCRYPTED or 0xFFFFFFFF in (packed, length, start):
        raise Unnormal("it is encrypted, or a ZIP64")
    name = content[at + _CENTRAL.size : at + _CENTRAL.size + named]
    mode = attributes >> 16 if made_by >> 8 == _UNIX else 0
    if mode & _TYPE not in (0, _REGULAR, _FOLDER):
        raise Unnormal("it contains a link or a special file")
    begin, end = _zip_span(content, start, (name, flags, method, crc, packed, length))
    member = _Packed(
        # No copy: before the spans are compared, every entry may claim all of the archive.
        name,
        flags & ~_DESCRIPTOR,
        method,
        crc,
        memoryview(content)[begin : begin + packed],
        length,
        bool(mode & _EXECUTABLE),
    )
    return at + _CENTRAL.size + named + extra + remark, member, (start, end)


def _zip_span(
    content: bytes, start: int, due: tuple[bytes, int, int, int, int, int]
) -> tuple[int, int]:
    """Return (begin, end) of a member's data and descriptor. Raise Unnormal if its own header
    disagrees.

    `begin` is the first byte of the compressed data.
    """
    name, flags, method, crc, packed, length = due
    mark, _, own_flags, own_method, _, _, own_crc, own_packed, own_length, named, extra = (
        _LOCAL.unpack_from(content, start)
    )
    begin = start + _LOCAL.size + named + extra
    later = bool(flags & _DESCRIPTOR)
    same = content[start + _LOCAL.size : start + _LOCAL.size + named] == name and (
        own_flags,
        own_method,
    ) == (
        flags,
        method,
    )
    sizes = (own_crc, own_packed, own_length)
    if (
        mark != b"PK\3\4"
        or not same
        or not (sizes == (crc, packed, length) or (later and sizes == (0, 0, 0)))
    ):
        raise Unnormal("a member and its entry in the directory do not agree")
    end = begin + packed
    if later:
        told = struct.pack("<3I", crc, packed, length)
        if content[end : end + 16] == b"PK\7\10" + told:
            return begin, end + 16
        if content[end : end + 12] != told:
            raise Unnormal("a member and its entry in the directory do not agree")
        end += 12
    return begin, end


def _zip_of(members: list[_Packed]) -> bytes:
    body, directory = bytearray(), bytearray()
    for member in members:
        start = len(body)
        folder = member.name.endswith(b"/")
        mode = _FOLDER | 0o755 if folder else _REGULAR | (0o755 if member.executable else 0o644)
        common = (
            member.flags,
            member.method,
            0,
            _FIRST_DAY,
            member.crc,
            len(member.packed),
            member.length,
        )
        needed = 20 if member.method in (0, 8) else 63
        body += _LOCAL.pack(b"PK\3\4", needed, *common, len(member.name), 0) + member.name
        body += member.packed
        attributes = mode << 16 | (0x10 if folder else 0)
        rest = (len(member.name), 0, 0, 0, 0, attributes, start)
        directory += _CENTRAL.pack(b"PK\1\2", _UNIX << 8 | 20, needed, *common, *rest) + member.name
    end = _END.pack(b"PK\5\6", 0, 0, len(members), len(members), len(directory), len(body), 0)
    return bytes(body + directory) + end


# ── tar ──────────────────────────────────────────────────────────────────────

_BLOCK, _RECORD = 512, 10240
_DROPPED = frozenset(
    (b"mtime", b"atime", b"ctime", b"uid", b"gid", b"uname", b"gname", b"comment", b"path")
)


@dataclass(frozen=True, slots=True)
class _Member:
    """Describe one member of a tar; `content` None means a folder."""

    name: bytes
    content: bytes | None
    executable: bool


def normal_tar(content: bytes, counts: Counts) -> bytes:
    """Return the same plain files and folders in order of their names. Raise Unnormal."""
    if len(content) > MOST_BYTES:
        raise Unnormal(f"it is larger than {MOST_BYTES} bytes")
    members = [member for member in _tar_members(content) if member.name not in (b".", b"./", b"")]
    _judge_names([member.name for member in members])
    counts.add("time and owner of a member", len(members))
    made = b"".join(
        _tar_entry(member) for member in sorted(members, key=lambda member: member.name)
    )
    return made + bytes(2 * _BLOCK + -(len(made) + 2 * _BLOCK) % _RECORD)


def _tar_members(content: bytes) -> Iterator[_Member]:
    at, long_name, seen = 0, b"", 0
    while at + _BLOCK <= len(content) and any(content[at : at + _BLOCK]):
        header = content[at : at + _BLOCK]
        _judge_header(header)
        size = _octal(header[124:136])
        body = content[at + _BLOCK : at + _BLOCK + size]
        at += _BLOCK + size + -size % _BLOCK
        seen += 1
        if len(body) != size or seen > 3 * MOST_MEMBERS:
            raise Unnormal(f"it is cut off, or has more than {MOST_MEMBERS} members")
        kind = header[156:157]
        if kind == b"x":
            long_name = _pax_path(body) or long_name
        elif kind == b"L":
            long_name = body.rstrip(b"\0")
        elif kind == b"g":
            _pax_path(body)
        else:
            yield _tar_member(header, kind, body, long_name)
            long_name = b""
    if long_name or len(content) < at + 2 * _BLOCK:
        raise Unnormal("it is cut off")
    if content.count(0, at) != len(content) - at:
        raise Unnormal("it contains bytes that no member owns")


def _judge_header(header: bytes) -> None:
    told = _octal(header[148:156])
    if sum(header) - sum(header[148:156]) + 8 * 0x20 != told or header[257:262] not in (
        b"ustar",
        bytes(5),
    ):
        raise Unnormal("it is no tar archive")


def _octal(field: bytes) -> int:
    text = field.strip(b" \0")
    if re.fullmatch(rb"[0-7]*", text) is None:
        raise Unnormal("it is no tar archive, or has a member beyond 8 GiB")
    return int(text or b"0", 8)


def _tar_member(header: bytes, kind: bytes, body: bytes, long_name: bytes) -> _Member:
    name = long_name or header[:100].rstrip(b"\0")
    if not long_name and header[257:263] == b"ustar\0" and header[345:500].rstrip(b"\0"):
        name = header[345:500].rstrip(b"\0") + b"/" + name
    name = name.removeprefix(b"./")
    if kind == b"5":
        return _Member(name.rstrip(b"/"), None, True)
    if kind not in (b"0", b"\0"):
        raise Unnormal("it contains a link or a special file")
    return _Member(name, body, bool(_octal(header[100:108]) & _EXECUTABLE))


def _pax_path(body: bytes) -> bytes:
    """Return the path that a pax header gives, or b"". Raise Unnormal for a record that would get
    lost.
    """
    found, at = b"", 0
    while at < len(body):
        match = re.compile(rb"([0-9]{1,9}) ").match(body, at)
        size = int(match[1]) if match is not None else 0
        record = body[at : at + size]
        key, equals, value = (
            record[len(match[0]) if match is not None else 0 :].removesuffix(b"\n").partition(b"=")
        )
        if (
            match is None
            or len(record) != size
            or size <= len(match[0])
            or not equals
            or not record.endswith(b"\n")
        ):
            raise Unnormal("it is no tar archive")
        if key not in _DROPPED:
            raise Unnormal("it contains an attribute that would get lost")
        found = value if key == b"path" else found
        at += size
    return found


def _tar_entry(member: _Member) -> bytes:
    name = member.name + (b"/" if member.content is None else b"")
    content = member.content or b""
    kind = b"5" if member.content is None else b"0"
    lead = b""
    if len(name) > 100:
        record = _pax_record(b"path", name)
        lead = _tar_header(b"pax", 0o644, len(record), b"x") + record + bytes(-len(record) % _BLOCK)
    mode = 0o755 if member.executable else 0o644
    return (
        lead
        + _tar_header(name[:100], mode, len(content), kind)
        + content
        + bytes(-len(content) % _BLOCK)
    )


def _pax_record(key: bytes, value: bytes) -> bytes:
    rest = b" " + key + b"=" + value + b"\n"
    size = len(rest)
    while size != len(str(size)) + len(rest):
        size = len(str(size)) + len(rest)
    return str(size).encode("ascii") + rest


def _tar_header(name: bytes, mode: int, size: int, kind: bytes) -> bytes:
    before = name.ljust(100, b"\0") + b"%07o\0%07o\0%07o\0%011o\0%011o\0" % (
        mode,
        0,
        0,
        size,
        EPOCH,
    )
    after = kind + bytes(100) + b"ustar\x0000" + bytes(64) + b"%07o\0%07o\0" % (0, 0) + bytes(167)
    told = sum(before) + sum(after) + 8 * 0x20
    return before + b"%06o\0 " % told + after


# ── gzip ─────────────────────────────────────────────────────────────────────

_FIRST_PIECE, _PIECE = (
    1 << 9,
    1 << 20,
)  # bytes read at once: start small, since most of a large piece may be beyond the stream
_TEXT, _CHECKED, _EXTRA, _NAMED, _REMARKED = 1, 2, 4, 8, 16


@dataclass(frozen=True, slots=True)
class Unzipped:
    """Contain one gzip stream: its content, and its compressed bytes with checksum and length."""

    content: bytes
    stream: bytes


def unzipped(content: bytes) -> tuple[Unzipped, ...]:
    """Return every stream of a gzip file. Raise Unnormal also for more than `MOST_BYTES` of
    content.
    """
    streams: list[Unzipped] = []
    left, at = MOST_BYTES, 0
    while at < len(content):
        found, at = _gzip_stream(content, at, left)
        left -= len(found.content)
        streams.append(found)
        if len(streams) > MOST_MEMBERS:
            raise Unnormal(f"it has more than {MOST_MEMBERS} members")
    if not streams:
        raise Unnormal("it is no gzip file")
    return tuple(streams)


def _gzip_stream(content: bytes, begin: int, most: int) -> tuple[Unzipped, int]:
    """Return (the stream that begins at `begin`, its end). Reads pieces, to avoid copying what
    follows.
    """
    start = at = _gzip_header(content, begin)
    engine = zlib.decompressobj(-zlib.MAX_WBITS)
    parts: list[bytes] = []
    left, piece = most, _FIRST_PIECE
    while not engine.eof:
        given, piece = content[at : at + piece], min(2 * piece, _PIECE)
        at += len(given)
        try:
            parts.append(engine.decompress(given, left + 1))
        except zlib.error as error:
            raise Unnormal("it is damaged") from error
        left -= len(parts[-1])
        if left < 0:
            raise Unnormal(f"more than {MOST_BYTES} bytes would come out of it")
        if not given:
            raise Unnormal("it is damaged")
    out = b"".join(parts)
    end = at - len(engine.unused_data) + 8
    if content[end - 8 : end] != struct.pack("<2I", zlib.crc32(out), len(out) & 0xFFFFFFFF):
        raise Unnormal("it is damaged")
    return Unzipped(out, content[start:end]), end


def _gzip_header(content: bytes, begin: int) -> int:
    """Return the offset of the compressed bytes. Raise Unnormal if there is no gzip header."""
    head = content[begin : begin + 18]
    if len(head) < 18 or head[:3] != b"\x1f\x8b\x08" or head[3] & 0xE0:
        raise Unnormal("it is no gzip file, or contains bytes that no member owns")
    flags, at = head[3], begin + 10
    if flags & _EXTRA:
        at += 2 + int.from_bytes(content[at : at + 2], "little")
    for flag in (_NAMED, _REMARKED):
        if flags & flag:
            at = content.find(b"\0", at) + 1
            if not at:
                raise Unnormal("it is damaged")
    return at + (2 if flags & _CHECKED else 0)


_GZIP_HEADER = b"\x1f\x8b\x08" + bytes(6) + b"\xff"


def rewrapped(streams: tuple[Unzipped, ...], counts: Counts) -> bytes:
    """Return the same compressed bytes below headers without time, name, comment and system."""
    counts.add("gzip header", len(streams))
    return b"".join(_GZIP_HEADER + stream.stream for stream in streams)


def stored(content: bytes, counts: Counts) -> bytes:
    """Return a gzip file of stored blocks: compressed bytes differ from one zlib to another, these
    do not.
    """
    counts.add("gzip header")
    pieces = [content[at : at + 0xFFFF] for at in range(0, len(content), 0xFFFF)] or [b""]
    blocks = bytearray()
    for number, piece in enumerate(pieces, 1):
        blocks += (
            struct.pack("<BHH", number == len(pieces), len(piece), len(piece) ^ 0xFFFF) + piece
        )
    return (
        _GZIP_HEADER
        + bytes(blocks)
        + struct.pack("<2I", zlib.crc32(content), len(content) & 0xFFFFFFFF)
    )
