"""Run one command of a stage: bubblewrap from its start to the burial of everything it started.

Runs inside the supervisor; stdlib only. Backends that start or end a command in another way
override a step. Does not know what the command means.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import time
from typing import Any

from factory.sandbox import kernel, layout, observe, watch, wire

GRACE = 2.0  # seconds between SIGTERM and SIGKILL
SAMPLE = 0.03  # seconds between two looks at the memory
# A pack gets every signal as any program does, whatever Python, a shell or `nohup` made us ignore
# or block.
SIGNALS = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}


def bury() -> None:
    """Kill and reap until no descendant is left; as subreaper of all, ECHILD is the proof.

    All that is dead is reaped before the next look, or a chain of processes that start one another
    would leave more dead behind than are taken away. A group is killed at once, which no fork in it
    can outrun.
    """
    own = os.getpgrp()
    while True:
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        for child in watch.children_of(os.getpid()):
            with contextlib.suppress(ProcessLookupError):
                group = os.getpgid(child)
                if group != own:
                    os.killpg(group, signal.SIGKILL)
                os.kill(child, signal.SIGKILL)
        os.sched_yield()


class SandboxedCommand:
    """Run one command in a process of its own, from its start until it is reaped."""

    def __init__(
        self,
        control: socket.socket,
        plan: wire.Message,
        request: wire.Message,
        descriptors: list[int],
        layer: int,
        observer: observe.Observer,
    ) -> None:
        """Take what the orchestrator sent. `descriptors` are where its output goes and, for a
        session, the link that its terminal is handed out on.
        """
        self.control = control
        self.plan = plan
        self.request = request
        self.output, *self.terminal = descriptors
        self.layer = layer
        self.observer = observer
        self.ended = "exited"
        self.peak = 0
        self.asked: set[int] = set()  # processes that were sent SIGTERM
        self.gone = False  # the orchestrator has hung up
        self.look = 0.0  # when to look at more than calls that wait
        self.status = -1  # where bubblewrap reports how the command ended

    def carry_out(self) -> wire.Message:
        """Run to the end and until no process is left; return what happened. Raise HungUp when
        nobody listens any more.
        """
        self.make_folders()
        pid = self.start()
        os.close(self.output)
        self._wait(pid)
        self.note_end(pid)
        full = self.is_full()
        bury()
        code = self.exit_code()
        if self.gone:
            raise wire.HungUp("while a command ran")
        ended = {"ended": self.ended, "rc": code, "peak": self.peak, "full": full}
        return {**ended, "tried": self.observer.report()}

    # --- the steps that a backend may take in its own way

    def make_folders(self) -> None:
        """Make an empty /tmp, home and /dev/shm.

        Those of the previous command are released only now, off its critical path.
        """
        with contextlib.suppress(OSError):  # the first command finds none
            kernel.unmount(layout.SCRATCH)
        layout.mount_bounded(layout.SCRATCH, self.plan["size"], self.plan["inodes"])
        for name, mode in (("tmp", 0o1777), ("shm", 0o1777), ("home", 0o755)):
            os.mkdir(f"{layout.SCRATCH}/{name}")
            os.chmod(f"{layout.SCRATCH}/{name}", mode)

    def start(self) -> int:
        """Spawn bubblewrap. Its arguments travel in memory: no environment shows in a process
        list.
        """
        self.status, statuses = os.pipe()
        return self.spawn([statuses], ["--json-status-fd", str(statuses)])

    def spawn(self, passed: list[int], words: list[str]) -> int:
        """Start bubblewrap with `words` before the request's own; the `passed` descriptors are
        closed here.
        """
        passed += self.terminal
        if self.plan["filter"]:  # a machine without a filter says so in its enforcement
            passed.append(_memory_file("filter", bytes.fromhex(self.plan["filter"])))
            words += ["--seccomp", str(passed[-1])]
        words += self.request["arguments"]
        if self.plan["network"]:
            words.append(
                "--share-net"
            )  # the supervisor's own namespace, which has nothing but its loopback
        passed.append(
            _memory_file("arguments", b"".join(os.fsencode(word) + b"\0" for word in words))
        )
        program, environment, opened = self.program()
        command = self.request["command"]
        if self.terminal:
            command = [*self.request["opener"], str(self.terminal[0]), *command]
        for descriptor in passed:
            os.set_inheritable(descriptor, True)
        try:
            return os.posix_spawn(
                program,
                [self.plan["bubblewrap"], "--args", str(passed[-1]), "--", *command],
                environment,
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_DUP2, self.output, 1),
                    (os.POSIX_SPAWN_DUP2, self.output, 2),
                ],
                setsigdef=SIGNALS,
                setsigmask=(),
            )
        finally:
            for descriptor in (*passed, *opened):
                os.close(descriptor)

    def program(self) -> tuple[str, dict[str, str], tuple[int, ...]]:
        """Return bubblewrap's path, variables for it alone, and descriptors to be closed once it
        runs.

        What packs find as /proc/1/exe: here it lies on a mount that nobody can write through.
        """
        return self.plan["bubblewrap"], {}, ()

    def tend(self, pid: int) -> None:
        """Do what must be done now and then while the command runs."""

    def note_end(self, pid: int) -> None:
        """Look at what must be seen before everything is buried."""

    def is_full(self) -> bool:
        """Return whether a bounded file system of the stage has no space left."""
        return _is_full(self.layer) or _is_full_at(layout.SCRATCH)

    def exit_code(self) -> int | None:
        """Return the command's own code, None where it never ended by itself; asked once, when
        nothing runs any more.
        """
        status = _read_status(self.status)
        os.close(self.status)
        return status.get("exit-code")

    def spared(self, pid: int) -> set[int]:
        """Return processes of ours that must outlive the grace: bubblewrap and its init."""
        return {pid, *watch.children_of(pid)}

    # --- until it ends

    def _wait(self, pid: int) -> None:
        """Wait until bubblewrap is gone or must go: watch the clock, the memory and the
        orchestrator.
        """
        deadline = time.monotonic() + self.request["timeout"]
        leader = os.pidfd_open(pid)
        poll = select.poll()
        poll.register(leader, select.POLLIN)
        poll.register(self.control, select.POLLIN)
        if self.observer.listener >= 0:
            poll.register(self.observer.listener, select.POLLIN)
        try:
            while True:
                left = deadline - time.monotonic()
                ready = {
                    descriptor for descriptor, _ in poll.poll(max(0.0, min(SAMPLE, left)) * 1000)
                }
                if leader in ready:
                    return
                if self.observer.listener in ready and self._answered():
                    continue
                if self.control.fileno() in ready and self._stop_requested():
                    return
                self.tend(pid)
                if self._too_much_memory():
                    return
                if time.monotonic() >= deadline:
                    if self.ended == "timeout":
                        return
                    self.ended = "timeout"
                    deadline = time.monotonic() + GRACE
                if self.ended == "timeout":
                    self._ask_to_end(pid)
        finally:
            os.close(leader)

    def _answered(self) -> bool:
        """Let a call that waits go on; whether all else can wait too. However many wait, the clock
        has its turn.
        """
        self.observer.answer()
        now = time.monotonic()
        if now < self.look:
            return True
        self.look = now + SAMPLE
        return False

    def _stop_requested(self) -> bool:
        try:
            request, _ = wire.receive(self.control)
            self.ended = request["why"]
        except wire.HungUp:
            self.gone = True
        return True

    def _too_much_memory(self) -> bool:
        used = watch.memory_below(os.getpid())
        self.peak = max(self.peak, used)
        if used > self.request["memory"]:
            self.ended = "memory"
            return True
        return False

    def _ask_to_end(self, pid: int) -> None:
        """Send SIGTERM, once each, to what the pack started."""
        own = self.spared(pid)
        for each in watch.descendants_of(os.getpid()):
            if each not in own and each not in self.asked:
                self.asked.add(each)
                _signal_below(each, signal.SIGTERM)


def _signal_below(pid: int, number: int) -> None:
    """Send a signal to a process if it is below us; one that ended may have left its number to
    somebody else's.
    """
    try:
        target = os.pidfd_open(pid)
    except ProcessLookupError:
        return  # it ended by itself in between
    try:
        if watch.is_below(os.getpid(), pid):
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(target, number)
    finally:
        os.close(target)


def _memory_file(name: str, content: bytes) -> int:
    descriptor = os.memfd_create(name)
    os.write(descriptor, content)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def _read_status(descriptor: int) -> dict[str, Any]:
    """Return bubblewrap's status documents, merged; without "exit-code" the sandbox never
    started.
    """
    merged: dict[str, Any] = {}
    text = b""
    while chunk := os.read(descriptor, 65536):
        text += chunk
    for line in text.splitlines():
        if line.strip():
            merged.update(json.loads(line))
    return merged


def _is_full(descriptor: int) -> bool:
    room = os.fstatvfs(descriptor)
    return room.f_bavail == 0 or (room.f_files > 0 and room.f_ffree == 0)


def _is_full_at(path: str) -> bool:
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        return _is_full(descriptor)
    finally:
        os.close(descriptor)
