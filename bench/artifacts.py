"""Measure the evidence index over many artifacts, new and unchanged, against two `sha256sum` at a
time.

Ours is the whole of `make_index`, each time in a new process; the start of the interpreter, which
costs the same for one file and for a million, is not counted. 8 KiB an artifact is between a log
and a picture. The smaller the files, the smaller the second ratio, since asking the kernel about
each file costs the same while summing it costs less.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from bench.measure import Row, Scale, environment, process, row

_SIZE, _IN_A_FOLDER, _IN_A_RUN = 8192, 20, 2000
_SUMS = 'find "$1/runs" -type f -print0 | xargs -0 -P 2 -n 500 sha256sum > /dev/null'
_OURS = """\
import sys
import time
from pathlib import Path

from factory.files.clock import SystemClock
from factory.evidence.inventory import RunInventory
from factory.evidence.ledger_store import LedgerStore
from factory.files.state_store import StateStore
from factory.evidence.evidence_index import make_index

root = Path(sys.argv[1])
begun = time.perf_counter()
made = make_index(StateStore(root), LedgerStore(root, SystemClock()), RunInventory(root))
print(made.artifacts, made.read, time.perf_counter() - begun)
"""


def index(scale: Scale, root: Path) -> Iterator[Row]:
    """Yield two rows over one set of files: a new index, and an unchanged one."""
    artifacts = scale.of(100_000, 200)
    place = root / "state"
    _lay_out(place, artifacts)
    rounds = []
    for _ in range(1 + scale.turns(3)):
        shutil.rmtree(place / "cache", ignore_errors=True)
        (place / "evidence-index.json").unlink(missing_ok=True)
        stock = process(["/bin/sh", "-c", _SUMS, "sh", place], root)
        rounds.append((_indexed(place, artifacts, artifacts), _indexed(place, artifacts, 0), stock))
    counted = rounds[1:]
    name = f"evidence index, {artifacts:,} artifacts"
    yield row(
        f"{name} : sha256sum, 2 at a time", 1.3, [(cold, stock) for cold, _, stock in counted]
    )
    yield row(
        f"{name}, unchanged : sha256sum",
        20,
        [(again, stock) for _, again, stock in counted],
        faster=True,
    )


def _lay_out(root: Path, artifacts: int) -> None:
    """Write run folders with packs of twenty artifacts each, all different."""
    noise = os.urandom(_SIZE + artifacts)
    for number in range(artifacts):
        pack = (number % _IN_A_RUN) // _IN_A_FOLDER
        folder = root / "runs" / f"run_{number // _IN_A_RUN:04}" / f"PACK-{pack:03}" / "ARTIFACTS"
        if number % _IN_A_FOLDER == 0:
            folder.mkdir(parents=True)
        (folder / f"{number % _IN_A_FOLDER:02}.bin").write_bytes(noise[number : number + _SIZE])


def _indexed(root: Path, artifacts: int, read: int) -> float:
    """Return the seconds of one index. Raise SystemExit unless it found and read as many files as
    stated.
    """
    words = [sys.executable, "-c", _OURS, str(root)]
    done = subprocess.run(words, env=environment(root), check=True, capture_output=True, text=True)
    found, taken, alone = done.stdout.split()
    if (int(found), int(taken)) != (artifacts, read):
        raise SystemExit(
            f"expected {artifacts} artifacts of which {read} were read, found {found} and {taken}"
        )
    return float(alone)
