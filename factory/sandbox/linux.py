"""The sandbox of a Linux host: measures once what it can enforce, then opens stages.

Whatever the backend, overlay or full worktree, as root or as an ordinary user, all stages go the
same way: a plan for the supervisor, a request per command, a link. Does not know what a pack is.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from factory.egress.ports import Reach
from factory.files.fs_guard import disk_errors, make_folder, remove_tree
from factory.git.ports import Objects
from factory.model.config import Backend, IsolationMode
from factory.model.connection import PROXY_HOST, PROXY_PORT
from factory.model.pack import Limits
from factory.model.properties import Enforcement, Proof, Property
from factory.sandbox import confine, confinement, host, landlock, probe, python_env
from factory.sandbox.bubblewrap import proxy_environment
from factory.sandbox.confinement import Confinement, Folders, plan
from factory.sandbox.host import sandbox_owner
from factory.sandbox.layer import DeadLayer, bytes_of, open_again, open_folder
from factory.sandbox.link import Launcher, StageLink, StageUnavailable
from factory.sandbox.ports import View
from factory.sandbox.setting import SandboxSetting, Views
from factory.sandbox.stage import LinuxStage, WayOut
from factory.sandbox.unsupported import UnconfinedSandbox, UnconfinedStage, no_network, unavailable

__all__ = ["LinuxSandbox", "SandboxSetting", "Views", "sandbox_owner"]

_NO_BUBBLEWRAP = "no bubblewrap was found; install the package bubblewrap"


@dataclass(frozen=True, slots=True)
class _Measured:
    """The outcome of probing; `confinement` and its launcher are None where nothing works."""

    enforcement: Enforcement
    confinement: Confinement | None = None
    launcher: Launcher | None = None


class LinuxSandbox:
    """A `Sandbox`; see the port. Thread-safe."""

    def __init__(self, views: Views, objects: Objects, setting: SandboxSetting) -> None:
        self._views = views
        self._objects = objects
        self._setting = setting
        self._stages: set[LinuxStage] = set()
        self._lock = threading.Lock()
        self._measured: _Measured | None = None
        self._networked: Enforcement | None = None

    def measure(self, network: bool = False) -> Enforcement:
        """Probe by trying, inside the same confinement; cached. Never raises for what the host
        lacks.
        """
        measured = self._measure()
        if not network or measured.confinement is None or measured.launcher is None:
            return measured.enforcement
        if measured.confinement.plain:
            lack = (
                f"the backend {measured.confinement.backend.value} has no way to a proxy; the"
                " backend full has"
            )
            return replace(measured.enforcement, no_proxy=lack)
        with self._lock:
            if self._networked is None:
                cache = self._setting.cache
                with disk_errors(cache):
                    proof, escaped = probe.probe_network(
                        measured.launcher, measured.confinement, cache
                    )
                if proof.given or escaped:
                    self._networked = measured.enforcement.also(proof, escaped)
                else:
                    self._networked = replace(measured.enforcement, no_proxy=proof.how)
            return self._networked

    def open(
        self, view: View, limits: Limits, name: str, reach: Reach | None = None
    ) -> LinuxStage | UnconfinedStage:
        """A fresh stage. Raises Refusal where the view cannot be made as declared."""
        measured = self._measure()
        used, launcher = measured.confinement, measured.launcher
        if used is None or launcher is None:
            return self._without(measured).open(view, limits, name, reach)
        if reach is not None and used.plain:
            raise no_network(name, f"the backend {used.backend.value} has no way to a proxy")
        try:
            folders = self._folders(view, used, name)
        except StageUnavailable as error:
            raise unavailable(str(error)) from error
        try:
            files = reach.files if reach is not None else ()
            link = launcher.open_stage(
                plan(folders, limits, reach is not None, files), folders.held
            )
        except StageUnavailable as error:
            self._closed(folders)
            raise unavailable(str(error)) from error
        top = (
            partial(open_again, link.layer)
            if folders.writable is None
            else partial(open_folder, folders.writable)
        )
        given = bytes_of(folders.writable) if folders.writable is not None else 0
        store, hash_name = self._objects.write_blob, self._objects.hash_name
        layer = DeadLayer(folders.kind, top, folders.lowers, limits.disk, store, hash_name, given)
        out = self._way_out(link, reach) if reach is not None else None
        ask = used.request(folders, limits.disk)
        shown = confinement.shown_as(folders)
        stage = LinuxStage(link, layer, limits, ask, partial(self._closed, folders), out, shown)
        with self._lock:
            self._stages.add(stage)
        return stage

    def integrator_argv(self, run_folder: Path, argv: list[str]) -> list[str]:
        """The words that run the integrator with nothing but `run_folder` writable, in the way that
        was probed.

        Raises Refusal PROPERTY_MISSING where none works.
        """
        measured = self._measure()
        if measured.confinement is None:
            return self._without(measured).integrator_argv(run_folder, argv)
        if measured.confinement.bubblewrap is None:
            return confine.landlocked_argv(run_folder, argv)
        return confine.confined_argv(run_folder, argv, measured.confinement.bubblewrap.program)

    def close(self) -> None:
        """End every stage that is still open, and the launcher."""
        with self._lock:
            stages = tuple(self._stages)
            self._stages.clear()
            measured, self._measured = self._measured, None
        for stage in stages:
            stage.cancel()
        if measured is not None and measured.launcher is not None:
            measured.launcher.close()

    def _way_out(self, link: StageLink, reach: Reach) -> WayOut:
        from factory.egress.outside import SYSTEM
        from factory.egress.proxy import EgressProxy

        proxy = EgressProxy(
            socket.socket(fileno=link.listener), reach, self._setting.outside or SYSTEM
        )
        return WayOut(proxy, (*proxy_environment(PROXY_HOST, PROXY_PORT), *reach.environment))

    def _without(self, measured: _Measured) -> UnconfinedSandbox:
        why = measured.enforcement.why_not(Property.FS_WRITE_SCOPED)
        return UnconfinedSandbox(self._views, self._objects, self._setting, why)

    @property
    def _work(self) -> Path:
        return self._setting.worktrees

    def _folders(self, view: View, used: Confinement, name: str) -> Folders:
        if not used.overlay:
            folder = self._work / name
            remove_tree(folder)
            self._views.checkout(view.tree, folder)
            if used.backend is not Backend.LANDLOCK:
                return Folders(writable=folder)
            return confinement.without_mounts(folder)
        base = self._views.base(view.base)
        layer = self._views.layer(view.base, view.tree)
        return Folders(lowers=(base,) if layer is None else (layer, base))

    def _closed(self, folders: Folders) -> None:
        with self._lock:
            self._stages = {stage for stage in self._stages if not stage.closed}
        for folder in (folders.writable, folders.scratch):
            if folder is not None:
                remove_tree(folder)
        if folders.user is not None:
            folders.user.close()

    def _measure(self) -> _Measured:
        with self._lock:
            if self._measured is None:
                self._measured = self._probe_all()
            return self._measured

    def _probe_all(self) -> _Measured:
        """The first way of confining in which a command ran at all, best first."""
        cache = self._setting.cache
        asks_for_less = self._setting.backend not in (Backend.AUTO, Backend.FULL)
        why = "" if asks_for_less or host.candidates(self._setting.bubblewrap) else _NO_BUBBLEWRAP
        with disk_errors(cache):
            make_folder(cache)
            make_folder(self._work)
            for used in self._ways(cache):
                launcher = Launcher(used.template())
                outcome = probe.probe(launcher, used, self._work if used.plain else cache)
                if outcome.started:
                    return _Measured(_said_why(outcome.enforcement, why), used, launcher)
                launcher.close()
                why = why or outcome.why
        return _nothing(why or self._why_none())

    def _ways(self, cache: Path) -> Iterator[Confinement]:
        """Every way that the user's choice leaves, best first."""
        setting = self._setting
        interpreter = (
            python_env.ask_interpreter(setting.python)
            if setting.python
            else python_env.own_interpreter()
        )
        found = host.candidates(setting.bubblewrap)
        shown = python_env.view_of(interpreter, cache) if found else None
        chosen = (setting.backend,) if setting.backend is not Backend.AUTO else tuple(Backend)
        if shown is not None and Backend.FULL in chosen:
            for overlay in (True, False):
                if setting.isolation is not (
                    IsolationMode.WORKTREE if overlay else IsolationMode.OVERLAY
                ):
                    yield from (confinement.full(each, shown, cache, overlay) for each in found)
        if setting.isolation is IsolationMode.OVERLAY:
            return
        if shown is not None and Backend.BUBBLEWRAP in chosen:
            yield from (
                confinement.bare_bubblewrap(each, shown, cache, self._work) for each in found
            )
        version = landlock.abi() if Backend.LANDLOCK in chosen else 0
        if version:
            yield confinement.landlocked(interpreter, self._work, version)

    def _why_none(self) -> str:
        """Why there was nothing to try."""
        if self._setting.backend is Backend.NONE:
            return "the user's configuration chose the backend none"
        if not host.candidates(self._setting.bubblewrap):
            return _NO_BUBBLEWRAP
        return "what the user's configuration chose is not offered by this host"


def _said_why(enforcement: Enforcement, why: str) -> Enforcement:
    """The same, with what kept this host from more beside each property that is not given."""
    if not why:
        return enforcement
    proofs = (
        (
            each
            if each.given
            else replace(each, how=f"{each.how}; a better backend is not to be had: {why}")
        )
        for each in enforcement.proofs
    )
    return replace(enforcement, proofs=tuple(proofs))


def _nothing(why: str) -> _Measured:
    return _Measured(Enforcement("none", tuple(Proof(each, False, why) for each in Property)))
