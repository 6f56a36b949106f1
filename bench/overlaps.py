"""Measure overlap of many bundles of many paths against one dictionary insert a path.

Memory must be linear in the number of paths.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from pathlib import Path

from bench.measure import Row, Scale, row, timed
from factory.merge.overlap import Touch, find_overlaps
from factory.model.tree import MODE_FILE, Leaf


def overlap(scale: Scale, root: Path) -> Iterator[Row]:
    """Yield rows over disjoint bundles: every path must be looked at, none ends the search."""
    del root
    bundles, paths = scale.of(1000, 20), scale.of(1000, 20)
    touches = _touches(bundles, paths)
    name = f"overlap, {bundles:,} x {paths:,} paths"
    taken = [
        (timed(lambda: _found(touches)), timed(lambda: _inserted(touches)))
        for _ in range(scale.turns(3))
    ]
    yield row(f"{name} : one insert a path", 5, taken)
    small = _touches(bundles // 4, paths)
    yield row(f"{name}, memory : 4 x a quarter", 1.5, [(_peak(touches), 4 * _peak(small))])


def _touches(bundles: int, paths: int) -> dict[str, list[Touch]]:
    leaf = Leaf(MODE_FILE, "0" * 40)
    return {
        f"B-{bundle:05}": [
            Touch(f"src/part{bundle:05}/folder{n // 50:03}/file{n:05}.py", leaf)
            for n in range(paths)
        ]
        for bundle in range(bundles)
    }


def _found(touches: dict[str, list[Touch]]) -> None:
    if find_overlaps(touches):
        raise SystemExit("expected no overlap, found one")


def _inserted(touches: dict[str, list[Touch]]) -> None:
    seen: dict[str, str] = {}
    for bundle, touched in touches.items():
        for touch in touched:
            seen[touch.path] = bundle


def _peak(touches: dict[str, list[Touch]]) -> float:
    """Return the peak of memory in GB; only the ratio of two peaks is used."""
    tracemalloc.start()
    _found(touches)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1e9
