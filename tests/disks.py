"""A folder on a disk whose change times are believed, wherever a test run has its own folders.

Where /tmp is a tmpfs, whose change times tell nothing of a write through a mapping, /var/tmp is
on a disk. Does not know what is concluded from a change time.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from factory.files.local_disk import keeps_change_times


@contextmanager
def on_a_disk(first: Path) -> Iterator[Path]:
    """`first` where that is on such a disk; else a folder in /var/tmp or the home, gone afterwards.

    Fails where this machine has no such disk for this user.
    """
    if keeps_change_times(first):
        yield first
        return
    for parent in (Path("/var/tmp"), Path.home()):
        if keeps_change_times(parent):
            place = tempfile.mkdtemp(prefix="codex-orchestrator-tests-", dir=parent)
            try:
                yield Path(place)
            finally:
                shutil.rmtree(place)
            return
    pytest.fail(
        f"expected a disk whose change times are believed, found none at {first}, /var/tmp or"
        f" {Path.home()}; give pytest another --basetemp"
    )
