"""Measure starts: the version, the help, `doit list`, and a `doit oneshot` with nothing to do."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from bench.measure import Row, Scale, compare, environment, process
from bench.worlds import COMMANDS, bare_project, packs_repository


def start(scale: Scale, root: Path) -> Iterator[Row]:
    """Yield `factory --version` and `--help` against an interpreter that does nothing."""
    run = partial(process, cwd=root, env=environment(root))
    nothing = partial(run, [sys.executable, "-c", "pass"])
    for option in ("--version", "--help"):
        ours = partial(run, [sys.executable, "-m", "factory", option])
        yield compare(f"factory {option} : python -c pass", 3, scale.rounds, ours, nothing)


def listing(scale: Scale, root: Path) -> Iterator[Row]:
    """Yield `doit list` of 100 packs against stock doit with as many tasks."""
    packs = scale.of(100, 4)
    yield _against_bare_doit(root, packs, "list", 1.5, scale.rounds)


def noop(scale: Scale, root: Path) -> Iterator[Row]:
    """Yield `doit oneshot` of 1,000 unchanged packs against stock doit with the same graph."""
    packs = scale.of(1000, 4)
    yield _against_bare_doit(root, packs, "oneshot", 2, scale.turns(7))


def _against_bare_doit(root: Path, packs: int, task: str, budget: float, rounds: int) -> Row:
    env = environment(root)
    ours, bare = root / "ours", root / "bare"
    packs_repository(ours, packs, env)
    bare_project(bare, ours, packs)
    doit = COMMANDS / "doit"
    if task == "oneshot":  # the runs that have something to do
        process([doit, "-n", "2", task], ours, env)
    return compare(
        f"doit {task}, {packs:,} packs : bare doit",
        budget,
        rounds,
        partial(process, [doit, task], ours, env),
        partial(process, [doit, task], bare, env),
    )
