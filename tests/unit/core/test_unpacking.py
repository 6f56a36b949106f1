"""Looking into packed bytes: all of them within the bounds, in work that grows with their number,
and it says so.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import struct
import zlib
from collections.abc import Callable

import pytest

from factory.judge.secrecy import carried
from factory.redact import unpacking
from factory.redact.redaction import Redactor
from factory.redact.unpacking import MOST_MEMBERS, Bounds, layers

EMPTY = gzip.compress(b"", 1, mtime=0)


def header(named: int = 0) -> bytes:
    """The beginning of a member of a ZIP, deflated, with a name of so many bytes."""
    return struct.pack("<4s5H3I2H", b"PK\3\4", 20, 0, 8, 0, 0, 0, 0, 0, named, 0)


HEADER = header()
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
}
TOKEN = b"glpat-" + b"aB3dE6gH9" * 4


def told(content: bytes, bounds: Bounds) -> list[bytes]:
    return list(layers(content, bounds))


def deflated(content: bytes) -> bytes:
    engine = zlib.compressobj(wbits=-15)
    return engine.compress(content) + engine.flush()


class Fed:
    """A decompressor that counts the bytes it is given."""

    count = 0

    def __init__(self, wbits: int) -> None:
        self._reader = zlib.decompressobj(wbits)

    def decompress(self, data: bytes, max_length: int) -> bytes:
        Fed.count += len(data)
        return self._reader.decompress(data, max_length)

    @property
    def eof(self) -> bool:
        return self._reader.eof

    @property
    def unconsumed_tail(self) -> bytes:
        return self._reader.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._reader.unused_data


@pytest.fixture
def fed(monkeypatch: pytest.MonkeyPatch) -> type[Fed]:
    Fed.count = 0
    monkeypatch.setattr(unpacking, "_STREAMS", ((b"\x1f\x8b", lambda: Fed(31)),))
    monkeypatch.setattr(unpacking, "_ZIPPED", {8: lambda: Fed(-15)})
    return Fed


@pytest.mark.parametrize("members", [1_000, 10_000])
def test_empty_members_cost_no_more_than_a_piece_each(members: int, fed: type[Fed]) -> None:
    bounds = Bounds()
    assert told(EMPTY * members, bounds)[1:] == [b""]
    assert not bounds.reached
    assert 0 < fed.count <= members * 512


@pytest.mark.parametrize("members", [1_000, 10_000])
def test_members_of_a_zip_cost_no_more_than_a_piece_each(members: int, fed: type[Fed]) -> None:
    told((HEADER + b"\3\0") * members + bytes(1 << 20), Bounds())
    assert 0 < fed.count <= members * 512 + (1 << 20)


def test_members_that_share_what_yields_nothing_are_read_within_the_bound(fed: type[Fed]) -> None:
    shared = b"\0\0\0\xff\xff" * 100_000  # stored blocks of no byte
    bounds = Bounds(unpacked=4 << 20)
    told(
        b"".join(header(number * len(HEADER)) for number in reversed(range(1_000))) + shared, bounds
    )
    assert bounds.reached
    assert fed.count <= (4 << 20) + unpacking._PIECE


def test_members_count_over_all_layers() -> None:
    bounds = Bounds(members=250)
    inner = gzip.compress(HEADER * 200)
    told(gzip.compress(inner), bounds)
    assert not bounds.reached
    told(gzip.compress(inner), bounds)
    assert bounds.reached


@pytest.mark.parametrize("kind", PACKERS)
def test_a_stream_of_many_pieces_comes_out_whole(kind: str) -> None:
    content = b"".join(
        struct.pack("<Q", number * 0x9E3779B97F4A7C15 & (1 << 64) - 1) for number in range(150_000)
    )
    bounds = Bounds()
    packed = PACKERS[kind](content) + PACKERS[kind](b"end")
    assert told(packed, bounds) == [packed, content + b"end"]
    assert not bounds.reached


@pytest.mark.parametrize(
    "size", [unpacking._PIECE - 1, unpacking._PIECE, unpacking._PIECE + 1, 3 * unpacking._PIECE]
)
@pytest.mark.parametrize("kind", PACKERS)
def test_what_fills_a_piece_exactly_is_not_lost(kind: str, size: int) -> None:
    assert told(PACKERS[kind](bytes(size)), Bounds())[1] == bytes(size)


@pytest.mark.parametrize("kind", PACKERS)
def test_a_stream_that_was_cut_shows_what_it_has(kind: str) -> None:
    packed = PACKERS[kind](b"".join(b"%d " % number for number in range(200_000)))
    (_, shown) = told(packed[:-20], Bounds())
    assert shown.startswith(b"0 1 2 3 ")


def test_each_member_of_a_zip_is_a_text_of_its_own() -> None:
    packed = b"".join(HEADER + deflated(b"%d" % number) for number in range(3))
    assert told(packed, Bounds())[1:] == [b"0", b"1", b"2"]


@pytest.mark.parametrize(
    "content",
    [
        EMPTY * MOST_MEMBERS + gzip.compress(TOKEN),
        HEADER * MOST_MEMBERS + HEADER + deflated(TOKEN),
        gzip.compress(gzip.compress(gzip.compress(gzip.compress(TOKEN)))),
    ],
    ids=["gzip members", "zip members", "layers"],
)
def test_what_is_packed_beyond_the_bounds_counts_as_a_credential(content: bytes) -> None:
    found = carried(Redactor(), content)
    assert found.kinds == (
        "or may: what it packs beyond 3 layers, 20000 members or 256 MiB is not searched",
    )
    assert found.prints


def test_what_comes_to_the_bound_does_not() -> None:
    assert carried(Redactor(), EMPTY * MOST_MEMBERS).kinds == ()
    assert carried(Redactor(), gzip.compress(gzip.compress(gzip.compress(b"plain")))).kinds == ()


def test_more_bytes_than_the_bound_are_told() -> None:
    for content in (gzip.compress(bytes(2 << 20)), HEADER + deflated(bytes(2 << 20))):
        bounds = Bounds(unpacked=1 << 20)
        assert sum(map(len, told(content, bounds)[1:])) == 1 << 20
        assert bounds.reached
