"""Copies of run folders that somebody made elsewhere, as gc needs them."""

from __future__ import annotations

from typing import Protocol


class Exports(Protocol):
    """A folder outside the state folder, where copies of runs are."""

    where: str

    def problem(self, run_id: str) -> str:
        """Why the copy of a run is no copy of every byte, as a clause; "" where it is one."""
        ...
