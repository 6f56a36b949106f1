"""Measure two sides in turns: the median of each, and the median of their ratios.

The sides take turns within a round, so that other work of the machine affects both; the ratio is
taken per round. The noise is half the distance between the quartiles of these ratios, relative to
the median: a budget missed by less than the noise says nothing. Does not know what is measured.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_CHILD_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER of <linux/prctl.h>
SOURCE = Path(__file__).resolve().parents[1]
# What slows or redirects only one side is not passed on.
_LEFT_OUT = ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED", "PYTHONPATH", "COVERAGE_PROCESS_START")


@dataclass(frozen=True, slots=True)
class Scale:
    """Set the size: `of(full, quick)` picks one; `rounds` is how often the sides take turns at
    most.
    """

    quick: bool
    rounds: int

    def of(self, full: int, quick: int) -> int:
        """Return the size for this run."""
        return quick if self.quick else full

    def turns(self, most: int) -> int:
        """Return the number of rounds for a bench whose rounds take long."""
        return min(most, self.rounds)


@dataclass(frozen=True, slots=True)
class Row:
    """Describe one line of the table. `ours` and `floor` in seconds.

    `budget` is the most that ours ÷ floor may be, or, if `faster`, the least that floor ÷ ours may
    be.
    """

    name: str
    ours: float
    floor: float
    ratio: float
    noise: float
    budget: float
    faster: bool = False

    @property
    def kept(self) -> bool:
        return self.ratio >= self.budget if self.faster else self.ratio <= self.budget


def compare(
    name: str,
    budget: float,
    rounds: int,
    ours: Callable[[], float],
    floor: Callable[[], float],
    faster: bool = False,
) -> Row:
    """Let both sides take turns, after one turn each that does not count. A side returns its
    seconds.
    """
    ours(), floor()
    taken = [(ours(), floor()) for _ in range(rounds)]
    return row(name, budget, taken, faster)


def row(
    name: str, budget: float, taken: Sequence[tuple[float, float]], faster: bool = False
) -> Row:
    """Return the row of rounds of (ours, floor) in seconds."""
    ratios = [theirs / own if faster else own / theirs for own, theirs in taken]
    ratio = statistics.median(ratios)
    return Row(
        name,
        statistics.median(own for own, _ in taken),
        statistics.median(theirs for _, theirs in taken),
        ratio,
        _spread(ratios) / ratio,
        budget,
        faster,
    )


def _spread(values: Sequence[float]) -> float:
    if len(values) < 2:
        return 0.0
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return (high - low) / 2


def timed(work: Callable[[], object]) -> float:
    """Return the seconds of a call."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def process(words: Sequence[str | Path], cwd: Path, env: Mapping[str, str] | None = None) -> float:
    """Return the seconds of a whole process. Raise SystemExit unless it ends with 0."""
    begun = time.perf_counter()
    done = subprocess.run(
        list(map(str, words)), cwd=cwd, env=env, capture_output=True, text=True, check=False
    )
    taken = time.perf_counter() - begun
    if done.returncode != 0:
        said = (done.stdout + done.stderr).strip()[-2000:]
        raise SystemExit(
            f"expected {list(map(str, words))} to end with 0, found {done.returncode}: {said}"
        )
    return taken


@dataclass(frozen=True, slots=True)
class Used:
    """Describe what a process used, with all that it waited for: seconds of processor time, and GB
    of memory of the largest of them at its peak.
    """

    seconds: float
    peak: float


def used(
    words: Sequence[str | Path], cwd: Path, env: Mapping[str, str] | None = None, code: int = 0
) -> Used:
    """Return what a whole process used. Raise SystemExit unless it ends with `code`."""
    with tempfile.TemporaryFile() as said:
        started = subprocess.Popen(
            list(map(str, words)), cwd=cwd, env=env, stdout=said, stderr=subprocess.STDOUT
        )
        _, status, usage = os.wait4(started.pid, 0)
        started.returncode = os.waitstatus_to_exitcode(status)
        if started.returncode != code:
            said.seek(0)
            raise SystemExit(
                f"expected {list(map(str, words))} to end with {code}, found {started.returncode}:"
                f" {said.read().decode('utf-8', 'replace')[-2000:]}"
            )
    return Used(usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e9)


def processor(words: Sequence[str | Path], cwd: Path, env: Mapping[str, str]) -> float:
    """Return the processor seconds, user and system, of a process and all below it. Raise
    SystemExit unless it ends with 0.

    Counts also those whose parent ended without asking for them: they become children of this one.
    """
    ctypes.CDLL(None).prctl(_CHILD_SUBREAPER, 1, 0, 0, 0)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process(words, cwd, env)
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def environment(home: Path) -> dict[str, str]:
    """Return this process's environment with a home of its own, without a person's configuration or
    key.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in _LEFT_OUT and not name.startswith("FACTORY_")
    }
    git = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    return {
        **kept,
        **git,
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "NO_COLOR": "1",
    }
