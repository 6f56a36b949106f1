"""Each bench in its small form, once: it runs to its end and yields ratios. No time is judged
here.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.__main__ import BENCHES, main
from bench.measure import Row, row, timed

pytestmark = pytest.mark.linux

SOURCE = Path(__file__).resolve().parents[2]
ROWS = {
    "start": 2,
    "list": 1,
    "noop": 1,
    "small": 2,
    "pack": 2,
    "growth": 1,
    "first": 2,
    "verify": 1,
    "append": 1,
    "index": 2,
    "overlap": 2,
    "content": 2,
    "holes": 2,
    "log": 2,
    "outside": 1,
}
# Whole runs of packs, or many starts: `nox -s fresh`.
LONG = (
    *("start", "list", "noop", "small", "growth", "first", "index"),
    *("content", "holes", "log", "outside"),
)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in LONG else ()) for name in BENCHES]
)
def test_a_bench_yields_ratios(name: str) -> None:
    words = [sys.executable, "-m", "bench", "--quick", "--rounds", "1", "--json", name]
    done = subprocess.run(words, cwd=SOURCE, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(rows) == ROWS[name]
    for told in rows:
        assert told["bench"] == name
        assert min(told["ours"], told["floor"], told["ratio"]) > 0
        assert told["budget"] >= 1


def test_a_ratio_is_the_median_of_the_rounds_and_its_noise_half_their_middle() -> None:
    slow = row("a", 2, [(4.0, 2.0), (9.0, 3.0), (8.0, 8.0)])
    assert (slow.ratio, slow.ours, slow.floor, slow.kept) == (2.0, 8.0, 3.0, True)
    assert slow.noise == 0.25
    fast = row("b", 20, [(1.0, 10.0)], faster=True)
    assert (fast.ratio, fast.noise, fast.kept) == (10.0, 0.0, False)
    assert not Row("c", 3, 1, 3.0, 0, 2).kept


def test_an_unknown_name_is_told() -> None:
    with pytest.raises(SystemExit) as ended:
        main(["nonsense"])
    assert ended.value.code == 2


def test_a_call_is_timed() -> None:
    called: list[int] = []
    assert timed(lambda: called.append(1)) >= 0
    assert called == [1]
