"""How much is played: all of it by `nox -s hostile`, and in every run of the suite a part that
leaves no kind out.

Every program runs in every run of the suite, once; over other users and backends, and without its
protection, a sample does. Does not know what a program does.
"""

from __future__ import annotations

import os

from tests.hostile.backends import BACKENDS
from tests.hostile.declared import SAMPLE, names, programs

WHOLE = bool(os.environ.get("HOSTILE_MATRIX"))
PATHS = 100_000 if WHOLE else 4_000

_PART = (
    ("self", "overlay", "all"),
    ("ordinary", "overlay", SAMPLE),
    *(("self", backend, SAMPLE) for backend in BACKENDS if backend != "overlay"),
)
# Where every stage is a copy of the tree, a repository of all packs is slow: parts, each a run of
# its own.
_PARTS = 6
ALL = tuple(
    (user, backend, f"{part}-of-{_PARTS}")
    for user in ("self", "ordinary")
    for backend in BACKENDS
    for part in range(1, _PARTS + 1)
)
# (user, backend, programs); `self` is whoever runs the suite. Who is no root shows with it what an
# ordinary user sees.
SCENES = tuple(
    scene for scene in (ALL if WHOLE else _PART) if scene[0] == "self" or os.geteuid() == 0
)


def toothed() -> tuple[str, ...]:
    """The programs that are shown without their protection: all, or the first of each way to take
    it away.
    """
    if WHOLE:
        return names()
    first = {one.weaken: one.name for one in reversed(programs())}
    return tuple(sorted(first.values()))
