"""Hosts without confinement: commands run as the user, in a full worktree, and nothing is promised.

Portable. States honestly that no property is given, so that policy blocks unless the user
accepted every missing one by name; it does not decide that itself. Time, output and the
process group are still ended as well as the platform allows.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from factory.egress.ports import Reach
from factory.files.fs_guard import remove_tree
from factory.git.ports import Objects
from factory.model.connection import Connection
from factory.model.errors import InternalError, Refusal
from factory.model.finding import Finding
from factory.model.pack import Limits
from factory.model.properties import Enforcement, Proof, Property
from factory.model.scanned import LayerKind, ScannedLayer
from factory.sandbox.bubblewrap import EPOCH
from factory.sandbox.layer import DeadLayer, bytes_of, open_folder
from factory.sandbox.ports import Collected, CommandOutcome, CommandSpec, Ended, View
from factory.sandbox.setting import SandboxSetting, Views

_CHUNK = 1 << 16
_SAMPLE = 0.05  # seconds between two looks at the clock
_PATIENCE = 5.0  # seconds for a killed group to let go of the output
_PASSED = ("PATH", "SYSTEMROOT", "COMSPEC", "PATHEXT", "WINDIR")
_NEW_GROUP = 0x00000200  # CREATE_NEW_PROCESS_GROUP, a name that exists on Windows only
_WHY = f"commands are not confined on {sys.platform}"


class UnconfinedSandbox:
    """A `Sandbox` that confines nothing; see the port."""

    def __init__(
        self, views: Views, objects: Objects, setting: SandboxSetting, why: str = _WHY
    ) -> None:
        self._views = views
        self._objects = objects
        self._setting = setting
        self._why = why

    def measure(self, network: bool = False) -> Enforcement:  # noqa: ARG002 - with or without, nothing is given
        """No property is given."""
        return Enforcement(
            "none",
            tuple(Proof(each, False, self._why) for each in Property),
            facts={"isolation": "worktree"},
        )

    def open(
        self, view: View, limits: Limits, name: str, reach: Reach | None = None
    ) -> UnconfinedStage:
        """A full worktree of its own. Raises Refusal PROPERTY_MISSING unless the user accepted all
        that is missing.

        Where network is to be had, NETWORK_UNAVAILABLE: nothing here would make a command use a
        proxy.
        """
        if not self._setting.unconfined:
            raise unavailable(self._why)
        if reach is not None:
            raise no_network(name, self._why)
        folder = self._setting.worktrees / name
        remove_tree(folder)
        self._views.checkout(view.tree, folder)
        layer = DeadLayer(
            LayerKind.WORKTREE,
            partial(open_folder, folder),
            (),
            limits.disk,
            self._objects.write_blob,
            self._objects.hash_name,
            bytes_of(folder),
        )
        python = self._setting.python or sys.executable
        return UnconfinedStage(folder, layer, Path(python).parent)

    def integrator_argv(self, run_folder: Path, argv: list[str]) -> list[str]:  # noqa: ARG002 - nothing to confine with
        """The same words: nothing confines them. Raises Refusal PROPERTY_MISSING as `open` does."""
        if not self._setting.unconfined:
            raise unavailable(self._why)
        return [*argv]

    def close(self) -> None:
        """Nothing is held between stages."""


def no_network(name: str, why: str) -> Refusal:
    """What is said where a pack declares network and nothing would make it use a proxy."""
    message = f"{name} declares network, and there is no egress proxy here: {why}"
    return Refusal(
        Finding("NETWORK_UNAVAILABLE", message, "Run it on a host that can confine it.", pack=name)
    )


def unavailable(why: str) -> Refusal:
    """What is said where a sandbox is needed and there is none."""
    return Refusal(
        Finding(
            "PROPERTY_MISSING",
            f"expected a sandbox on this host, found none: {why}",
            "run `factory doctor` to see what is missing",
        )
    )


class UnconfinedStage:
    """A `Stage` over a worktree; see the port."""

    def __init__(self, folder: Path, layer: DeadLayer, tools: Path) -> None:
        self._folder = folder
        self._layer = layer
        self._tools = tools
        self._frozen = False

    def run(
        self, command: CommandSpec, on_output: Callable[[bytes], None] | None = None
    ) -> CommandOutcome:
        """Run one command as the user; its process group is ended with it."""
        if self._frozen:
            raise InternalError("a command was to run in a stage that is frozen already")
        started = time.monotonic()
        process = self._start(command)
        log = _Log(command.output, on_output)
        reader = threading.Thread(target=log.follow, args=(process,), daemon=True)
        reader.start()
        ended = _wait(process, started + command.timeout, log)
        _end_group(process)
        reader.join(_PATIENCE)
        code = process.wait()
        if code < 0:
            ended = Ended.SIGNALLED if ended is Ended.EXITED else ended
            code = 128 - code
        if code == 0 and ended is not Ended.EXITED:
            code = 128 + signal.SIGTERM
        elapsed = round((time.monotonic() - started) * 1000)
        return CommandOutcome(ended, code, bytes(log.kept), log.count, elapsed)

    def connections(self) -> tuple[Connection, ...]:
        """None is known of: nothing is in the way of the host's own network."""
        return ()

    def freeze(self) -> ScannedLayer:
        """Scan the worktree. That nothing runs there any more is hoped for, not proved."""
        self._frozen = True
        return self._layer.scan()

    def collect(self, patterns: Iterable[str]) -> tuple[Collected, ...]:
        """Read matching files of the worktree."""
        self._frozen = True
        return self._layer.collect(patterns)

    def keep(self, destination: Path) -> None:
        """Copy the worktree to a folder for a person to look at."""
        self._layer.keep(destination)

    def close(self) -> None:
        """Remove the worktree. Idempotent."""
        self._frozen = True
        remove_tree(self._folder)

    def _start(self, command: CommandSpec) -> subprocess.Popen[bytes]:
        windows = os.name == "nt"
        return subprocess.Popen(
            command.run if windows else ["/bin/sh", "-c", command.run],
            shell=windows,
            cwd=self._folder / command.cwd,
            env=self._environment(command.env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=not windows,
            creationflags=_NEW_GROUP if windows else 0,
        )

    def _environment(self, extra: tuple[tuple[str, str], ...]) -> dict[str, str]:
        kept = {name: os.environ[name] for name in _PASSED if name in os.environ}
        kept["PATH"] = os.pathsep.join((str(self._tools), kept.get("PATH", os.defpath)))
        constant = {
            "LANG": "C.UTF-8",
            "TZ": "UTC",
            "SOURCE_DATE_EPOCH": str(EPOCH),
            "PYTHONHASHSEED": "0",
        }
        return {**kept, **constant, "PYTHONDONTWRITEBYTECODE": "1", **dict(extra)}


class _Log:
    """Output read by a thread of its own, since Windows cannot wait for a pipe and a clock at
    once.
    """

    def __init__(self, bound: int, on_output: Callable[[bytes], None] | None) -> None:
        self.bound = bound
        self.on_output = on_output
        self.kept = bytearray()
        self.count = 0

    def follow(self, process: subprocess.Popen[bytes]) -> None:
        """Read to the end."""
        assert process.stdout is not None  # noqa: S101 - it was asked for
        with process.stdout as stream:
            while chunk := os.read(stream.fileno(), _CHUNK):
                room = self.bound - len(self.kept)
                self.count += len(chunk)
                self.kept += chunk[:room]
                if self.on_output is not None and chunk[:room]:
                    self.on_output(chunk[:room])


def _wait(process: subprocess.Popen[bytes], deadline: float, log: _Log) -> Ended:
    while True:
        try:
            process.wait(max(0.0, min(_SAMPLE, deadline - time.monotonic())))
        except subprocess.TimeoutExpired:
            if log.count > log.bound:
                return Ended.OUTPUT
            if time.monotonic() >= deadline:
                return Ended.TIMEOUT
            continue
        return Ended.OUTPUT if log.count > log.bound else Ended.EXITED


def _end_group(process: subprocess.Popen[bytes]) -> None:
    if sys.platform == "win32":
        taskkill = ["taskkill", "/T", "/F", "/PID", str(process.pid)]
        subprocess.run(taskkill, capture_output=True, check=False)
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
