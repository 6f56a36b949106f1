"""Measure what a pack leaves and prints: new bytes, holes, a long log, files outside its scope.

Each side is a whole `factory oneshot` of one pack in a new state folder, in seconds of processor time
of all its processes; where the work is a difference, the same run without it is subtracted. The floor
of bytes is `git hash-object`, three times: what names content in Git reads and hashes it. Memory is
that of the largest process.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from bench.measure import Row, Scale, Used, environment, row, used
from bench.worlds import COMMANDS, one_pack_repository

_LEAST = 1e-4  # seconds or GB: a difference below it is noise
_LINE = "12:34:56 INFO [worker-3] a line that took 15 ms at 0xdeadbeef"


def content(scale: Scale, root: Path) -> Iterator[Row]:
    """Yield the cost of new bytes: random ones, and holes that a change may carry."""
    random, holes = scale.of(12_000_000, 300_000), scale.of(200_000_000, 300_000)
    made = root / "made"
    made.write_bytes(b"")
    for name, size, step in (
        ("new random bytes", random, f"mkdir out && head -c {random} /dev/urandom > out/made"),
        ("bytes of holes", holes, f"mkdir out && truncate -s {holes} out/made"),
    ):
        with_it = _Pack(root / name.replace(" ", "-"), step)
        without = _Pack(root / f"no-{name.replace(' ', '-')}", "mkdir out && echo x > out/made")
        with open(made, "wb") as file:
            file.truncate(size)
        taken = []
        for _ in range(scale.turns(5)):
            more = with_it.run().seconds - without.run().seconds
            taken.append((max(_LEAST, more), 3 * _hashed(made, root)))
        yield row(f"{size:,} {name} : git hash-object, 3 times", 3, taken)


def holes(scale: Scale, root: Path) -> Iterator[Row]:
    """Yield time and memory of a file of holes that no change may carry, against a small file."""
    large = _Pack(root / "large", "mkdir out && truncate -s 3G out/made", "limits: {disk: 6GiB}\n")
    small = _Pack(root / "small", "mkdir out && echo x > out/made")
    taken = [(large.run(blocked=True), small.run()) for _ in range(scale.turns(5))]
    name = "3 GiB of holes"
    yield row(f"{name} : a small file", 1.2, [(one.seconds, two.seconds) for one, two in taken])
    yield row(f"{name}, memory : a small file", 1.2, [(one.peak, two.peak) for one, two in taken])


def log(scale: Scale, root: Path) -> Iterator[Row]:
    """Yield time of a log against ten times that of a tenth, and its memory against its bytes."""
    size = scale.of(150_000_000, 300_000)
    limits = "limits: {output: 300MiB, timeout: 10m}\n"
    step = f'mkdir out && echo x > out/made && yes "{_LINE}" | head -c '
    whole, tenth = (_Pack(root / str(part), step + str(size // part), limits) for part in (1, 10))
    none = _Pack(root / "none", "mkdir out && echo x > out/made")
    times, peaks = [], []
    for _ in range(scale.turns(3)):
        all_of_it, some, nothing = whole.run(), tenth.run(), none.run()
        linear = 10 * max(_LEAST, some.seconds - nothing.seconds)
        times.append((max(_LEAST, all_of_it.seconds - nothing.seconds), linear))
        peaks.append((max(_LEAST, all_of_it.peak - nothing.peak), size / 1e9))
    yield row(f"a log of {size:,} bytes in short lines : 10 x a tenth", 1.2, times)
    yield row(f"a log of {size:,} bytes, memory : its bytes", 3, peaks)


def outside(scale: Scale, root: Path) -> Iterator[Row]:
    """Yield a run that leaves many files outside its scope, against one that leaves none."""
    files = scale.of(2000, 20)
    step = "mkdir out && echo x > out/made"
    many = _Pack(root / "many", f"{step} && mkdir other && cd other && seq 1 {files} | xargs touch")
    none = _Pack(root / "none", step)
    taken = [(many.run(blocked=True).seconds, none.run().seconds) for _ in range(scale.turns(5))]
    yield row(f"{files:,} files outside the scope : none", 2, taken)


class _Pack:
    """Run one pack, each time in a new state folder."""

    def __init__(self, place: Path, step: str, limits: str = "") -> None:
        self._place = place
        self._env = {**environment(place.parent), "FACTORY_CEILINGS_OUTPUT": "300MiB"}
        one_pack_repository(place, step, limits, self._env)

    def run(self, blocked: bool = False) -> Used:
        """Return what a whole run used. Raise SystemExit unless it ended as is due."""
        shutil.rmtree(self._place / ".factory", ignore_errors=True)
        code = 2 if blocked else 0
        return used([COMMANDS / "factory", "oneshot"], self._place, self._env, code)


def _hashed(file: Path, root: Path) -> float:
    return used(["git", "hash-object", file], root, environment(root)).seconds
