"""Compare exported copies of run folders byte for byte (by digest; all of it is read now).

A folder is no copy of itself, also where links lead to it. Decides nothing.
"""

from __future__ import annotations

import os
from pathlib import Path

from factory.files.state_store import StateStore
from factory.model.errors import UsageError
from factory.model.layout import RUNS


class ExportedRuns:
    """Compare runs of the state folder `state` with copies directly below `folder`.

    Raise UsageError.
    """

    def __init__(self, state: Path, folder: Path) -> None:
        if not folder.is_dir():
            raise UsageError(f"expected a folder of exported runs, found none at {str(folder)!r}")
        real, home = folder.resolve(), state.resolve()
        if real == home or home in real.parents:
            hint = "copy the runs to another place first, and name that"
            raise UsageError(f"{str(folder)!r} is in the state folder itself", hint)
        self.where = str(folder)
        self._runs = StateStore(home / RUNS)
        self._copies = StateStore(real)

    def problem(self, run_id: str) -> str:
        """Return why the copy of a run is not a copy of every byte; "" where it is."""
        own, copy = self._runs.root / run_id, self._copies.root / run_id
        if not copy.is_dir() or copy.is_symlink():
            return "it has no copy there"
        if os.path.samefile(own, copy):
            return "the copy is the run's folder itself"
        files = self._runs.files(run_id)
        if files != self._copies.files(run_id):
            return "the copy has other files"
        for path in files:
            digest = self._runs.sha256(f"{run_id}/{path}")
            if not digest or self._copies.sha256(f"{run_id}/{path}") != digest:
                return f"{path} is not the same there"
        return ""
