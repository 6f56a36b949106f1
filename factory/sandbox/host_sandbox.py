"""Measure once what the sandbox of this host can enforce, then open stages.

`view` shows a folder with the file a.txt, `folder` is an empty one for the sandbox's own:

>>> sandbox = HostSandbox(SandboxSetting(folder / "cache", folder / "worktrees"))
>>> enforcement = sandbox.measure()
>>> enforcement.escaped  # what a probe could do inside that it must not be able to do
()
>>> Property.TIME_BOUNDED in enforcement.given
True
>>> limits = StageLimits(timeout=30, memory=1 << 28, processes=32, disk=1 << 24, output=1 << 16)
>>> stage = sandbox.open(view, limits, "example")
>>> command = CommandSpec("cat a.txt; echo new >b.txt; exit 3", "", (), timeout=10, output=1000)
>>> outcome = stage.run(command)
>>> outcome.ended.name, outcome.rc, outcome.log
('EXITED', 3, b'hello\\n')
>>> layer = stage.freeze()  # nothing runs there any more
>>> descriptor = layer.open()
>>> "b.txt" in os.listdir(descriptor)
True
>>> os.close(descriptor)
>>> stage.close()
>>> sandbox.close()

The best backend that works is used, or the only one that the user chose. Safe to import everywhere;
a backend's module is loaded where its platform is this one. Does not know what a command means.
"""

from __future__ import annotations

import importlib
import platform
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from factory.sandbox.backend import Backend, Offer, SandboxSetting
from factory.sandbox.backend_none import Unconfined
from factory.sandbox.backends import NONE, BackendEntry, IsolationMode, rows_of
from factory.sandbox.folders import disk_errors
from factory.sandbox.kept_measurement import NOW, dated, forget, keep, name_of, read_kept
from factory.sandbox.ports import EgressListener, Stage, StageView
from factory.sandbox.properties import Enforcement
from factory.sandbox.values import SandboxError, StageLimits

_NOT_HERE = "what the user's configuration chose is not offered by this host"


@dataclass(frozen=True, slots=True)
class MeasuredBackend:
    """Contain the backend in use, and what was proved of it."""

    backend: Backend
    enforcement: Enforcement


class HostSandbox:
    """Implement `Sandbox`; see the port. Thread-safe. Starts nothing before it is asked.

    What was measured is in this object, and where the setting says so under a seal for the next
    starts, so no file, variable or pack can claim it.
    A child that is forked has the object and with it the measurement; it starts a helper of its
    own, and its parent's stages are none of its own. Fork where no other thread uses the object.

    `backends` are the classes to choose from, best first; None: those of the table that the setting
    leaves. Raise SandboxError UNKNOWN_BACKEND where it names none.
    """

    def __init__(
        self, setting: SandboxSetting, backends: tuple[type[Backend], ...] | None = None
    ) -> None:
        self._offer = Offer(setting)
        self._rows = rows_of(setting.backend)
        self._backends = backends
        self._lock = threading.Lock()
        self._measured: MeasuredBackend | None = None
        self._networked: Enforcement | None = None

    def measure(self, network: bool = False) -> Enforcement:
        """Return what is enforced, proved by trying inside the same confinement; see the port."""
        measured = self._measure()
        if not network:
            return measured.enforcement
        lack = measured.backend.no_proxy()
        if lack:
            return replace(measured.enforcement, no_proxy=lack)
        with self._lock:
            if self._networked is None:
                with disk_errors(self._offer.cache):
                    proof, escaped = measured.backend.probe_network()
                if proof.given or escaped:
                    self._networked = measured.enforcement.also(proof, escaped)
                else:
                    self._networked = replace(measured.enforcement, no_proxy=proof.how)
            return self._networked

    def open(
        self, view: StageView, limits: StageLimits, name: str, egress: EgressListener | None = None
    ) -> Stage:
        """Open a fresh stage; see the port."""
        try:
            return self._measure().backend.open(view, limits, name, egress)
        except SandboxError:
            forget(self._offer)
            raise

    def integrator_argv(self, run_folder: Path, argv: list[str]) -> list[str]:
        """Return the words that run the integrator, confined in the way that was probed."""
        return self._measure().backend.integrator_argv(run_folder, argv)

    def close(self) -> None:
        """End every stage that is still open, and what started them."""
        with self._lock:
            measured, self._measured, self._networked = self._measured, None, None
        if measured is not None:
            measured.backend.close()

    def _measure(self) -> MeasuredBackend:
        with self._lock:
            if self._measured is None:
                self._measured = self._probe_all()
            return self._measured

    def _probe_all(self) -> MeasuredBackend:
        """Return the first way of confining in which a command ran at all, best first."""
        why = ""
        with disk_errors(self._offer.cache):
            self._offer.cache.mkdir(parents=True, exist_ok=True)
            self._offer.work.mkdir(parents=True, exist_ok=True)
            known = self._measured_before()
            if known is not None:
                return known
            for kind in self._chosen():
                tried = False
                for number, way in enumerate(kind.ways(self._offer)):
                    tried = True
                    probed = way.probe()
                    if probed.started:
                        found = dated(_said_why(probed.enforcement, why), NOW)
                        if not why:  # a better backend that fails is tried at each start
                            keep(self._offer, number, way, found)
                        return MeasuredBackend(way, found)
                    way.close()
                    why = why or probed.why
                if not tried:
                    why = why or kind.why_none()
        nothing = Unconfined(self._offer, why or _NOT_HERE)
        return MeasuredBackend(nothing, nothing.probe().enforcement)

    def _measured_before(self) -> MeasuredBackend | None:
        kept = read_kept(self._offer)
        if kept is None:
            return None
        for kind in self._chosen():
            if name_of(kind) == kept.kind:
                for way in islice(kind.ways(self._offer), kept.way, None):
                    return MeasuredBackend(way, kept.enforcement)
        return None

    def _chosen(self) -> Iterator[type[Backend]]:
        """Yield every class that the user's choice leaves, best first; `none` only where it is
        chosen, since it is what is left where nothing else works.
        """
        isolation = self._offer.setting.isolation
        for kind in self._backends or tuple(load(self._rows)):
            if kind.name == NONE:
                if self._offer.setting.backend == NONE or platform.system() != "Linux":
                    yield kind
            elif isolation in (IsolationMode.AUTO, kind.isolation):
                yield kind


def load(rows: tuple[BackendEntry, ...]) -> Iterator[type[Backend]]:
    """Yield the classes of the rows that are for this platform, in their order."""
    for row in rows:
        if row.platform in ("", platform.system()):
            yield from importlib.import_module(row.module).BACKENDS


def _said_why(enforcement: Enforcement, why: str) -> Enforcement:
    """Return the same, with what kept this host from more after each property that is not given."""
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
