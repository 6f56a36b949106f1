"""Reading the ledger's lines in pieces: whatever the size of a piece, the lines are those of the
file.
"""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import pytest

from factory.evidence import ledger_lines
from factory.evidence.ledger_lines import lines_backwards, lines_of, lines_with

LINES = [b"%d %s" % (number, b"xyz"[: number % 4]) for number in range(40)]


@pytest.mark.parametrize("piece", [7, 8, 13, 64, 4096])
def test_every_piece_gives_the_same_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece: int
) -> None:
    monkeypatch.setattr(ledger_lines, "_CHUNK", piece)
    path = tmp_path / "ledger"
    content = b"".join(line + b"\n" for line in LINES)
    path.write_bytes(content + b"torn")
    size = len(content)
    assert [*lines_of(path, size)] == LINES
    assert [*lines_backwards(path, size, [b""])] == LINES[::-1]
    for needles in ([b"xyz"], [b"1", b"xy"], [b"none"], []):
        fitting = [line for line in LINES if any(needle in line for needle in needles)]
        assert [*lines_with(path, size, needles)] == fitting
        assert [*lines_backwards(path, size, needles)] == fitting[::-1]
    assert [
        *chain(lines_of(path, 0), lines_backwards(path, 0, [b""]), lines_with(path, 0, [b""]))
    ] == []
