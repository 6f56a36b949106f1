"""Run by the backend `none`: commands run as the user, in a full worktree, and nothing is promised.

Portable. What it gives is that no property is given, so that policy blocks unless the user
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

from factory.sandbox.backend import (
    Backend,
    Offer,
    Probed,
    nothing_given,
    unavailable,
    without_proxy,
    without_terminal,
)
from factory.sandbox.backends import NONE
from factory.sandbox.bubblewrap import EPOCH
from factory.sandbox.folders import remove
from factory.sandbox.layer import DeadLayer, bytes_of, open_folder
from factory.sandbox.ports import EgressListener, Person, StageView
from factory.sandbox.properties import Property
from factory.sandbox.values import (
    CommandOutcome,
    CommandSpec,
    Ended,
    ErrorKind,
    LayerKind,
    SandboxError,
    StageLimits,
)

_CHUNK = 1 << 16
_SAMPLE = 0.05  # seconds between two looks at the clock
_PATIENCE = 5.0  # seconds for a killed group to close the output
_PASSED = ("PATH", "SYSTEMROOT", "COMSPEC", "PATHEXT", "WINDIR")
_NEW_GROUP = 0x00000200  # CREATE_NEW_PROCESS_GROUP, a name that exists on Windows only


class Unconfined(Backend):
    """Run commands without any confinement; see the module.

    `why` says why nothing better is used, in one clause.
    """

    name = NONE

    def __init__(self, offer: Offer, why: str) -> None:
        self._offer, self._why = offer, why

    @classmethod
    def ways(cls, offer: Offer) -> Iterable[Backend]:
        """Return the only one, chosen by the user's configuration or by the platform."""
        chosen = offer.setting.backend == NONE
        platform = f"commands are not confined on {sys.platform}"
        return (
            cls(offer, "the user's configuration chose the backend none" if chosen else platform),
        )

    @classmethod
    def why_none(cls) -> str:
        """Return nothing: there is always one."""
        return ""

    def lack(self, wanted: Property) -> str:  # noqa: ARG002 - the same for each
        """Return why nothing better is in use."""
        return self._why

    def no_proxy(self) -> str:
        """Return why nothing would make a command use a proxy."""
        return self._why

    def probe(self) -> Probed:
        """Return that no property is given."""
        facts = {"isolation": self.isolation.value}
        return Probed(True, "", nothing_given(self.name, self._why, facts))

    def open(
        self, view: StageView, limits: StageLimits, name: str, egress: EgressListener | None
    ) -> UnconfinedStage:
        """Open a full worktree. Raise SandboxError UNAVAILABLE unless the user accepted all that is
        missing, and NO_PROXY where there is to be egress.
        """
        if not self._offer.setting.unconfined:
            raise unavailable(self._why)
        if egress is not None:
            raise without_proxy(self._why)
        folder = self._offer.work / name
        remove(folder)
        view.copy(folder)
        top = partial(open_folder, folder)
        layer = DeadLayer(LayerKind.WORKTREE, top, (), limits.disk, bytes_of(folder))
        return UnconfinedStage(folder, layer, self._offer.interpreter.scripts)

    def integrator_argv(self, run_folder: Path, argv: list[str]) -> list[str]:  # noqa: ARG002
        """Return the same words: nothing confines them. Raise as `open` does."""
        if not self._offer.setting.unconfined:
            raise unavailable(self._why)
        return [*argv]

    def close(self) -> None:
        """Do nothing: nothing is kept between stages."""


class UnconfinedStage:
    """Implement `Stage` over a worktree; see the port. `tools` is the folder of the interpreter."""

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
            raise SandboxError(
                ErrorKind.BROKEN, "a command was to run in a stage that is frozen already"
            )
        started = time.monotonic()
        process = self._start(command)
        log = _OutputThread(command.output, on_output)
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

    def converse(self, command: CommandSpec, person: Person) -> CommandOutcome:  # noqa: ARG002
        """Raise SandboxError NO_TERMINAL: there is none apart from the user's own."""
        raise without_terminal()

    def freeze(self) -> DeadLayer:
        """Return the worktree. That nothing runs there any more is hoped for, not proved."""
        self._frozen = True
        return self._layer

    def close(self) -> None:
        """Remove the worktree. Idempotent."""
        self._frozen = True
        remove(self._folder)

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


class _OutputThread:
    """Read output in a thread of its own, since Windows cannot wait for a pipe and a
    clock at once.
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


def _wait(process: subprocess.Popen[bytes], deadline: float, log: _OutputThread) -> Ended:
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


BACKENDS = (Unconfined,)
