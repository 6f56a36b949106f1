"""Clear by age what killed processes left unfinished in places where several may work at once.

Rule: only temporary names of this package, and only if nothing touched them for longer than any
command lasts. What the run lock guards needs no age: the store clears that.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from factory.files.fs_guard import is_unfinished, remove_tree
from factory.model.layout import (
    CACHE,
    CHECKS,
    DETERMINISM,
    GIT,
    GIT_OBJECTS,
    GIT_SCRATCH,
    REBUILDS,
    REVIEWS,
    SIGNATURES,
    SURVEYS,
    VIEWS,
)

# Folders of the state folder into which commands write without the run lock, or that recovery does
# not search.
OPEN_FOLDERS = (
    "",
    CACHE,
    CHECKS,
    SURVEYS,
    DETERMINISM,
    GIT,
    GIT.at("info"),
    GIT_OBJECTS.at("info"),
    REVIEWS,
    REBUILDS,
    SIGNATURES,
)
_DRAFT = re.compile(
    r"probe-.*|prove-.*|rebuild-.*|shell-.*|\.(etc|python)-[0-9a-f]{20}-[0-9]+-[0-9a-f]{8}"
)


def clear_remains(state: Path, before: float) -> int:
    """Remove what was last touched before `before` (seconds since 1970); return how many.

    Raise Refusal DISK_UNWRITABLE.
    """
    count = 0
    for place in _candidates(state):
        try:
            old = place.lstat().st_mtime < before
        except FileNotFoundError:
            continue
        if old:
            remove_tree(place)
            count += 1
    return count


def _candidates(state: Path) -> Iterator[Path]:
    for folder in (
        *(state / name for name in OPEN_FOLDERS),
        *sorted((state / VIEWS).glob("*/*")),
    ):
        for name in _names(folder):
            if is_unfinished(name) or _DRAFT.fullmatch(name):
                yield folder / name
    scratch = state / GIT_SCRATCH
    yield from (scratch / name for name in _names(scratch))
    objects = state / GIT_OBJECTS
    for fan in _names(objects):
        yield from (
            objects / fan / name for name in _names(objects / fan) if name.startswith("tmp_obj_")
        )


def _names(folder: Path) -> tuple[str, ...]:
    """Return the sorted names in a folder; () if it is no folder."""
    try:
        return tuple(sorted(os.listdir(folder)))
    except (FileNotFoundError, NotADirectoryError):
        return ()
