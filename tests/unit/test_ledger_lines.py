"""Reading the ledger's lines in pieces: whatever the size of a piece, the lines are those of the
file.
"""

from __future__ import annotations

import itertools
from itertools import chain
from pathlib import Path

import pytest

from factory.evidence import ledger_lines
from factory.evidence.ledger_lines import Joined, lines_backwards, lines_of, lines_with
from factory.evidence.ledger_store import LedgerStore
from factory.files.clock import SystemClock
from factory.model.errors import Refusal
from factory.model.event import Entry

LINES = [b"%d %s" % (number, b"xyz"[: number % 4]) for number in range(40)]


@pytest.mark.parametrize("piece", [7, 8, 13, 64, 4096])
def test_every_piece_gives_the_same_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece: int
) -> None:
    monkeypatch.setattr(ledger_lines, "_CHUNK", piece)
    content = b"".join(line + b"\n" for line in LINES)
    cuts = [0, *(content.index(b"\n%d " % number) + 1 for number in (3, 4, 31)), len(content)]
    for segments in (
        written(tmp_path / "one", [content]),
        written(tmp_path / "many", [content[a:b] for a, b in itertools.pairwise(cuts)]),
    ):
        size = len(content)
        assert [*lines_of(segments, size)] == LINES
        assert [*lines_backwards(segments, size, [b""])] == LINES[::-1]
        for needles in ([b"xyz"], [b"1", b"xy"], [b"none"], []):
            fitting = [line for line in LINES if any(needle in line for needle in needles)]
            assert [*lines_with(segments, size, needles)] == fitting
            assert [*lines_backwards(segments, size, needles)] == fitting[::-1]
        first = content.index(b"\n3 ") + 1
        assert [*lines_of(segments, first)] == LINES[:3]
        assert [*lines_backwards(segments, first, [b""])] == LINES[:3][::-1]
        assert [
            *chain(
                lines_of(segments, 0),
                lines_backwards(segments, 0, [b""]),
                lines_with(segments, 0, [b""]),
            )
        ] == []
        with Joined(segments) as stream:
            for place in (0, 5, *cuts):
                stream.seek(place)
                read = b"".join(iter(lambda: stream.read(piece), b""))
                assert read == (content + b"torn")[place:]


def written(folder: Path, parts: list[bytes]) -> list[Path]:
    """Segments with these bytes, and a torn line after the last."""
    folder.mkdir()
    paths = [folder / str(number) for number in range(len(parts))]
    for path, part in zip(paths, parts, strict=True):
        path.write_bytes(part)
    paths[-1].write_bytes(parts[-1] + b"torn")
    return paths


def test_a_store_of_several_segments_reads_and_appends_as_one(tmp_path: Path) -> None:
    """One file cut in two is the same ledger: the same ids, roots and lines; what is torn lies in
    the last, and a segment that changed is refused.
    """

    def segmented(folder: Path) -> LedgerStore:
        store = LedgerStore(folder, SystemClock())
        store._segments = (folder / "ledger.1", folder / "ledger.jsonl")
        return store

    for folder in ("one", "two"):
        (tmp_path / folder / "locks").mkdir(parents=True)
    one = LedgerStore(tmp_path / "one", SystemClock())
    for name in "abcd":
        one.append(Entry(name, "run_1"))
    lines = (tmp_path / "one" / "ledger.jsonl").read_bytes().splitlines(keepends=True)
    two = tmp_path / "two"
    (two / "ledger.1").write_bytes(b"".join(lines[:3]))
    (two / "ledger.jsonl").write_bytes(lines[3] + b"torn")
    store = segmented(two)
    (found,) = store.recover()
    assert (found.id, (two / "ledger.jsonl").read_bytes()[: len(lines[3])]) == (
        "LEDGER_TORN",
        lines[3],
    )
    store.append(Entry("e", "run_1"))
    again = segmented(two)
    assert [event.event_type for event in again.of_runs(["run_1"])] == [*"abcde"]
    assert [event.event_type for event in again.newest("a", "e")] == ["e", "a"]
    assert again.state().tree == store.state().tree
    assert again.tree(4).root == one.state().tree.root
    assert (two / "ledger.1").read_bytes() == b"".join(lines[:3])
    (two / "ledger.1").write_bytes(b"".join([lines[0], lines[2], lines[1]]))
    with pytest.raises(Refusal) as raised:
        segmented(two).state()
    assert raised.value.findings[0].id == "LEDGER_BROKEN"
