"""Confine by the backend `landlock`: no namespace at all, for containers. The command's first
process gives up files, network and system calls by itself.

Paths are the host's; what a command prints of its workspace is written as if it lay at /workspace.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable
from pathlib import Path

from factory.sandbox import (
    confine,
    etc_links,
    host,
    landlock,
    own_user,
    plain_words,
    seccomp,
    system_view,
    wire,
)
from factory.sandbox.backend import Backend, Offer
from factory.sandbox.bubblewrap import HOME, WORKSPACE, HostView, Mount
from factory.sandbox.plan import Folders
from factory.sandbox.ports import StageView
from factory.sandbox.properties import Property
from factory.sandbox.supervised import NO_QUOTA, Supervised, with_scratch, worktree

_BY_SUPERVISOR = frozenset(
    {
        Property.NO_SURVIVORS,
        Property.MEMORY_BOUNDED,
        Property.TIME_BOUNDED,
        Property.OUTPUT_BOUNDED,
    }
)
_ALWAYS = frozenset(
    {
        Property.NET_ISOLATED,
        Property.ENV_SCOPED,
        Property.AUTHORITY_SOCKETS_HIDDEN,
        Property.SYSCALLS_FILTERED,
        Property.INTEGRATOR_CONFINED,
    }
)
_LACKS = {
    Property.DISK_BOUNDED: NO_QUOTA,
    Property.FS_READ_SCOPED: (
        "no content outside can be read, but the kind, size and times of a file whose name is known"
        " can"
    ),
    Property.PIDS_BOUNDED: (
        "the bound is shared with all other processes of the orchestrator's own user"
    ),
    **dict.fromkeys(
        _BY_SUPERVISOR,
        "this kernel's Landlock does not keep a pack from signalling its supervisor",
    ),
}


class LandlockBackend(Supervised):
    """Confine by Landlock without a namespace; see the module.

    `version` is the kernel's Landlock ABI.
    """

    name = "landlock"
    inside = "factory.sandbox.inside_landlock"
    empty_bounding_set = False

    def __init__(self, offer: Offer, version: int) -> None:
        shown, _ = system_view.system_mounts()
        linked = etc_links.linked(offer.cache, offer.setting.seal)
        named = (*plain_words.ETC, *etc_links.readable_by_all(Path("/etc"), linked))
        etc = (Mount(f"/etc/{name}", f"/etc/{name}") for name in dict.fromkeys(named))
        python = tuple(map(str, offer.interpreter.folders()))
        view = HostView(
            (*shown, *etc, *(Mount(path, path) for path in python)),
            (),
            (),
            (str(offer.interpreter.scripts),),
        )
        super().__init__(offer, view, seccomp.program(platform.machine(), alone=True))
        self.version = version
        self.needed = (*python, str(offer.work))

    @classmethod
    def ways(cls, offer: Offer) -> Iterable[Backend]:
        """Return one where the kernel has Landlock."""
        version = landlock.abi()
        return (cls(offer, version),) if version else ()

    @classmethod
    def why_none(cls) -> str:
        """Return what the kernel lacks."""
        return "this kernel offers no Landlock"

    def promised(self) -> frozenset[Property]:
        """Return what this kernel's Landlock and this user allow to promise."""
        promised = _ALWAYS
        if host.acts_as_root():
            promised |= {Property.PIDS_BOUNDED}
            if self.version >= landlock.TRUNCATION:
                promised |= {Property.FS_WRITE_SCOPED}
        if self.version >= landlock.SCOPES:
            promised |= _BY_SUPERVISOR
        return promised

    def lack(self, wanted: Property) -> str:
        """Return what Landlock lets pass, or this kernel's lets."""
        if wanted is not Property.FS_WRITE_SCOPED:
            return _LACKS.get(wanted) or super().lack(wanted)
        if self.version < landlock.TRUNCATION:
            return "this kernel's Landlock does not refuse truncation"
        return (
            "packs run as the orchestrator's own user, and Landlock does not refuse changing modes,"
            " times and extended attributes of that user's files"
        )

    def template(self) -> wire.Message:
        """Return what a command's first process keeps when it gives up everything else."""
        return super().template() | {
            "needed": list(self.needed),
            "landlock": self.version,
            "readable": [mount.source for mount in self.view.mounts],
            "devices": list(plain_words.DEVICES),
        }

    def lay_out(self, view: StageView, place: Path) -> Folders:
        """Write the view to a folder of the stage's own. Raise StageUnavailable."""
        return self.probe_folders(worktree(view, place))

    def probe_folders(self, workspace: Path) -> Folders:
        """Return the folder, with one for home and /tmp. Raise StageUnavailable."""
        return with_scratch(workspace)

    def workspace(self, folders: Folders) -> str:
        """Return the host's own path."""
        return str(folders.writable)

    def words(
        self,
        folders: Folders,  # noqa: ARG002 - the supervisor knows them
        size: int,  # noqa: ARG002 - nothing is mounted
        environment: tuple[tuple[str, str], ...],
    ) -> tuple[str, ...]:
        """Return NAME=value for each variable."""
        return plain_words.landlock_words(self.view, environment)

    def shown_as(self, folders: Folders) -> tuple[tuple[str, str], ...]:
        """Return the host's paths of workspace, home and /tmp."""
        now = (folders.scratch or Path()) / "now"
        return (
            (str(folders.writable), WORKSPACE),
            (str(now / "home"), HOME),
            (str(now / "tmp"), "/tmp"),
        )

    def user(self) -> str:
        """Return whom commands run as."""
        if not host.acts_as_root():
            return super().user()
        return f"dropped from root to one of each stage's own, from {own_user.FIRST}"

    def integrator_argv(self, run_folder: Path, argv: list[str]) -> list[str]:
        """Return the words that confine the integrator by Landlock and a filter alone."""
        return confine.landlocked_argv(run_folder, argv)


BACKENDS = (LandlockBackend,)
