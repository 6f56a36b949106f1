"""Serve one open stage on Linux: commands through its link, then the dead layer.

Rule: nothing of the layer is read while a process of the stage lives. Does not know how the
view was made or how processes are confined.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from factory.sandbox.backend import without_terminal
from factory.sandbox.layer import DeadLayer
from factory.sandbox.link import RawOutcome, StageLink
from factory.sandbox.plan import Request
from factory.sandbox.ports import EgressListener, Person
from factory.sandbox.python_env import INSIDE_PYTHON
from factory.sandbox.values import (
    CommandOutcome,
    CommandSpec,
    Ended,
    ErrorKind,
    SandboxError,
    StageLimits,
)

_KILLED = 128 + signal.SIGKILL
_SIGNALS = frozenset(int(number) for number in signal.Signals)
_OPENER = Path(__file__).with_name("terminal_inside.py")
_MOST_SAID = 4096  # bytes of bubblewrap's own words that an error repeats


class LinuxStage:
    """Implement `Stage`; see the port.

    `ask` words a command for the supervisor; `on_close` removes what was made for the stage.
    `shown` are paths of the host that a command sees, each with the constant one that is written
    instead in what it prints.
    """

    def __init__(
        self,
        link: StageLink,
        layer: DeadLayer,
        limits: StageLimits,
        ask: Request,
        on_close: Callable[[], None],
        shown: tuple[tuple[str, str], ...] = (),
    ) -> None:
        self._link = link
        self._layer = layer
        self._limits = limits
        self._ask = ask
        self._shown = shown
        self._on_close = on_close
        self._egress: EgressListener | None = None
        self._found_by: tuple[tuple[str, str], ...] = ()
        self._frozen = False
        self._closed = False

    def connect(self, egress: EgressListener, found_by: tuple[tuple[str, str], ...]) -> None:
        """Give the stage's listener to `egress`; commands find it by the variables `found_by`."""
        self._egress, self._found_by = egress, found_by
        egress.serve(socket.socket(fileno=self._link.listener))

    @property
    def closed(self) -> bool:
        """Return whether `close` was called."""
        return self._closed

    def run(
        self, command: CommandSpec, on_output: Callable[[bytes], None] | None = None
    ) -> CommandOutcome:
        """Run one command to its end, and everything it started with it.

        Raise SandboxError BROKEN where the sandbox did not start or the stage is frozen.
        """
        if self._frozen:
            raise _frozen("a command was to run")
        bounds = {"timeout": command.timeout, "memory": self._limits.memory}
        request = self._ask(command.run, command.cwd, self._environment(command)) | bounds
        started = time.monotonic()
        if not self._shown:
            raw = self._link.run(request, command.output, on_output)
        else:
            said = _Renamed(self._shown, on_output)
            raw = self._link.run(request, command.output, said.take)
            said.end()
            raw = replace(raw, log=bytes(said.whole))
        return outcome(raw, round((time.monotonic() - started) * 1000))

    def converse(self, command: CommandSpec, person: Person) -> CommandOutcome:
        """Run one command at a terminal that is made inside, with the person at its far end. Raise
        as `run` does, and SandboxError NO_TERMINAL where the backend can make no terminal.
        """
        if self._frozen:
            raise _frozen("a session was to begin")
        if self._shown:
            raise without_terminal()
        bounds = {"timeout": command.timeout, "memory": self._limits.memory}
        # Nothing of the pack's acts on what makes the terminal.
        request = self._ask(command.run, command.cwd, ()) | bounds
        request["opener"] = [INSIDE_PYTHON, "-I", "-S", "-c", _OPENER.read_text("ascii")]
        started = time.monotonic()
        raw = self._link.converse(request, dict(self._environment(command)), command.output, person)
        return outcome(raw, round((time.monotonic() - started) * 1000))

    def freeze(self) -> DeadLayer:
        """End every process; return what they wrote."""
        self._end()
        return self._layer

    def close(self) -> None:
        """End every process and let go of the layer. Idempotent."""
        if self._closed:
            return
        self._closed = True
        try:
            self._link.close()
            if self._egress is not None:
                self._egress.close()
        finally:
            self._on_close()

    def cancel(self) -> None:
        """End every process from another thread; a running command returns as cancelled."""
        self._link.cancel()

    def _environment(self, command: CommandSpec) -> tuple[tuple[str, str], ...]:
        if self._egress is None:
            return command.env
        return (*command.env, *self._found_by, *self._egress.environment)

    def _end(self) -> None:
        if not self._frozen:
            self._frozen = True
            self._link.end()


def _frozen(what: str) -> SandboxError:
    return SandboxError(ErrorKind.BROKEN, f"{what} in a stage that is frozen already")


class _Renamed:
    """Output in which some paths are written as others, also where chunks cut them."""

    def __init__(
        self, names: tuple[tuple[str, str], ...], on_output: Callable[[bytes], None] | None
    ) -> None:
        self._names = {os.fsencode(path): os.fsencode(shown) for path, shown in names}
        self._pattern = re.compile(b"|".join(map(re.escape, self._names)))
        self._on_output = on_output
        self._kept = b""
        self.whole = bytearray()

    def take(self, chunk: bytes) -> None:
        """Pass on what cannot be the beginning of a path any more."""
        text = self._pattern.sub(lambda found: self._names[found[0]], self._kept + chunk)
        kept = max(_overlap(text, path) for path in self._names)
        self._kept = text[len(text) - kept :]
        self._give(text[: len(text) - kept])

    def end(self) -> None:
        """Pass on what was kept: it is no path."""
        self._give(self._kept)

    def _give(self, text: bytes) -> None:
        self.whole += text
        if text and self._on_output is not None:
            self._on_output(text)


def _overlap(text: bytes, path: bytes) -> int:
    """Return how many bytes at the end of `text` may be the beginning of `path`."""
    return next(
        (n for n in range(min(len(text), len(path) - 1), 0, -1) if text.endswith(path[:n])), 0
    )


def outcome(raw: RawOutcome, duration_ms: int) -> CommandOutcome:
    """Return the outcome for what the supervisor reported. Raise SandboxError BROKEN where nothing
    was started.
    """
    ended = Ended(raw.ended)
    if ended is Ended.EXITED:
        if raw.code is None:
            said = raw.log[:_MOST_SAID].decode("utf-8", "replace").strip()
            raise SandboxError(
                ErrorKind.BROKEN,
                f"the sandbox did not start: {said or 'bubblewrap ended without a word'}",
            )
        if raw.code - 128 in _SIGNALS:
            ended = Ended.SIGNALLED
    # A command that was ended from outside never counts as success, whatever it made of its signal.
    code = (
        _KILLED if raw.code is None or (raw.code == 0 and ended is not Ended.EXITED) else raw.code
    )
    return CommandOutcome(
        ended, code, raw.log, raw.output_bytes, duration_ms, raw.peak, raw.full, raw.tried
    )
