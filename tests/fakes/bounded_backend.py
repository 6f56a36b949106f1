"""A backend that confines nothing and bounds some: a plain folder, a process with limits of its own.

It shows what adding one takes: this file (both halves; the supervisor's half is read by an isolated
interpreter, so nothing here may need more than the standard library), and its test. It is in no
table: a test gives the class to `HostSandbox`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path

from factory.sandbox.backend import Backend, Offer
from factory.sandbox.bubblewrap import HostView
from factory.sandbox.forked import Forked
from factory.sandbox.inside_plain import open_stage, prepare
from factory.sandbox.plan import Folders
from factory.sandbox.ports import StageView
from factory.sandbox.properties import Property
from factory.sandbox.supervised import Supervised, with_scratch, worktree

__all__ = ["BACKENDS", "COMMAND", "open_stage", "prepare"]


class Bounded(Supervised):
    """What it promises is what the supervisor does for every backend."""

    name = "bounded"
    inside = __name__

    @classmethod
    def ways(cls, offer: Offer) -> Iterable[Backend]:
        """Return the only one: it needs nothing of a host."""
        return (cls(offer, HostView((), (), (), (str(Path(sys.executable).parent),)), b""),)

    @classmethod
    def why_none(cls) -> str:
        """Return nothing."""
        return ""

    def promised(self) -> frozenset[Property]:
        """Return what the supervisor does."""
        return frozenset({Property.TIME_BOUNDED, Property.OUTPUT_BOUNDED, Property.NO_SURVIVORS})

    def template(self) -> dict[str, object]:
        """Return what `prepare` makes reachable where we are root."""
        return super().template() | {"needed": [str(self.work), sys.prefix, sys.base_prefix]}

    def lay_out(self, view: StageView, place: Path) -> Folders:
        """Write the view to a folder of the stage's own."""
        return self.probe_folders(worktree(view, place))

    def probe_folders(self, workspace: Path) -> Folders:
        """Return the folder, with one for home and /tmp."""
        return with_scratch(workspace)

    def workspace(self, folders: Folders) -> str:
        """Return the host's own path."""
        return str(folders.writable)

    def words(
        self,
        folders: Folders,
        size: int,
        environment: tuple[tuple[str, str], ...],
    ) -> tuple[str, ...]:
        """Return NAME=value for each variable."""
        path = f"PATH={':'.join((*self.view.path, os.defpath))}"
        return (path, *(f"{name}={value}" for name, value in environment))

    def integrator_argv(self, run_folder: Path, argv: list[str]) -> list[str]:
        """Return the same words: nothing confines them."""
        return [*argv]


COMMAND = Forked
BACKENDS = (Bounded,)
