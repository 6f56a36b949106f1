"""Talk to the launcher, from the orchestrator's end: one process, and a link per stage to its
supervisor.

The output of a command is read in the calling thread. Whatever goes wrong here closes the
link, and a closed link ends every process of the stage. Does not know what is mounted or why.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from factory.sandbox import wire
from factory.sandbox.ports import Person
from factory.sandbox.relay import Relay, brief_opener, take_terminal
from factory.sandbox.values import ConnectAttempt, ErrorKind, SandboxError

_PROGRAM = Path(__file__).with_name("launcher.py")
_CHUNK = 1 << 16
_PIPE_SIZE = 1 << 20  # the most that an ordinary user may have (fs.pipe-max-size)


@dataclass(frozen=True, slots=True)
class RawOutcome:
    """Contain the supervisor's report at the end of a command, and the output that was read
    meanwhile.

    `code` is None where bubblewrap never reported that the command ended by itself.
    """

    ended: str
    code: int | None
    peak: int
    full: bool
    log: bytes
    output_bytes: int
    tried: tuple[ConnectAttempt, ...] | None = None


class StageUnavailable(Exception):
    """Report that the kernel refused a stage; the text is one clause."""


class Launcher:
    """Start stages by a warm helper process. Thread-safe; the helper starts on first use or by
    `start`.

    `template` is what all its stages have in common.
    """

    def __init__(self, template: wire.Message) -> None:
        self._template = template
        self._owner = os.getpid()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None

    def start(self) -> None:
        """Start the helper unless it runs already; best before threads and heavy imports."""
        with self._lock:
            self._started()

    def open_stage(self, plan: wire.Message, kept: tuple[int, ...] = ()) -> StageLink:
        """Make a stage, which keeps the descriptors `kept` open for as long as any process of it
        may live.

        Raise StageUnavailable where the kernel refuses it.
        """
        ours, theirs = socket.socketpair()
        try:
            with theirs, self._lock:
                wire.send(self._started(), plan, [theirs.fileno(), *kept])
            reply, descriptors = wire.receive(ours)
        except wire.HungUp as error:
            ours.close()
            self.close()  # the next stage gets a new one
            raise StageUnavailable(f"the launcher ended: {error}") from error
        if "error" in reply:
            ours.close()
            raise StageUnavailable(str(reply["error"]))
        return StageLink(ours, (plan["uid"], plan["gid"]), *descriptors)

    def close(self) -> None:
        """End the helper and with it every stage."""
        with self._lock:
            self._leave_the_parents()
            if self._socket is not None:
                self._socket.close()
            if self._process is not None:
                self._process.wait()
            self._socket = self._process = None

    def _leave_the_parents(self) -> None:
        """Drop, in a forked child, what belongs to its parent: two that wrote to one helper would
        take one another's stages.
        """
        if self._owner != os.getpid():
            self._owner = os.getpid()
            if self._socket is not None:
                self._socket.close()
            self._socket = self._process = None

    def _started(self) -> socket.socket:
        self._leave_the_parents()
        if self._socket is None:
            ours, theirs = socket.socketpair()
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, "-I", "-S", str(_PROGRAM), str(theirs.fileno())],
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    env={},
                    cwd="/",
                    start_new_session=True,
                )
            self._socket = ours
            wire.send(ours, self._template)
        return self._socket


class StageLink:
    """Run commands in one stage, then end it. `layer` is a descriptor of what packs wrote.

    `owner` is the uid and gid that it runs as. `listener` is a socket that listens inside, -1 where
    none does; whoever takes it closes it.
    """

    def __init__(
        self, control: socket.socket, owner: tuple[int, int], layer: int, listener: int = -1
    ) -> None:
        self._control = control
        self._owner = owner
        self.layer = layer
        self.listener = listener
        self._cancelled = False

    def run(
        self, request: wire.Message, bound: int, on_output: Callable[[bytes], None] | None
    ) -> RawOutcome:
        """Run one command, keeping up to `bound` bytes of output; more than that ends it.

        Raise SandboxError BROKEN where the supervisor is gone. Any exception ends the stage.
        """
        output, write_end = os.pipe()
        try:
            with contextlib.suppress(
                PermissionError
            ):  # too many pipes of this user: a smaller one is slower, no more
                fcntl.fcntl(output, fcntl.F_SETPIPE_SZ, _PIPE_SIZE)
            os.fchown(
                write_end, *self._owner
            )  # who writes to /dev/stderr by its name opens it again
            try:
                wire.send(self._control, {"op": "run", **request}, [write_end])
            finally:
                os.close(write_end)
            return self._follow(_Log(output, bound, on_output))
        except wire.HungUp as error:
            if self._cancelled:
                return RawOutcome("cancelled", None, 0, False, b"", 0)
            raise _broken(
                f"the supervisor of a sandbox ended while a command ran ({error})"
            ) from error
        except BaseException:
            self.cancel()
            raise
        finally:
            os.close(output)

    def converse(
        self, request: wire.Message, environment: dict[str, str], bound: int, person: Person
    ) -> RawOutcome:
        """Run one command at a terminal of its own, carried to and from a person; nothing is kept
        of it.

        `request` names an opener for the command. Raise as `run` does, and where no terminal could
        be made.
        """
        output, write_end = os.pipe()
        link, theirs = socket.socketpair()
        try:
            with link:
                try:
                    wire.send(self._control, {"op": "run", **request}, [write_end, theirs.fileno()])
                finally:
                    os.close(write_end)
                    theirs.close()
                brief_opener(link, environment, person.window())
                terminal = take_terminal(link)
            relay = Relay(self._control, terminal, person, bound)
            reply = _sound(relay.follow())
            ended = (
                "output" if relay.count > bound and reply["ended"] == "exited" else reply["ended"]
            )
            if terminal < 0 and ended == "exited":
                said = os.read(output, _CHUNK).decode("utf-8", "replace").strip()
                raise _broken(
                    f"no terminal could be made in the sandbox: {said or 'no word of why'}"
                )
            return _outcome(reply, ended, b"", relay.count)
        except wire.HungUp as error:
            raise _broken(
                f"the supervisor of a sandbox ended during a session ({error})"
            ) from error
        except BaseException:
            self.cancel()
            raise
        finally:
            os.close(output)

    def _follow(self, log: _Log) -> RawOutcome:
        poll = select.poll()
        poll.register(log.descriptor, select.POLLIN)
        poll.register(self._control, select.POLLIN)
        stopped = False
        while True:
            ready = {descriptor for descriptor, _ in poll.poll()}
            if log.descriptor in ready and not log.read():
                poll.unregister(log.descriptor)
            if log.over and not stopped:
                stopped = True
                wire.send(self._control, {"op": "stop", "why": "output"})
            if self._control.fileno() in ready:
                reply = _sound(wire.receive(self._control)[0])
                while log.read():
                    pass  # nobody can write any more: what is in the pipe is all there is
                ended = "output" if log.over and reply["ended"] == "exited" else reply["ended"]
                return _outcome(reply, ended, bytes(log.kept), log.count)

    def end(self) -> None:
        """End every process of the stage and wait for the proof. Raise SandboxError BROKEN without
        it.
        """
        try:
            wire.send(self._control, {"op": "end"})
            wire.receive(self._control)
        except wire.HungUp as error:
            raise _broken(
                f"a sandbox's supervisor ended without proof of its processes' end ({error})"
            ) from error

    def cancel(self) -> None:
        """Hang up, from any thread: the supervisor ends everything, and a running command
        returns.
        """
        self._cancelled = True
        with contextlib.suppress(OSError):
            self._control.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Hang up and let go of the layer."""
        self._control.close()
        if self.layer >= 0:
            os.close(self.layer)
            self.layer = -1


def _broken(sentence: str) -> SandboxError:
    return SandboxError(ErrorKind.BROKEN, sentence)


def _sound(reply: wire.Message) -> wire.Message:
    """Return the same. Raise SandboxError BROKEN where the supervisor had to give a command up;
    nothing of it runs any more.
    """
    if "failed" in reply:
        raise _broken(
            f"the supervisor of a sandbox could not go on with a command: {reply['failed']}"
        )
    return reply


def _outcome(reply: wire.Message, ended: str, log: bytes, count: int) -> RawOutcome:
    rows = reply["tried"]
    tried = tuple(ConnectAttempt(*row) for row in rows) if rows is not None else None
    return RawOutcome(ended, reply["rc"], reply["peak"], reply["full"], log, count, tried)


class _Log:
    """Collect the output of one command: kept up to a bound, counted in full."""

    def __init__(
        self, descriptor: int, bound: int, on_output: Callable[[bytes], None] | None
    ) -> None:
        self.descriptor = descriptor
        self.bound = bound
        self.on_output = on_output
        self.kept = bytearray()
        self.count = 0

    @property
    def over(self) -> bool:
        """Return whether there was more than the bound."""
        return self.count > self.bound

    def read(self) -> bool:
        """Take what is there; return False at the end."""
        chunk = os.read(self.descriptor, _CHUNK)
        room = self.bound - len(self.kept)
        self.count += len(chunk)
        self.kept += chunk[:room]
        if self.on_output is not None and chunk[:room]:
            self.on_output(chunk[:room])
        return bool(chunk)
