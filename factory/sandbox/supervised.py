"""Share what backends have in common whose stages a supervisor makes and keeps.

A subclass turns what was found on the host into words: the template that a spare supervisor
prepares, the plan of a stage, the request for a command. Its other half, `inside`, carries them out
in the supervisor. Does not know whether it works; the probe says.
"""

from __future__ import annotations

import abc
import hashlib
import os
import platform
import threading
from functools import cached_property, partial
from pathlib import Path
from typing import ClassVar

from factory.sandbox import folders as own_folders
from factory.sandbox import host, landlock, own_user, probe, wire
from factory.sandbox.backend import Backend, Offer, Probed, unavailable, without_proxy
from factory.sandbox.bounds import OPEN_FILES
from factory.sandbox.bubblewrap import (
    EPOCH,
    GIT_CONFIG,
    WORKSPACE,
    HostView,
    command,
    proxy_environment,
)
from factory.sandbox.command import GRACE, SAMPLE
from factory.sandbox.layer import DeadLayer, bytes_of, open_again, open_folder
from factory.sandbox.link import Launcher, StageUnavailable
from factory.sandbox.plan import Folders, Request, plan
from factory.sandbox.ports import EgressListener, StageView
from factory.sandbox.properties import PropertyProof
from factory.sandbox.stage import LinuxStage
from factory.sandbox.supervisor import PROXY
from factory.sandbox.values import StageLimits

NO_QUOTA = "a plain folder has no quota; only the size of each file is bounded"


class Supervised(Backend):
    """Confine commands by a supervisor process; see the module. Thread-safe."""

    inside: ClassVar[str]
    """The module of the supervisor's half: `prepare`, `open_stage`, and the class `COMMAND`."""

    bubblewrap: host.Bubblewrap | None = None
    empty_bounding_set: ClassVar[bool] = True
    """Whether a command's capability bounding set must be empty: who has no capability and no way
    to new privileges cannot empty it, and gains nothing by it."""

    def __init__(self, offer: Offer, view: HostView, calls: bytes) -> None:
        """Take what is shown of the host (`view`) and the system call filter (`calls`)."""
        self.cache, self.work = offer.cache, offer.work
        self.view, self.filter = view, calls
        self._lock = threading.Lock()
        self._owner = os.getpid()
        self._stages: set[LinuxStage] = set()

    @cached_property
    def launcher(self) -> Launcher:
        """Return the helper that forks a supervisor for each stage; started on first use."""
        return Launcher(self.template())

    @property
    def filter_digest(self) -> str:
        """Return the SHA-256 of the filter program; empty where there is none."""
        return hashlib.sha256(self.filter).hexdigest() if self.filter else ""

    # --- the words for the supervisor

    def template(self) -> wire.Message:
        """Return what every stage has in common; a spare supervisor prepares it ahead."""
        uid, gid = host.sandbox_owner()
        return {
            "inside": self.inside,
            "as_root": host.acts_as_root(),
            "uid": uid,
            "gid": gid,
            "epoch": EPOCH,
            "filter": self.filter.hex(),
            "git_config": GIT_CONFIG,
        }

    @abc.abstractmethod
    def lay_out(self, view: StageView, place: Path) -> Folders:
        """Make the folders of one stage; `place` is for it alone. Raise SandboxError DISK."""

    @abc.abstractmethod
    def words(
        self, folders: Folders, size: int, environment: tuple[tuple[str, str], ...]
    ) -> tuple[str, ...]:
        """Return what the supervisor's half is given with the command; `size` bounds a tmpfs."""

    def workspace(self, folders: Folders) -> str:  # noqa: ARG002 - a subclass asks
        """Return where commands find the workspace."""
        return WORKSPACE

    def shown_as(self, folders: Folders) -> tuple[tuple[str, str], ...]:  # noqa: ARG002
        """Return host paths that a command sees, each with the constant one to be written instead
        in what it prints.
        """
        return ()

    def request(self, folders: Folders, size: int) -> Request:
        """Return how a stage over these folders asks for a command."""
        workspace = self.workspace(folders)

        def ask(run: str, cwd: str, environment: tuple[tuple[str, str], ...]) -> wire.Message:
            """Return the message that asks for one command."""
            words = self.words(folders, size, environment)
            return {"arguments": list(words), "command": list(command(run, cwd, workspace))}

        return ask

    # --- the probe

    def probe(self) -> Probed:
        """Return what is proved of it by trying; see `probe.probe`."""
        return probe.probe(self.launcher, self, self.probed_below)

    def probe_network(self) -> tuple[PropertyProof, tuple[str, ...]]:
        """Return how a stage with a listener is isolated; see `probe.probe_network`."""
        return probe.probe_network(self.launcher, self, self.probed_below)

    @property
    def probed_below(self) -> Path:
        """Return a folder in which a probe's workspace lies as that of a stage does."""
        return self.work

    @abc.abstractmethod
    def probe_folders(self, workspace: Path) -> Folders:
        """Return the folders of a probe's stage over a folder that is ready for it."""

    def files_to_try(self, limits: StageLimits) -> int:  # noqa: ARG002 - a subclass asks
        """Return how many files a probe tries to create; 0 where no bound on them is promised."""
        return 0

    def user(self) -> str:
        """Return in words whom commands run as, for evidence."""
        if not host.acts_as_root():
            return "an ordinary user, as the orchestrator"
        return f"dropped from root to {host.SANDBOX_ID}"

    def disk_bound(self) -> str:
        """Return in words what bounds a stage's files, for evidence."""
        return "file size only"

    def facts(self) -> dict[str, str]:
        """Return evidence: binary, kernel, filter, user, limits and mounts."""
        version = landlock.abi()
        return {
            **(host.identity(self.bubblewrap) if self.bubblewrap is not None else {}),
            "isolation": self.isolation.value,
            "kernel": platform.release(),
            "machine": platform.machine(),
            "landlock_abi": str(version),
            "landlock": landlock.refused(version) or "none",
            "seccomp_sha256": self.filter_digest,
            "user": self.user(),
            "limits": (
                f"memory: looked at every {SAMPLE:g} s; grace: {GRACE:g} s; open files:"
                f" {OPEN_FILES}; no core"
            ),
            "mounts": (
                ", ".join(f"{mount.inside} ro" for mount in self.view.mounts)
                + ", /workspace rw, /tmp rw, home rw"
            ),
            "memory": "watchdog",
            "disk": self.disk_bound(),
        }

    # --- stages

    def open(
        self, view: StageView, limits: StageLimits, name: str, egress: EgressListener | None
    ) -> LinuxStage:
        """Open a stage. Raise SandboxError UNAVAILABLE, NO_PROXY or DISK."""
        lacking = self.no_proxy()
        if egress is not None and lacking:
            raise without_proxy(lacking)
        try:
            folders = self.lay_out(view, self.work / name)
        except StageUnavailable as error:
            raise unavailable(str(error)) from error
        files = (*view.files, *(egress.files if egress is not None else ()))
        stage_plan = plan(folders, limits, egress is not None, files)
        try:
            link = self.launcher.open_stage(stage_plan, folders.kept)
        except StageUnavailable as error:
            folders.remove()
            raise unavailable(str(error)) from error
        if folders.writable is None:
            layer = DeadLayer(
                folders.kind, partial(open_again, link.layer), folders.lowers, limits.disk
            )
        else:
            top = partial(open_folder, folders.writable)
            layer = DeadLayer(folders.kind, top, (), limits.disk, bytes_of(folders.writable))
        ask = self.request(folders, limits.disk)
        stage = LinuxStage(
            link, layer, limits, ask, partial(self._closed, folders), self.shown_as(folders)
        )
        if egress is not None:
            stage.connect(egress, proxy_environment(*PROXY))
        with self._lock:
            self._own_stages().add(stage)
        return stage

    def _closed(self, folders: Folders) -> None:
        with self._lock:
            self._stages = {stage for stage in self._own_stages() if not stage.closed}
        folders.remove()

    def _own_stages(self) -> set[LinuxStage]:
        """Return the open stages of this process; those of a parent are not a forked child's."""
        if self._owner != os.getpid():
            self._owner, self._stages = os.getpid(), set()
        return self._stages

    def close(self) -> None:
        """Cancel every stage that is still open, and end the launcher."""
        with self._lock:
            stages = tuple(self._own_stages())
            self._stages.clear()
        for stage in stages:
            stage.cancel()
        self.launcher.close()


def worktree(view: StageView, place: Path) -> Path:
    """Write a view to a folder of its own; return it. Raise SandboxError DISK."""
    own_folders.remove(place)
    view.copy(place)
    return place


def with_scratch(workspace: Path) -> Folders:
    """Return a workspace as it is, an empty folder next to it for home and /tmp, and where we are
    root a user who owns just these. Raise StageUnavailable.

    For backends without a user namespace: the kernel counts processes by user, so stages that
    shared one would use up one another's bound.
    """
    scratch = workspace.with_name(f".scratch-{workspace.name}")
    own_folders.make_empty(scratch)
    if not host.acts_as_root():
        return Folders(writable=workspace, scratch=scratch)
    user = own_user.take()
    user.give(workspace)
    user.give(scratch)
    return Folders(writable=workspace, scratch=scratch, user=user)
