"""The sandbox of a Linux host: measures once what it can enforce, then opens stages.

Overlay or full worktree, as root or as an ordinary user, all stages go the same way: a plan
for the supervisor, a bubblewrap command line, a link. Does not know what a pack is.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from factory.adapters.fs_guard import disk_errors, make_folder, remove_tree
from factory.adapters.sandbox import confine, host, probe, python_env
from factory.adapters.sandbox.bubblewrap import proxy_environment
from factory.adapters.sandbox.confinement import Confinement, Folders, confinement, plan
from factory.adapters.sandbox.host import sandbox_owner
from factory.adapters.sandbox.layer import DeadLayer, open_again, open_folder
from factory.adapters.sandbox.link import Launcher, StageLink, StageUnavailable
from factory.adapters.sandbox.setting import SandboxSetting, Views
from factory.adapters.sandbox.stage import LinuxStage, WayOut
from factory.adapters.sandbox.unsupported import UnconfinedSandbox, UnconfinedStage, unavailable
from factory.model.config import IsolationMode
from factory.model.egress import PROXY_HOST, PROXY_PORT
from factory.model.pack import Limits
from factory.model.properties import Enforcement, Proof, Property
from factory.ports.egress import Reach
from factory.ports.objects import Objects
from factory.ports.sandbox import View

__all__ = ["LinuxSandbox", "SandboxSetting", "Views", "sandbox_owner"]


@dataclass(frozen=True, slots=True)
class _Measured:
    """The outcome of probing; `confinement` and its launcher are None where nothing works."""

    enforcement: Enforcement
    confinement: Confinement | None = None
    launcher: Launcher | None = None
    overlay: bool = False


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
        """Probe by trying, inside the same confinement; cached. Never raises for what the host lacks."""
        measured = self._measure()
        if not network or measured.confinement is None or measured.launcher is None:
            return measured.enforcement
        with self._lock:
            if self._networked is None:
                cache = self._setting.state / "cache"
                with disk_errors(cache):
                    proof, escaped = probe.probe_network(
                        measured.launcher, measured.confinement, cache, measured.overlay
                    )
                self._networked = measured.enforcement.also(proof, escaped)
            return self._networked

    def open(self, view: View, limits: Limits, name: str, reach: Reach | None = None) -> LinuxStage | UnconfinedStage:
        """A fresh stage. Raises Refusal where the view cannot be made as declared."""
        measured = self._measure()
        used, launcher = measured.confinement, measured.launcher
        if used is None or launcher is None:
            return self._without(measured).open(view, limits, name, reach)
        folders = self._folders(view, measured.overlay, name)
        try:
            link = launcher.open_stage(plan(folders, limits, reach is not None))
        except StageUnavailable as error:
            raise unavailable(str(error)) from error
        top = partial(open_again, link.layer) if folders.writable is None else partial(open_folder, folders.writable)
        layer = DeadLayer(
            folders.kind, top, folders.lowers, limits.disk, self._objects.write_blob, self._objects.hash_name
        )
        out = self._way_out(link, reach) if reach is not None else None
        stage = LinuxStage(link, layer, limits, used.arguments, partial(self._closed, folders), out)
        with self._lock:
            self._stages.add(stage)
        return stage

    def integrator_argv(self, run_folder: Path, argv: list[str]) -> list[str]:
        """The words that run the integrator with nothing but `run_folder` writable, by the binary that was probed.

        Raises Refusal PROPERTY_MISSING where none works.
        """
        measured = self._measure()
        if measured.confinement is None:
            return self._without(measured).integrator_argv(run_folder, argv)
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
        from factory.adapters.egress.outside import SYSTEM  # late: packs without network never load a proxy
        from factory.adapters.egress.proxy import EgressProxy

        proxy = EgressProxy(socket.socket(fileno=link.listener), reach, self._setting.outside or SYSTEM)
        return WayOut(proxy, (*proxy_environment(PROXY_HOST, PROXY_PORT), *reach.environment))

    def _without(self, measured: _Measured) -> UnconfinedSandbox:
        why = measured.enforcement.why_not(Property.FS_WRITE_SCOPED)
        return UnconfinedSandbox(self._views, self._objects, self._setting, why)

    def _folders(self, view: View, overlay: bool, name: str) -> Folders:
        if not overlay:
            folder = self._setting.state / "worktrees" / name
            remove_tree(folder)
            self._views.checkout(view.tree, folder)
            return Folders(writable=folder)
        base = self._views.base(view.base)
        layer = self._views.layer(view.base, view.tree)
        return Folders(lowers=(base,) if layer is None else (layer, base))

    def _closed(self, folders: Folders) -> None:
        with self._lock:
            self._stages = {stage for stage in self._stages if not stage.closed}
        if folders.writable is not None:
            remove_tree(folders.writable)

    def _measure(self) -> _Measured:
        with self._lock:
            if self._measured is None:
                self._measured = self._probe_all()
            return self._measured

    def _probe_all(self) -> _Measured:
        """The first combination of binary and mode in which a command ran at all, best first."""
        found = host.candidates(self._setting.bubblewrap)
        if not found:
            return _nothing("no bubblewrap was found; install the package bubblewrap", {})
        cache = self._setting.state / "cache"
        why = ""
        with disk_errors(cache):
            make_folder(cache)
            for used, overlay in self._combinations(found, cache):
                launcher = Launcher(used.template())
                outcome = probe.probe(launcher, used, cache, overlay)
                if outcome.started:
                    return _Measured(outcome.enforcement, used, launcher, overlay)
                launcher.close()
                why = why or outcome.why
        return _nothing(why, host.identity(found[0]))

    def _combinations(self, found: tuple[host.Bubblewrap, ...], cache: Path) -> Iterator[tuple[Confinement, bool]]:
        python = self._setting.python
        interpreter = python_env.ask_interpreter(python) if python else python_env.own_interpreter()
        shown = python_env.view_of(interpreter, cache)
        for overlay in (True, False):
            if overlay is (self._setting.isolation is IsolationMode.WORKTREE):
                continue
            if not overlay and self._setting.isolation is IsolationMode.OVERLAY:
                continue
            for each in found:
                yield confinement(each, shown, cache), overlay


def _nothing(why: str, facts: dict[str, str]) -> _Measured:
    proofs = tuple(Proof(each, False, why) for each in Property)
    return _Measured(Enforcement("none", proofs, facts=facts))
