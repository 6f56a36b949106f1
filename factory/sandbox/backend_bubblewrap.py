"""The backend `bubblewrap`: the binary's own namespaces and mounts alone, over a plain folder.

For hosts where a security profile lets that binary make namespaces and nothing else. Every path
inside is as in the full backend.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable
from pathlib import Path

from factory.sandbox import confine, host, plain_words, seccomp, system_view, wire
from factory.sandbox.backend import Backend, Offer
from factory.sandbox.backend_full import NO_BUBBLEWRAP, NO_QUOTA
from factory.sandbox.bubblewrap import HostView
from factory.sandbox.plan import Folders
from factory.sandbox.ports import StageView
from factory.sandbox.properties import Property
from factory.sandbox.supervised import Supervised, worktree

_PROMISED = frozenset(
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


class BubblewrapBackend(Supervised):
    """Confine by a bubblewrap binary alone; see the module."""

    name = "bubblewrap"
    inside = "factory.sandbox.inside_bubblewrap"

    def __init__(self, offer: Offer, bubblewrap: host.Bubblewrap) -> None:
        """Raise OSError where the cache cannot be written."""
        shown, links = system_view.system_mounts()
        mounts = (
            *shown,
            system_view.etc_mount(offer.cache, offer.setting.seal),
            *offer.python.mounts,
        )
        view = HostView(
            mounts,
            (*system_view.inside_links(), *links),
            system_view.masked_files(),
            offer.python.path,
            offer.python.environment,
        )
        super().__init__(offer, view, seccomp.program(platform.machine()))
        self.bubblewrap: host.Bubblewrap = bubblewrap
        self.needed = (
            *(mount.source for mount in mounts),
            *bubblewrap.folders(),
            str(offer.work),
        )
        self.sized = bubblewrap.offers("--size")  # bubblewrap 0.7 and newer bound a tmpfs

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
        return _PROMISED

    def lack(self, wanted: Property) -> str:
        """Return why the disk is not bounded."""
        return NO_QUOTA if wanted is Property.DISK_BOUNDED else super().lack(wanted)

    def template(self) -> wire.Message:
        """Return how bubblewrap is started, and what root must make reachable for it."""
        return super().template() | {
            "bubblewrap": str(self.bubblewrap.program),
            # Packs could write it: a sealed copy is started.
            "sealed": not self.bubblewrap.is_safe_from(host.sandbox_owner()[0]),
            "library": str(self.bubblewrap.library or ""),
            "needed": list(self.needed),
        }

    def lay_out(self, view: StageView, place: Path) -> Folders:
        """Write the view to a folder of the stage's own."""
        return Folders(writable=worktree(view, place))

    def probe_folders(self, workspace: Path) -> Folders:
        """Return the folder as the writable one."""
        return Folders(writable=workspace)

    def words(
        self, folders: Folders, size: int, environment: tuple[tuple[str, str], ...]
    ) -> tuple[str, ...]:
        """Return bubblewrap's words."""
        bound = size if self.sized else 0
        return plain_words.bubblewrap_words(self.view, str(folders.writable), bound, environment)

    def integrator_argv(self, run_folder: Path, argv: list[str]) -> list[str]:
        """Return the words that confine the integrator by bubblewrap and Landlock."""
        return confine.confined_argv(run_folder, argv, self.bubblewrap.program)


BACKENDS = (BubblewrapBackend,)
