"""Every operation of a small run, broken: `./dev nox -s crash`, or a part of it by hand.

    python -m tests.faults.session [--only run,gc] [--how kill,disk,clock] [--stride N] [--offset N|today]
                                   [--at-least N] [--place DIR]

`--offset today` takes other operations each day: with a stride of N, all of them within N days.
Prints each point that does not converge, and figures at the end; exit 1 where there was one, or
fewer points than asked for.
"""

from __future__ import annotations

import argparse
import datetime
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.faults import shim
from tests.faults.bench import Bench, Broke
from tests.faults.scenarios import (
    Scenario,
    points,
    prepare,
    prepare_many,
    scenarios,
    told,
    try_point,
)

# a first run lays down hundreds of alike files in caches; every 25th operation of it is broken
_COLD = 25
_TELL = 25
# moments at which a run is killed by the clock, wherever SQLite, Git or the sandbox are then
_CLOCK = 40


def main() -> int:
    given = _given(datetime.datetime.now(datetime.UTC).date())
    tried: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="crash-", dir=given.place) as place,
        Bench(Path(place)) as bench,
    ):
        known = scenarios(prepare(bench), prepare_many(bench))
        for name, scenario in known.items():
            if name in given.only:
                for how in given.how:
                    _try_all(bench, scenario, how, given, tried, failed)
    for key in tried:
        _say(f"{key:<14} {tried[key]:>5} points, {tried[key] - failed[key]} converged")
    seconds = time.monotonic() - began
    _say(
        f"{'all':<14} {tried.total():>5} points, {tried.total() - failed.total()} converged,"
        f" {seconds:.0f} s"
    )
    return verdict(given, tried.total(), failed.total())


def verdict(given: argparse.Namespace, tried: int, failed: int) -> int:
    """The exit code: too few points prove nothing, however they went."""
    if tried < given.at_least:
        _say(f"expected at least {given.at_least} points, tried {tried}: take a smaller --stride")
    return 1 if failed or tried < given.at_least else 0


def _given(today: datetime.date) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.session")
    parser.add_argument(
        "--only",
        type=lambda text: text.split(","),
        default=["run", "workers", "change", "cold", "branch", "keys", "gc"],
    )
    parser.add_argument(
        "--how", type=lambda text: text.split(","), default=["kill", "disk", "clock"]
    )
    parser.add_argument("--stride", type=int, default=1)
    parser.add_argument("--offset", default="0")
    parser.add_argument("--at-least", type=int, default=1)
    parser.add_argument("--place", type=Path, default=None)
    given = parser.parse_args()
    given.offset = (
        today.toordinal() % given.stride if given.offset == "today" else int(given.offset)
    )
    return given


def _try_all(
    bench: Bench,
    scenario: Scenario,
    how: str,
    given: argparse.Namespace,
    tried: Counter[str],
    failed: Counter[str],
) -> None:
    key = f"{scenario.name} {how}"
    bench.restore(scenario.state)
    began = time.monotonic()
    count = len(bench.run(*scenario.words).operations)
    seconds = time.monotonic() - began
    stride = given.stride * (_COLD if scenario.name == "cold" else 1)
    _say(f"{key}: {count} operations, undisturbed {seconds:.1f} s")
    for broke in _chosen(how, count, stride, given.offset, seconds, scenario):
        ran, found = try_point(bench, scenario, broke)
        if how != "clock" and broke.at > len(ran.operations):
            continue  # this time it needed fewer
        tried[key] += 1
        if found:
            failed[key] += 1
            _say("\n    ".join((told(scenario, broke, ran), *found)))
        if tried[key] % _TELL == 0:
            _say(
                f"{key}: {tried[key]} points, {tried[key] - failed[key]} converged, at operation"
                f" {broke.at}"
            )


def _chosen(
    how: str, count: int, stride: int, offset: int, seconds: float, scenario: Scenario
) -> Iterator[Broke]:
    if how != "clock":
        yield from points(count, how, stride, offset)
    elif scenario.name in ("run", "workers", "branch", "gc"):
        moments = max(2, _CLOCK // stride)
        for number in range(1, moments + 1):
            yield Broke(how=shim.NONE, kill_after=seconds * number / moments)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
