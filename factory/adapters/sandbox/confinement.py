"""One way of confining on this host, fixed: a binary, a filter and a view of the system.

Turns folders and limits into the template and the plan that a supervisor carries out. The probe and every
stage use the same value, so what was proved is what is in force. Does not know whether it works.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from factory.adapters.sandbox import layout, seccomp, system_view, wire
from factory.adapters.sandbox.bubblewrap import EPOCH, MOUNT_POINTS, HostView, Places, arguments
from factory.adapters.sandbox.host import Bubblewrap, acts_as_root, sandbox_owner
from factory.adapters.sandbox.python_env import PythonView
from factory.model.layer import LayerKind
from factory.model.pack import Limits

_BYTES_PER_INODE = 4096
_FEWEST_INODES = 1024
_PLACES = Places(
    system=layout.SYSTEM,
    workspace=layout.MERGED,
    temporary=f"{layout.SCRATCH}/tmp",
    shared_memory=f"{layout.SCRATCH}/shm",
    home=f"{layout.SCRATCH}/home",
)
# Bubblewrap takes devices and /proc from the root that it is started in.
_FOR_BUBBLEWRAP = {"/dev": "/dev", "/proc": "/proc"}


@dataclass(frozen=True, slots=True)
class Folders:
    """What a stage shows at /workspace: read-only folders (topmost first) under a private layer, or one writable."""

    lowers: tuple[Path, ...] = ()
    writable: Path | None = None

    @property
    def kind(self) -> LayerKind:
        if self.writable is not None:
            return LayerKind.WORKTREE
        return LayerKind.TRUSTED if acts_as_root() else LayerKind.USER


@dataclass(frozen=True, slots=True)
class Confinement:
    """See the module. `binds` (path in the stage → host path) and `links` make up the stage's own root."""

    bubblewrap: Bubblewrap
    program: str
    binds: Mapping[str, str]
    links: tuple[tuple[str, str], ...]
    view: HostView
    filter: bytes

    @property
    def filter_digest(self) -> str:
        """SHA-256 of the filter program; empty where there is none."""
        return hashlib.sha256(self.filter).hexdigest() if self.filter else ""

    def template(self) -> wire.Message:
        """What every stage has in common; a spare supervisor prepares it before it is needed."""
        uid, gid = sandbox_owner()
        links = ((layout.SYSTEM + path, target) for path, target in self.view.links)
        return {
            "as_root": acts_as_root(),
            "uid": uid,
            "gid": gid,
            "epoch": EPOCH,
            "binds": dict(self.binds),
            "folders": [layout.SYSTEM + path for path in MOUNT_POINTS],
            "links": [*links, *self.links],
            "bubblewrap": self.program,
            "filter": self.filter.hex(),
            "observing": seccomp.observing(platform.machine()).hex(),
        }

    def arguments(self, environment: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
        """Bubblewrap's words for one command with these variables added."""
        return arguments(self.view, _PLACES, environment)


def plan(folders: Folders, limits: Limits, network: bool = False) -> wire.Message:
    """What one stage has of its own; `network` tells that it gets a listener for the egress proxy."""
    return {
        "lowers": [str(path) for path in folders.lowers],
        "writable": str(folders.writable or ""),
        "size": limits.disk,
        "inodes": max(_FEWEST_INODES, limits.disk // _BYTES_PER_INODE),
        "processes": limits.processes,
        "network": network,
    }


def confinement(bubblewrap: Bubblewrap, python: PythonView, cache: Path) -> Confinement:
    """Put together what this host offers. Raises OSError where `cache` cannot be written."""
    binds, program = bubblewrap.binds()
    shown, links = system_view.system_mounts()
    mounts = (*shown, system_view.etc_mount(cache), *python.mounts)
    # Only the supervisor, before it gives up root, can reach every source.
    binds |= {layout.SYSTEM + mount.inside: mount.source for mount in mounts}
    binds |= {mount.inside: mount.source for mount in shown} | _FOR_BUBBLEWRAP
    inside = system_view.inside_links()
    view = HostView(mounts, (*inside, *links), system_view.masked_files(), python.path, python.environment)
    return Confinement(bubblewrap, program, binds, links, view, seccomp.program(platform.machine()))
