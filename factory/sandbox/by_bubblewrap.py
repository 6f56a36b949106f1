"""Confine by a bubblewrap binary: what its backends show of the host, promise and lack."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from pathlib import Path

from factory.sandbox import confine, seccomp, system_view
from factory.sandbox.backend import Backend, Offer
from factory.sandbox.bubblewrap import HostView, Mount
from factory.sandbox.host import Bubblewrap
from factory.sandbox.plan import Folders
from factory.sandbox.ports import StageView
from factory.sandbox.properties import Property
from factory.sandbox.supervised import NO_QUOTA, Supervised, worktree

NO_BUBBLEWRAP = "no bubblewrap was found; install the package bubblewrap"
OVER_A_FOLDER = frozenset(
    {
        Property.NET_ISOLATED,
        Property.FS_READ_SCOPED,
        Property.FS_WRITE_SCOPED,
        Property.ENV_SCOPED,
        Property.AUTHORITY_SOCKETS_HIDDEN,
        Property.SYSCALLS_FILTERED,
        Property.PIDS_BOUNDED,
        Property.MEMORY_BOUNDED,
        Property.OUTPUT_BOUNDED,
        Property.TIME_BOUNDED,
        Property.NO_SURVIVORS,
        Property.INTEGRATOR_CONFINED,
    }
)
"""What is promised over a plain folder, by name: a new property is promised by nobody."""


class ByBubblewrap(Supervised):
    """Confine by a bubblewrap binary, over a plain folder unless a subclass says otherwise.

    `shown` and `links` are the system's, `mounts` all of the host that is visible.
    """

    bubblewrap: Bubblewrap

    def __init__(self, offer: Offer, bubblewrap: Bubblewrap) -> None:
        """Raise OSError where the cache cannot be written."""
        self.shown, self.links = system_view.system_mounts()
        self.mounts: tuple[Mount, ...] = (
            *self.shown,
            system_view.etc_mount(offer.cache, offer.setting.seal),
            *offer.python.mounts,
        )
        view = HostView(
            self.mounts,
            (*system_view.inside_links(), *self.links),
            system_view.masked_files(),
            offer.python.path,
            offer.python.environment,
        )
        super().__init__(offer, view, seccomp.program(platform.machine()))
        self.bubblewrap = bubblewrap

    @classmethod
    def ways(cls, offer: Offer) -> Iterable[Backend]:
        """Return one for each bubblewrap."""
        return (cls(offer, each) for each in offer.bubblewraps)

    @classmethod
    def why_none(cls) -> str:
        """Return what to install."""
        return NO_BUBBLEWRAP

    def promised(self) -> frozenset[Property]:
        """Return all but a bound on the disk."""
        return OVER_A_FOLDER

    def lack(self, wanted: Property) -> str:
        """Return why the disk is not bounded."""
        unbounded = wanted is Property.DISK_BOUNDED and wanted not in self.promised()
        return NO_QUOTA if unbounded else super().lack(wanted)

    def lay_out(self, view: StageView, place: Path) -> Folders:
        """Write the view to a folder of the stage's own."""
        return Folders(writable=worktree(view, place))

    def probe_folders(self, workspace: Path) -> Folders:
        """Return the folder as the writable one."""
        return Folders(writable=workspace)

    def integrator_argv(self, run_folder: Path, argv: list[str]) -> list[str]:
        """Return the words that confine the integrator by bubblewrap and Landlock."""
        return confine.confined_argv(run_folder, argv, self.bubblewrap.program)
