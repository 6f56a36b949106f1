"""Artifacts in constant forms: the same said twice is the same bytes, and what is hostile stays as
it is.
"""

from __future__ import annotations

import gzip
import io
import json
import random
import struct
import tarfile
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.steady import normal_archives, normal_text
from factory.steady.normal_archives import EPOCH
from factory.steady.normalize_artifacts import form_of, normalize
from tests.sample import examples

NAMES = st.lists(
    st.from_regex(r"[a-zé]{1,4}(/[a-z]{1,60}){0,3}(\.txt)?", fullmatch=True),
    unique=True,
    min_size=1,
    max_size=6,
).filter(lambda names: not any(a != b and b.startswith(a + "/") for a in names for b in names))
FILES = NAMES.flatmap(
    lambda names: st.tuples(*(st.tuples(st.just(name), st.binary(max_size=40)) for name in names))
)
STAMPS = st.integers(EPOCH, 2**31)
Files = tuple[tuple[str, bytes], ...]


def zipped(
    files: Files, stamp: int, *, order: int = 0, create_system: int = 3, streamed: bool = False
) -> bytes:
    """A ZIP by the standard library; stamp and order vary what must not matter."""

    class Unseekable(io.BytesIO):
        def seekable(self) -> bool:
            return not streamed

        def seek(self, *where: int) -> int:
            if streamed:
                raise io.UnsupportedOperation
            return super().seek(*where)

        def tell(self) -> int:
            if streamed:
                raise io.UnsupportedOperation
            return super().tell()

    out = Unseekable()
    rows = files[order % len(files) :] + files[: order % len(files)]
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in rows:
            date = (
                1980 + stamp % 100,
                1 + stamp % 12,
                1 + stamp % 28,
                stamp % 24,
                stamp % 60,
                2 * (stamp % 30),
            )
            info = zipfile.ZipInfo(name, date)
            info.compress_type, info.create_system = zipfile.ZIP_DEFLATED, create_system
            info.external_attr = (0o100600 | stamp % 2 * 4) << 16
            info.comment = str(stamp).encode()
            archive.writestr(info, content)
        archive.comment = str(stamp).encode()
    return out.getvalue()


def tarred(files: Files, stamp: int, form: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for name, content in files if stamp % 2 else tuple(reversed(files)):
            info = tarfile.TarInfo(("./" if stamp % 3 else "") + name)
            info.size, info.mtime, info.uid, info.gid = (
                len(content),
                stamp + stamp % 7 / 8,
                stamp % 60000,
                3,
            )
            info.uname, info.mode = f"user{stamp % 9}", 0o640 if stamp % 2 else 0o600
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def zip_contents(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        return {info.filename: archive.read(info) for info in archive.infolist()}


def tar_contents(content: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        return {info.name: archive.extractfile(info).read() for info in archive if info.isfile()}  # type: ignore[union-attr]


def same(path: str, one: bytes, two: bytes) -> bytes:
    """The one form of both, which is its own."""
    first, second = normalize(path, one), normalize(path, two)
    assert (first.problem, second.problem) == ("", "")
    assert first.content == second.content
    again = normalize(path, first.content)
    assert (again.content, again.changes, again.problem) == (first.content, (), "")
    return first.content


@given(FILES, STAMPS, STAMPS, st.integers(0, 5), st.booleans())
def test_zips_of_two_moments_become_one(
    files: Files, one: int, two: int, order: int, streamed: bool
) -> None:
    made = same("out/a.ZIP", zipped(files, one), zipped(files, two, order=order, streamed=streamed))
    assert zip_contents(made) == dict(files)
    assert list(zip_contents(made)) == sorted(dict(files), key=lambda name: name.encode())


@given(FILES, STAMPS, STAMPS, st.sampled_from((tarfile.PAX_FORMAT, tarfile.GNU_FORMAT)))
def test_tars_of_two_moments_become_one(files: Files, one: int, two: int, form: int) -> None:
    made = same("a.tar", tarred(files, one), tarred(files, two, form))
    assert tar_contents(made) == dict(files)


@given(FILES, STAMPS, STAMPS, st.integers(0, 9), st.integers(0, 9))
def test_compressed_tars_of_two_moments_and_levels_become_one(
    files: Files, a: int, b: int, x: int, y: int
) -> None:
    one, two = (
        gzip.compress(tarred(files, stamp), level, mtime=stamp) for stamp, level in ((a, x), (b, y))
    )
    assert tar_contents(gzip.decompress(same("a.tgz", one, two))) == dict(files)


@given(st.binary(max_size=200), STAMPS, STAMPS, st.text("abc", min_size=1, max_size=5))
def test_gzip_headers_of_two_moments_become_one(
    content: bytes, one: int, two: int, name: str
) -> None:
    named = io.BytesIO()
    with gzip.GzipFile(f"{name}.bin", "wb", 9, named, one) as stream:
        stream.write(content)
    assert (
        gzip.decompress(same("x.bin.gz", named.getvalue(), gzip.compress(content, 9, mtime=two)))
        == content
    )


def test_content_that_fills_many_stored_blocks() -> None:
    content = bytes(range(256)) * 1000
    made = normalize("a.log.gz", gzip.compress(b"x" * 200_000 + b"\n"))
    assert gzip.decompress(made.content) == b"x" * 200_000 + b"\n"
    twice = normalize("a.bin.gz", gzip.compress(content) + gzip.compress(content))
    assert gzip.decompress(twice.content) == 2 * content


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(JSON)
def test_json_of_two_writers_becomes_one(value: object) -> None:
    one, two = json.dumps(value), json.dumps(value, indent=3, sort_keys=True, ensure_ascii=False)
    if any("\ud800" <= char <= "\udfff" for char in two):
        return
    same("a.json", one.encode(), two.encode())


def test_json_keeps_what_it_means_and_loses_what_varies() -> None:
    raw = (
        b'{"b": [1.10, 1e400, -0], "timestamp": 12.5, "duration": "3s", "a": "at'
        b' 2026-01-01T00:00:00Z", "pid": [1]}'
    )
    made = normalize("r.json", raw)
    assert (
        made.content.decode()
        == '{\n  "a": "at <TIME>",\n  "b": [\n    1.10,\n    1e400,\n    -0\n  ],\n  "duration":'
        ' "",\n'
        '  "pid": [\n    1\n  ],\n  "timestamp": 0\n}\n'
    )
    assert made.changes == ("1 x member duration", "1 x member timestamp", "1 x time")


def test_xml_of_two_moments_becomes_one() -> None:
    def report(stamp: str, took: str, quote: str) -> bytes:
        head = "<?xml version='1.0' encoding='utf-8'?>\n<!-- by a tool -->"
        head += f"<testsuite hostname={quote}{stamp[-3:]}{quote}"
        case = f"<testcase name='a &amp; b' time='{took}' classname={quote}c{quote}></testcase>"
        return f"{head} timestamp='{stamp}'>{case}<out>took {took} s</out></testsuite>".encode()

    made = same(
        "junit.xml",
        report("2026-01-01T00:00:01", "0.12", "'"),
        report("2026-02-01T10:00:09", "7", '"'),
    )
    assert (
        made.decode()
        == '<!-- by a tool -->\n<testsuite hostname="" timestamp=""><testcase classname="c" name="a'
        ' &amp; b" time="0"></testcase><out>took &lt;DURATION&gt;</out></testsuite>\n'
    )


@pytest.mark.parametrize(
    ("path", "form"),
    [("a/b.LOG", "log"), ("x.tar.gz", "tar+gzip"), ("x.tgz", "tar+gzip"), ("x.gz", "gzip"), ("x.json.gz", "json+gzip"),
     ("x.whl", "zip"), ("x.tar.gz.gz", "gzip"), ("x.png", ""), ("json", ""), ("x.xml/y", "")],
)  # fmt: skip
def test_forms_by_name(path: str, form: str) -> None:
    assert form_of(path) == form


ONE: Files = (("a.txt", b"a"),)


def special_tar(kind: bytes, name: str = "a", link: str = "") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, link
        archive.addfile(info)
    return out.getvalue()


def overlapping_zip(second: bytes = b"b.txt") -> bytes:
    """Two entries of the directory, one and the same data: the classic bomb."""
    made = bytearray(zipped(ONE, EPOCH))
    end = made.rfind(b"PK\5\6")
    start = struct.unpack_from("<I", made, end + 16)[0]
    entry = made[start:end]
    made[end:end] = entry.replace(b"a.txt", second)
    end += len(entry)
    struct.pack_into("<2H2I", made, end + 8, 2, 2, 2 * len(entry), start)
    return bytes(made)


def duplicate_zip() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a", "1")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a", "2")
    return out.getvalue()


def linked_zip() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        info = zipfile.ZipInfo("a")
        info.create_system, info.external_attr = 3, 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    return out.getvalue()


def pax_tar(headers: dict[str, str]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(
        fileobj=out, mode="w", format=tarfile.PAX_FORMAT, pax_headers=headers
    ) as archive:
        archive.addfile(tarfile.TarInfo("a"))
    return out.getvalue()


def patched_zip(at: int, value: bytes, *, local: bool = False, content: bytes = b"") -> bytes:
    """A sound archive with some bytes of its first entry in the directory (or of its own header)
    exchanged.
    """
    made = bytearray(content or zipped(ONE, EPOCH))
    start = 0 if local else made.find(b"PK\1\2")
    made[start + at : start + at + len(value)] = value
    return bytes(made)


def ended_zip(at: int, value: bytes) -> bytes:
    """A sound archive with some bytes of the end of its directory exchanged."""
    made = bytearray(zipped(ONE, EPOCH))
    start = made.rfind(b"PK\5\6")
    made[start + at : start + at + len(value)] = value
    return bytes(made)


def gapped_zip() -> bytes:
    """Bytes between the members and their directory, which the end of it knows of."""
    made = zipped(ONE, EPOCH)
    start, end = made.find(b"PK\1\2"), made.rfind(b"PK\5\6")
    told = struct.pack("<2I", end - start, start + 4)
    return made[:start] + b"more" + made[start : end + 12] + told + made[end + 20 :]


def described_zip(*, marked: bool, damaged: bool = False) -> bytes:
    """A streamed archive, whose lengths follow the data: behind a mark (as most write it) or
    not.
    """
    made = zipped(ONE, EPOCH, streamed=True)
    at, start, end = made.find(b"PK\7\x08"), made.find(b"PK\1\2"), made.rfind(b"PK\5\6")
    assert at > 0
    told = made[at + 4 : at + 16]
    lengths = told[::-1] if damaged else told
    left = 0 if marked else 4
    place = struct.pack("<I", start - left)
    mark = b"" if left else made[at : at + 4]
    return made[:at] + mark + lengths + made[start : end + 16] + place + made[end + 20 :]


def headed_tar(at: int, value: bytes) -> bytes:
    """A tar of one file with some bytes of its header exchanged, under the checksum that fits
    them.
    """
    made = bytearray(special_tar(tarfile.REGTYPE))
    made[at : at + len(value)] = value
    made[148:156] = b" " * 8
    made[148:156] = b"%06o\0 " % sum(made[:512])
    return bytes(made)


def raw_pax_tar(records: bytes, kind: bytes = b"x") -> bytes:
    """A tar of one file below a pax header of these bytes."""
    out = bytearray(tarfile.TarInfo("pax").tobuf(tarfile.USTAR_FORMAT))
    info = tarfile.TarInfo("pax")
    info.type, info.size = kind, len(records)
    out[:] = info.tobuf(tarfile.USTAR_FORMAT) + records + bytes(-len(records) % 512)
    return bytes(out) + special_tar(tarfile.REGTYPE)


def flagged_gzip(flags: int, extra: bytes) -> bytes:
    """A gzip stream of `x` whose header has these flags and these bytes after its fixed part."""
    plain = gzip.compress(b"x", mtime=0)
    return plain[:3] + bytes([flags]) + plain[4:10] + extra + plain[10:]


HOSTILE: tuple[tuple[str, Callable[[], bytes], str], ...] = (
    ("a.zip", lambda: b"", "no whole ZIP"),
    ("a.zip", lambda: b"PK\5\6", "no whole ZIP"),
    ("a.zip", lambda: zipped((("../up", b""),), EPOCH), "not a plain relative path"),
    ("a.zip", lambda: zipped((("/etc/x", b""),), EPOCH), "not a plain relative path"),
    ("a.zip", lambda: zipped((("c:\\x", b""),), EPOCH), "not a plain relative path"),
    ("a.zip", overlapping_zip, "overlap|do not agree"),
    ("a.zip", lambda: overlapping_zip(b"a.txt"), "overlap"),
    ("a.zip", duplicate_zip, "a name twice"),
    ("a.zip", linked_zip, "a link"),
    ("a.zip", lambda: b"#!/bin/sh\n" + zipped(ONE, EPOCH), "no member owns|do not agree|no whole"),
    ("a.zip", lambda: zipped(ONE, EPOCH).replace(b"a.txt", b"b.txt", 1), "do not agree"),
    ("a.zip", lambda: zipped(ONE, EPOCH) + b"more", "no member owns"),
    ("a.zip", lambda: ended_zip(4, b"\1"), "several parts"),
    ("a.zip", lambda: ended_zip(8, b"\xff\xff\xff\xff"), "ZIP64"),
    ("a.zip", lambda: ended_zip(8, b"\2\0\2\0"), "no whole ZIP"),
    ("a.zip", lambda: ended_zip(8, bytes(4)), "no member owns"),
    ("a.zip", gapped_zip, "no member owns"),
    ("a.zip", lambda: patched_zip(8, b"\1\0"), "encrypted"),
    ("a.zip", lambda: patched_zip(20, b"\xff\xff\xff\xff"), "ZIP64"),
    ("a.zip", lambda: patched_zip(34, b"\1"), "no whole ZIP"),
    ("a.zip", lambda: patched_zip(10, bytes(2), local=False), "do not agree"),
    ("a.zip", lambda: patched_zip(14, b"\7", local=True), "do not agree"),
    ("a.zip", lambda: described_zip(marked=True, damaged=True), "do not agree"),
    ("a.zip", lambda: described_zip(marked=False, damaged=True), "do not agree"),
    ("a.tar", lambda: headed_tar(124, b"\x80" + bytes(11)), "beyond 8 GiB"),
    ("a.tar", lambda: headed_tar(257, b"other"), "no tar"),
    ("a.tar", lambda: headed_tar(156, b"K"), "a link"),
    ("a.tar", lambda: raw_pax_tar(b"12 path=b\n"), "no tar"),
    ("a.tar", lambda: raw_pax_tar(b"path=b\n"), "no tar"),
    ("a.tar", lambda: raw_pax_tar(b"9 pathxb\n"), "no tar"),
    ("a.tar", lambda: raw_pax_tar(b"22 GNU.sparse.major=1\n"), "would get lost"),
    ("a.tar", lambda: raw_pax_tar(b"22 GNU.sparse.major=1\n", b"g"), "would get lost"),
    ("a.tar", lambda: raw_pax_tar(b"10 path=b\n")[:1024] + bytes(1024), "cut off"),
    ("a.tar", lambda: b"", "cut off"),
    ("a.tar", lambda: b"x" * 1024, "no tar"),
    ("a.tar", lambda: special_tar(tarfile.SYMTYPE, link="/etc/passwd"), "a link"),
    ("a.tar", lambda: special_tar(tarfile.LNKTYPE, link="b"), "a link"),
    ("a.tar", lambda: special_tar(tarfile.FIFOTYPE), "a link or a special file"),
    ("a.tar", lambda: special_tar(tarfile.REGTYPE, "../up"), "not a plain relative path"),
    ("a.tar", lambda: special_tar(tarfile.REGTYPE, "/etc/x"), "not a plain relative path"),
    ("a.tar", lambda: tarred(ONE, EPOCH)[:600], "cut off|no tar|no member owns"),
    ("a.tar", lambda: tarred((("a.txt", b"x" * 2000),), EPOCH, tarfile.GNU_FORMAT)[:1024], "cut off, or has more than"),
    ("a.tar", lambda: tarred(ONE, EPOCH) + b"tail", "no member owns"),
    ("a.tar", lambda: pax_tar({"SCHILY.xattr.user.x": "1"}), "would get lost"),
    ("a.gz", lambda: b"", "no gzip"),
    ("a.gz", lambda: gzip.compress(b"x")[:-1], "damaged"),
    ("a.gz", lambda: gzip.compress(b"x") + b"tail", "no gzip"),
    ("a.gz", lambda: flagged_gzip(8, b"").replace(b"\0", b"\1"), "no gzip|damaged"),
    ("a.gz", lambda: flagged_gzip(0x20, b""), "no gzip"),
    ("a.gz", lambda: gzip.compress(b"x")[:10] + b"\xff" * 12, "damaged"),
    ("a.tar.gz", lambda: gzip.compress(b"no tar" * 200), "no tar"),
    ("a.json", lambda: b'{"a": 1, "a": 2}', "one name twice"),
    ("a.json", lambda: b"[NaN]", "NaN"),
    ("a.json", lambda: b"[" * 100_000, "deeper"),
    ("a.json", lambda: b"{", "no JSON"),
    ("a.json", lambda: b'["\\ud800"]', "surrogate"),
    ("a.json", lambda: b"\xff", "UTF-8"),
    ("a.xml", lambda: b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "document type"),
    ("a.xml", lambda: b"<a>" * 1000, "deeper"),
    ("a.xml", lambda: b"<a>", "no XML"),
    ("a.xml", lambda: b"<?xml version='1.0' encoding='none-such'?><a/>", "no XML"),
    ("a.png", lambda: b"\x89PNG", "no ending that"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("path", "make", "why"),
    HOSTILE,
    ids=[f"{at}-{path}" for at, (path, _, _) in enumerate(HOSTILE)],
)
def test_what_is_not_sound_stays_as_it_is(path: str, make: Callable[[], bytes], why: str) -> None:
    content = make()
    made = normalize(path, content)
    assert made.content == content
    assert any(each in made.problem for each in why.split("|")), made.problem
    assert made.changes == ()


def test_lengths_behind_the_data_are_read_with_and_without_their_mark() -> None:
    made = same("a.zip", described_zip(marked=True), described_zip(marked=False))
    assert made == normalize("a.zip", zipped(ONE, EPOCH)).content


def test_every_optional_part_of_a_gzip_header_goes() -> None:
    extra = struct.pack("<H", 5) + b"extra"
    bare = gzip.compress(b"x", mtime=0)
    full = flagged_gzip(1 | 2 | 4 | 8 | 16, extra + b"name\0" + b"remark\0" + b"cs")
    for content in (
        full,
        flagged_gzip(4, extra),
        flagged_gzip(16, b"remark\0"),
        flagged_gzip(2, b"cs"),
    ):
        assert gzip.decompress(same("x.bin.gz", content, bare)) == b"x"


def test_a_name_of_a_gzip_stream_that_never_ends_is_damage() -> None:
    content = b"\x1f\x8b\x08\x08" + b"\1" * 20
    assert normalize("x.bin.gz", content).problem == "it is damaged"


def test_long_names_of_every_tar_come_to_one_form() -> None:
    """pax and GNU write them before the member, ustar splits them between two fields; some write
    the folder itself.
    """
    long = "/".join(["folder"] * 16) + "/file.txt"
    files: Files = ((long, b"content"),)
    forms = [
        tarred(files, EPOCH, form)
        for form in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT)
    ]
    made = same("a.tar", forms[0], forms[1])
    assert made == same("a.tar", forms[2], forms[0])
    assert tar_contents(made) == dict(files)


def test_folders_of_a_tar_stay_and_the_folder_it_is_packed_from_goes() -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name in (".", "./b", "./" + "long" * 30):
            info = tarfile.TarInfo(name)
            info.type, info.mode = tarfile.DIRTYPE, 0o700
            archive.addfile(info)
    with tarfile.open(fileobj=io.BytesIO(normalize("a.tar", out.getvalue()).content)) as archive:
        found = [(info.name, info.isdir(), info.mode, info.mtime) for info in archive]
    assert found == [("b", True, 0o755, EPOCH), ("long" * 30, True, 0o755, EPOCH)]


def test_numbers_in_the_global_header_of_a_tar_are_left_out() -> None:
    assert (
        same("a.tar", pax_tar({"mtime": "1.5"}), pax_tar({}))
        == normalize("a.tar", pax_tar({})).content
    )


def test_xml_keeps_its_instructions_comments_and_namespaces_as_they_are() -> None:
    raw = (
        b"<?sheet  href='a&b.xsl'?><p:a xmlns:p='urn:x'>1 &lt; 2<!-- &lt; & <b> 10:15:02"
        b" --><p:b/></p:a><?end?>"
    )
    made = normalize("a.xml", raw)
    assert (
        same("a.xml", raw, made.content).decode() == "<?sheet href='a&b.xsl'?>\n"
        '<p:a xmlns:p="urn:x">1 &lt; 2<!-- &lt; & <b> <TIME> --><p:b></p:b></p:a>\n'
        "<?end?>\n"
    )
    assert made.changes == ("1 x time",)


@pytest.mark.parametrize("path", ["a.json", "a.xml"])
def test_a_text_beyond_the_bound_is_not_read(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(normal_text, "MOST_TEXT", 10)
    assert normalize(path, b"x" * 11).problem == "it is larger than 10 bytes"


def test_bombs_are_refused_without_being_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(normal_archives, "MOST_BYTES", 1 << 20)
    engine = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = engine.compress(bytes(1 << 25)) + engine.flush()
    assert len(bomb) < 1 << 16
    for content in (bomb, bomb * 3):
        assert "would come out" in normalize("a.gz", content).problem
    assert "larger than" in normalize("a.tar", bytes(2 << 20)).problem
    monkeypatch.setattr(normal_archives, "MOST_MEMBERS", 5)
    many: Files = tuple((f"m{number}", b"") for number in range(6))
    assert "more than 5 members" in normalize("a.zip", zipped(many, EPOCH)).problem
    assert "more than 5 members" in normalize("a.tar", tarred(many, EPOCH)).problem
    assert "more than 5 members" in normalize("a.gz", gzip.compress(b"") * 6).problem
    assert "larger than" in normalize("a.zip", bytes(2 << 20)).problem


@examples(60)
@given(st.sampled_from(["a.zip", "a.tar", "a.tgz", "a.gz", "a.json", "a.xml", "a.log"]), st.data())
def test_any_bytes_come_to_an_end_without_an_error(path: str, data: st.DataObject) -> None:
    """Also damaged ones of a sound archive; what is normalised stays normal."""
    sound: dict[str, Any] = {
        "a.zip": zipped,
        "a.tar": tarred,
        "a.tgz": lambda f, s: gzip.compress(tarred(f, s), mtime=0),
    }
    base = (
        sound[path]((("a", b"b"), ("c/d", b"")), EPOCH)
        if path in sound
        else data.draw(st.binary(max_size=60))
    )
    content = bytearray(base)
    for _ in range(data.draw(st.integers(0, 4))):
        if content:
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    made = normalize(path, bytes(content))
    assert made.problem == "" or made.content == bytes(content)
    if not made.problem:
        assert normalize(path, made.content).content == made.content


def test_executables_stay_so_and_readers_find_what_they_look_for_first() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for number, name in zip(
            count(), ("mimetype", "META-INF/", "META-INF/MANIFEST.MF", "A.class"), strict=False
        ):
            info = zipfile.ZipInfo(name)
            info.create_system, info.external_attr = (
                3,
                (0o040755 if name.endswith("/") else 0o100711) << 16,
            )
            archive.writestr(info, b"" if name.endswith("/") else str(number))
    made = normalize("a.jar", out.getvalue())
    with zipfile.ZipFile(io.BytesIO(made.content)) as archive:
        assert archive.namelist() == ["mimetype", "META-INF/", "META-INF/MANIFEST.MF", "A.class"]
        assert {info.external_attr >> 16 for info in archive.infolist()} == {0o100755, 0o040755}


def test_what_follows_a_gzip_stream_is_not_copied_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    given = []
    make = zlib.decompressobj

    class Fed:
        """A decompressor that tells what it is given."""

        def __init__(self, wbits: int) -> None:
            self._engine = make(wbits)

        def decompress(self, data: bytes, most: int) -> bytes:
            given.append(len(data))
            return self._engine.decompress(data, most)

        def __getattr__(self, name: str) -> object:
            return getattr(self._engine, name)

    monkeypatch.setattr(zlib, "decompressobj", Fed)
    content = gzip.compress(b"", 1, mtime=0) * 5_000
    assert normalize("a.gz", content).problem == ""
    assert len(given) == 5_000
    assert sum(given) <= 5_000 * 512


@pytest.mark.parametrize("size", [0, 511, 512, 513, 1 << 16, 3 << 20])
def test_a_gzip_stream_of_any_length_comes_out_whole(size: int) -> None:
    content = random.Random(size).randbytes(size)
    packed = gzip.compress(content) + gzip.compress(b"end")
    assert [each.content for each in normal_archives.unzipped(packed)] == [content, b"end"]


def test_entries_that_all_claim_the_whole_archive_cost_no_copy_of_it() -> None:
    data = bytes(1 << 20)
    local = (
        struct.pack(
            "<4s5H3I2H", b"PK\3\4", 20, 0, 0, 0, 0, zlib.crc32(data), len(data), len(data), 1, 0
        )
        + b"a"
    )
    entry = struct.pack(
        "<4s6H3I5H2I",
        b"PK\1\2",
        20,
        20,
        0,
        0,
        0,
        0,
        zlib.crc32(data),
        len(data),
        len(data),
        1,
        0,
        0,
        0,
        0,
        0,
        0,
    )
    directory = (entry + b"a") * 500
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 500, 500, len(directory), len(local + data), 0)
    tracemalloc.start()
    try:
        problem = normalize("a.zip", local + data + directory + end).problem
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()
    assert problem == "it contains members that overlap, or bytes that no member owns"


def test_json_whose_indents_would_fill_the_memory_is_left_as_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(normal_text, "_MOST_MADE", 1 << 16)
    deep = b"[" * 150 + b",".join([b"1"] * 1_000) + b"]" * 150
    assert normalize("a.json", deep).problem == f"its normal form is larger than {1 << 16} bytes"
    assert normalize("a.json", b"[" + b",".join([b"1"] * 1_000) + b"]").problem == ""


def test_namespaces_in_force_are_bounded_and_those_no_more_in_force_are_not() -> None:
    names = b" ".join(b'xmlns:n%d="u%d"' % (number, number) for number in range(201))
    assert (
        normalize("a.xml", b"<a %b><b/></a>" % names).problem
        == "it has more than 200 namespaces in force in one place"
    )
    one = b'<b xmlns:n="u" n:x="1"><c xmlns:m="v"/></b>'
    assert normalize("a.xml", b"<a>" + one * 300 + b"</a>").problem == ""
