"""One way of confining on this host, fixed: a backend, a binary, a filter and a view of the system.

Turns folders and limits into the template and the plan that a supervisor carries out. The probe and
every stage use the same value, so what was proved is what is in force. Does not know whether it
works.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from factory.files.fs_guard import make_folder, remove_tree
from factory.model.config import Backend
from factory.model.pack import Limits
from factory.model.scanned import LayerKind
from factory.sandbox import layout, own_user, plain_words, seccomp, system_view, wire
from factory.sandbox.bubblewrap import (
    EPOCH,
    HOME,
    MOUNT_POINTS,
    WORKSPACE,
    HostView,
    Mount,
    Places,
    arguments,
    command,
)
from factory.sandbox.host import Bubblewrap, acts_as_root, sandbox_owner
from factory.sandbox.own_user import OwnUser
from factory.sandbox.python_env import Interpreter, PythonView

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
    """What a stage shows at /workspace: read-only folders (topmost first) under a private layer, or
    one writable.

    `scratch` is where a backend without mounts of its own has /tmp and home; `user` is the stage's
    own, where it has one.
    """

    lowers: tuple[Path, ...] = ()
    writable: Path | None = None
    scratch: Path | None = None
    user: OwnUser | None = None

    @property
    def owner(self) -> tuple[int, int]:
        """The uid and gid that the stage runs as."""
        return (self.user.uid, self.user.uid) if self.user is not None else sandbox_owner()

    @property
    def held(self) -> tuple[int, ...]:
        """Descriptors that the supervisor keeps until no process of the stage is left."""
        return (self.user.lock.fileno(),) if self.user is not None else ()

    @property
    def kind(self) -> LayerKind:
        if self.writable is not None:
            return LayerKind.WORKTREE
        return LayerKind.TRUSTED if acts_as_root() else LayerKind.USER


Request = Callable[[str, str, tuple[tuple[str, str], ...]], wire.Message]


@dataclass(frozen=True, slots=True)
class Confinement:
    """See the module. `binds` (path in the stage → host path) and `links` make up the stage's own
    root.

    `bubblewrap` is None where Landlock, of this version, does without. `sized` tells that the
    binary bounds a tmpfs, `sealed` that packs could write it, and a sealed copy is started.
    """

    backend: Backend
    overlay: bool
    view: HostView
    filter: bytes
    bubblewrap: Bubblewrap | None = None
    program: str = ""
    binds: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    links: tuple[tuple[str, str], ...] = ()
    needed: tuple[str, ...] = ()
    sized: bool = False
    sealed: bool = False
    landlock: int = 0

    @property
    def plain(self) -> bool:
        """Whether stages are plain folders of the host, which the packs' user must reach."""
        return self.backend is not Backend.FULL

    @property
    def filter_digest(self) -> str:
        """SHA-256 of the filter program; empty where there is none."""
        return hashlib.sha256(self.filter).hexdigest() if self.filter else ""

    def template(self) -> wire.Message:
        """What every stage has in common; a spare supervisor prepares it before it is needed."""
        uid, gid = sandbox_owner()
        links = ((layout.SYSTEM + path, target) for path, target in self.view.links)
        return {
            "backend": self.backend.value,
            "as_root": acts_as_root(),
            "uid": uid,
            "gid": gid,
            "epoch": EPOCH,
            "binds": dict(self.binds),
            "folders": [layout.SYSTEM + path for path in MOUNT_POINTS],
            "links": [*links, *self.links],
            "bubblewrap": self.program,
            "sealed": self.sealed,
            "library": self._library(),
            "filter": self.filter.hex(),
            "observing": seccomp.observing(platform.machine()).hex(),
            "needed": list(self.needed),
            "landlock": self.landlock,
            "readable": [mount.source for mount in self.view.mounts],
            "devices": list(plain_words.DEVICES),
        }

    def _library(self) -> str:
        found = self.bubblewrap.library if self.bubblewrap is not None else None
        return str(found or "")

    def request(self, folders: Folders, size: int) -> Request:
        """How a stage over these folders asks for a command: its line, its folder, variables
        added.
        """
        workspace = str(folders.writable) if self.backend is Backend.LANDLOCK else WORKSPACE

        def ask(run: str, cwd: str, environment: tuple[tuple[str, str], ...]) -> wire.Message:
            words = self._arguments(folders, size, environment)
            return {"arguments": list(words), "command": list(command(run, cwd, workspace))}

        return ask

    def _arguments(
        self, folders: Folders, size: int, environment: tuple[tuple[str, str], ...]
    ) -> tuple[str, ...]:
        if self.backend is Backend.FULL:
            return arguments(self.view, _PLACES, environment)
        if self.backend is Backend.BUBBLEWRAP:
            bound = size if self.sized else 0
            return plain_words.bubblewrap_words(
                self.view, str(folders.writable), bound, environment
            )
        return plain_words.landlock_words(self.view, environment)


def without_mounts(workspace: Path) -> Folders:
    """A workspace as it is, an empty folder beside it, and where we are root a user who owns just
    these.

    Raises StageUnavailable.
    """
    scratch = workspace.with_name(f".scratch-{workspace.name}")
    remove_tree(scratch)
    make_folder(scratch)
    if not acts_as_root():
        return Folders(writable=workspace, scratch=scratch)
    user = own_user.take()
    user.give(workspace)
    user.give(scratch)
    return Folders(writable=workspace, scratch=scratch, user=user)


def shown_as(folders: Folders) -> tuple[tuple[str, str], ...]:
    """Host paths of a stage that a command may see, and the constant ones to be written instead in
    what it prints.
    """
    if folders.scratch is None:
        return ()
    now = folders.scratch / "now"
    return (str(folders.writable), WORKSPACE), (str(now / "home"), HOME), (str(now / "tmp"), "/tmp")


def inodes_of(limits: Limits) -> int:
    """How many files, folders and links a stage may hold."""
    return max(_FEWEST_INODES, limits.disk // _BYTES_PER_INODE)


def plan(
    folders: Folders, limits: Limits, network: bool = False, files: tuple[tuple[str, str], ...] = ()
) -> wire.Message:
    """What one stage has of its own; `network` tells that it gets a listener for the egress
    proxy.
    """
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


def full(bubblewrap: Bubblewrap, python: PythonView, cache: Path, overlay: bool) -> Confinement:
    """Namespaces of our own, then bubblewrap's. Raises OSError where `cache` cannot be written."""
    binds, program = bubblewrap.binds()
    shown, links = system_view.system_mounts()
    mounts = (*shown, system_view.etc_mount(cache), *python.mounts)
    # Only the supervisor, before it gives up root, can reach every source.
    binds |= {layout.SYSTEM + mount.inside: mount.source for mount in mounts}
    binds |= {mount.inside: mount.source for mount in shown} | _FOR_BUBBLEWRAP
    inside = system_view.inside_links()
    view = HostView(
        mounts, (*inside, *links), system_view.masked_files(), python.path, python.environment
    )
    return Confinement(Backend.FULL, overlay, view, _filter(), bubblewrap, program, binds, links)


def bare_bubblewrap(
    bubblewrap: Bubblewrap, python: PythonView, cache: Path, work: Path
) -> Confinement:
    """Bubblewrap's namespaces alone, over plain folders below `work`. Raises OSError as `full`
    does.
    """
    shown, links = system_view.system_mounts()
    mounts = (*shown, system_view.etc_mount(cache), *python.mounts)
    inside = system_view.inside_links()
    view = HostView(
        mounts, (*inside, *links), system_view.masked_files(), python.path, python.environment
    )
    needed = (*(mount.source for mount in mounts), *bubblewrap.folders(), str(work))
    sized = bubblewrap.offers("--size")
    program = str(bubblewrap.program)
    return Confinement(
        Backend.BUBBLEWRAP,
        False,
        view,
        _filter(),
        bubblewrap,
        program,
        needed=needed,
        sized=sized,
        sealed=not bubblewrap.is_safe_from(sandbox_owner()[0]),
    )


def landlocked(interpreter: Interpreter, work: Path, version: int) -> Confinement:
    """No namespace: Landlock of that version and the filter, over plain folders below `work`."""
    shown, _ = system_view.system_mounts()
    etc = (Mount(f"/etc/{name}", f"/etc/{name}") for name in plain_words.ETC)
    python = (Mount(path, path) for path in map(str, interpreter.folders()))
    view = HostView((*shown, *etc, *python), (), (), (str(interpreter.scripts),))
    needed = (*map(str, interpreter.folders()), str(work))
    return Confinement(
        Backend.LANDLOCK, False, view, _filter(alone=True), needed=needed, landlock=version
    )


def _filter(alone: bool = False) -> bytes:
    return seccomp.program(platform.machine(), alone=alone)
