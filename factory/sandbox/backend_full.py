"""Confine by the backend `full`: mount namespace, quota, network and user namespace of the
supervisor's own, then bubblewrap's, then the system call filter.

Two ways: over an overlay, whose upper layer is a bounded file system; or over a full worktree,
where overlays cannot be mounted.
"""

from __future__ import annotations

import platform
from pathlib import Path
from typing import ClassVar

from factory.sandbox import layout, seccomp, wire
from factory.sandbox.backend import Offer
from factory.sandbox.backends import IsolationMode
from factory.sandbox.bubblewrap import MOUNT_POINTS, BoundPaths, arguments
from factory.sandbox.by_bubblewrap import OVER_A_FOLDER, ByBubblewrap
from factory.sandbox.host import Bubblewrap
from factory.sandbox.plan import Folders, inodes_of
from factory.sandbox.ports import StageView
from factory.sandbox.properties import Property
from factory.sandbox.values import StageLimits

_PLACES = BoundPaths(
    system=layout.SYSTEM,
    workspace=layout.MERGED,
    temporary=f"{layout.SCRATCH}/tmp",
    shared_memory=f"{layout.SCRATCH}/shm",
    home=f"{layout.SCRATCH}/home",
)
# Bubblewrap takes devices and /proc from the root that it is started in.
_FOR_BUBBLEWRAP = {"/dev": "/dev", "/proc": "/proc"}


class _Full(ByBubblewrap):
    """Confine by namespaces of the supervisor's own and bubblewrap; both variants
    below share this.
    """

    name = "full"
    inside = "factory.sandbox.inside_full"

    def __init__(self, offer: Offer, bubblewrap: Bubblewrap) -> None:
        """Raise OSError where the cache cannot be written."""
        super().__init__(offer, bubblewrap)
        own, self.program = bubblewrap.binds()
        # Path in the stage's own root → host path. Only the supervisor, before it gives up root,
        # can reach every source.
        self.binds = (
            own
            | {layout.SYSTEM + mount.inside: mount.source for mount in self.mounts}
            | {mount.inside: mount.source for mount in self.shown}
            | _FOR_BUBBLEWRAP
        )

    def no_proxy(self) -> str:
        """Return nothing: its network namespace has a listener for one."""
        return ""

    def template(self) -> wire.Message:
        """Return the root that all stages have in common, and how bubblewrap is started in it."""
        links = ((layout.SYSTEM + path, target) for path, target in self.view.links)
        return super().template() | {
            "binds": dict(self.binds),
            "folders": [layout.SYSTEM + path for path in MOUNT_POINTS],
            "links": [*links, *self.links],
            "bubblewrap": self.program,
            "observing": seccomp.observing(platform.machine()).hex(),
        }

    def words(
        self,
        folders: Folders,  # noqa: ARG002 - every stage's paths are the same
        size: int,  # noqa: ARG002 - the supervisor bounds what it mounts
        environment: tuple[tuple[str, str], ...],
    ) -> tuple[str, ...]:
        """Return bubblewrap's words."""
        return arguments(self.view, _PLACES, environment)

    @property
    def probed_below(self) -> Path:
        """Return the cache: any folder will do, since the supervisor opens it before it gives up
        root.
        """
        return self.cache


class FullOverlay(_Full):
    """Show the view as an overlay, with a bound on the disk."""

    isolation: ClassVar[IsolationMode] = IsolationMode.OVERLAY

    def promised(self) -> frozenset[Property]:
        """Return every property that there is today, by name: a new one is promised by nobody."""
        return OVER_A_FOLDER | {Property.DISK_BOUNDED}

    def lay_out(self, view: StageView, place: Path) -> Folders:  # noqa: ARG002 - nothing is copied
        """Return the view's own folders."""
        return Folders(lowers=view.folders())

    def probe_folders(self, workspace: Path) -> Folders:
        """Return the folder as the lowest layer."""
        return Folders(lowers=(workspace,))

    def files_to_try(self, limits: StageLimits) -> int:
        """Return twice as many as the quota allows."""
        return 2 * inodes_of(limits)

    def disk_bound(self) -> str:
        """Return what bounds a stage's files."""
        return "quota"


class FullWorktree(_Full):
    """Show the view as a full checkout; the disk is not bounded."""


BACKENDS = (FullOverlay, FullWorktree)
