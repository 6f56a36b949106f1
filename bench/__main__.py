"""Print the budgets as a table: `python -m bench [NAME…]`, small sizes with `--quick`.

The exit code is 0 also if a budget is missed: a person must read what a machine measures.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from bench import artifacts, content, ledger, overlaps, packs, starting, whole
from bench.measure import Row, Scale

BENCHES: dict[str, Callable[[Scale, Path], Iterator[Row]]] = {
    "start": starting.start,
    "list": starting.listing,
    "noop": starting.noop,
    "small": starting.small,
    "pack": packs.one_more,
    "growth": packs.growth,
    "first": whole.first,
    "verify": ledger.verify,
    "append": ledger.append,
    "index": artifacts.index,
    "overlap": overlaps.overlap,
    "content": content.content,
    "holes": content.holes,
    "log": content.log,
    "outside": content.outside,
}
_HEAD = (
    f"{'what : floor or peer':<64} {'ours':>10} {'floor':>10} {'ratio':>9} {'noise':>6}   budget"
)


def main(words: list[str]) -> int:
    """Measure the benches that `words` name, or all of them; return 0."""
    parser = argparse.ArgumentParser(
        prog="python -m bench", description="The budgets, measured as ratios."
    )
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"some of: {' '.join(BENCHES)}; default: all"
    )
    parser.add_argument(
        "--quick", action="store_true", help="small sizes: shows that it works, measures nothing"
    )
    parser.add_argument(
        "--rounds",
        type=int,
        default=0,
        help="how often the sides take turns at most (15; quick: 2)",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a row")
    given = parser.parse_args(words)
    unknown = [name for name in given.names if name not in BENCHES]
    if unknown:
        parser.error(f"expected some of {' '.join(BENCHES)}, found {unknown[0]!r}")
    scale = Scale(given.quick, max(1, given.rounds or (2 if given.quick else 15)))
    if not given.json:
        _say(_HEAD)
    for name in given.names or BENCHES:
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            for row in BENCHES[name](scale, Path(folder)):
                _say(_as_json(name, row) if given.json else _as_text(row))
    return 0


def _as_text(row: Row) -> str:
    bound = f">= {row.budget:g} x faster" if row.faster else f"<= {row.budget:g}"
    verdict = "kept" if row.kept else "MISSED"
    measured = (
        f"{_seconds(row.ours):>10} {_seconds(row.floor):>10} {row.ratio:>9.2f} {row.noise:>6.0%}"
    )
    return f"{row.name:<64} {measured}   {bound}  {verdict}"


def _seconds(value: float) -> str:
    return f"{value:.2f} s" if value >= 1 else f"{value * 1e3:.2f} ms"


def _as_json(name: str, row: Row) -> str:
    members = {
        "bench": name,
        "name": row.name,
        "ours": row.ours,
        "floor": row.floor,
        "ratio": row.ratio,
    }
    return json.dumps(
        {
            **members,
            "noise": row.noise,
            "budget": row.budget,
            "faster": row.faster,
            "kept": row.kept,
        }
    )


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
