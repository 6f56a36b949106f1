"""Define what the supervisor is given of one stage: its folders, bounds and user.

Does not know which backend makes it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from factory.sandbox import folders as own_folders
from factory.sandbox import host, wire
from factory.sandbox.own_user import OwnUser
from factory.sandbox.values import LayerKind, StageLimits

_BYTES_PER_INODE = 4096  # a page: a file with one byte takes as much of a tmpfs
_FEWEST_INODES = 1024  # a stage of a few bytes still needs folders

Request = Callable[[str, str, tuple[tuple[str, str], ...]], wire.Message]
"""A command's line, its folder and variables added, as the supervisor reads them."""


@dataclass(frozen=True, slots=True)
class Folders:
    """Name what a stage shows at /workspace: read-only folders (topmost first) under a private
    layer, or one writable.

    `scratch` is where a backend without mounts of its own has /tmp and home; `user` is the stage's
    own, where it has one.
    """

    lowers: tuple[Path, ...] = ()
    writable: Path | None = None
    scratch: Path | None = None
    user: OwnUser | None = None

    @property
    def owner(self) -> tuple[int, int]:
        """Return the uid and gid that the stage runs as."""
        return (self.user.uid, self.user.uid) if self.user is not None else host.sandbox_owner()

    @property
    def kept(self) -> tuple[int, ...]:
        """Return descriptors that the supervisor keeps until no process of the stage is left."""
        return (self.user.lock.fileno(),) if self.user is not None else ()

    @property
    def kind(self) -> LayerKind:
        """Return what the layer that the stage writes to is made by."""
        if self.writable is not None:
            return LayerKind.WORKTREE
        return LayerKind.TRUSTED if host.acts_as_root() else LayerKind.USER

    def remove(self) -> None:
        """Remove what was made for the stage, and give its user back."""
        for folder in (self.writable, self.scratch):
            if folder is not None:
                own_folders.remove(folder)
        if self.user is not None:
            self.user.close()


def inodes_of(limits: StageLimits) -> int:
    """Return how many files, folders and links a stage may have: one for each page of its quota,
    since an empty file costs the kernel about so much.
    """
    return max(_FEWEST_INODES, limits.disk // _BYTES_PER_INODE)


def plan(
    folders: Folders,
    limits: StageLimits,
    network: bool = False,
    files: tuple[tuple[str, str], ...] = (),
) -> wire.Message:
    """Return what one stage has of its own; with `network` it gets a listener for egress."""
    uid, gid = folders.owner
    return {
        "uid": uid,
        "gid": gid,
        "lowers": [str(path) for path in folders.lowers],
        "writable": str(folders.writable or ""),
        "scratch": str(folders.scratch or ""),
        "size": limits.disk,
        "inodes": inodes_of(limits),
        "processes": limits.processes,
        "network": network,
        "files": dict(files),
    }
