"""Carry bytes between a person and a terminal inside a stage, until its command has ended.

Rule: only bytes pass. The terminal was made inside the sandbox and this end of it came out; nothing
of the person's goes in. Keystrokes wait in a bounded buffer where nobody reads them. Does not know
what is typed or shown.
"""

from __future__ import annotations

import array
import contextlib
import errno
import fcntl
import json
import os
import select
import socket
import struct
import termios
from typing import Any

from factory.sandbox import wire
from factory.sandbox.ports import Person

LEAVE = b"\x1d"  # Ctrl-]
TIMES = 3  # a program inside may want one: telnet and emacs use this key
_CHUNK = 1 << 16
_MOST_WAITING = 1 << 16  # bytes typed ahead; then the person's terminal waits


class Leaving:
    """Detect that the person asked to leave from outside: LEAVE, so many times in a row."""

    def __init__(self) -> None:
        self._count = 0

    def asked(self, typed: bytes) -> bool:
        """Take note of what was typed; return whether they asked to leave."""
        for each in typed:
            if self._count >= TIMES:
                break
            self._count = self._count + 1 if each == LEAVE[0] else 0
        return self._count >= TIMES


def take_terminal(link: socket.socket) -> int:
    """Return the far end of the terminal that was made inside; -1 where none came."""
    space = socket.CMSG_SPACE(array.array("i").itemsize)
    try:
        _, ancillary, _, _ = link.recvmsg(1, space, socket.MSG_CMSG_CLOEXEC)
    except OSError:
        return -1
    for level, kind, content in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            return array.array("i", content)[0]
    return -1


def brief_opener(link: socket.socket, environment: dict[str, str], window: tuple[int, int]) -> None:
    """Send what the program that makes the terminal needs to know. The environment shows in no
    process list.
    """
    with contextlib.suppress(
        OSError
    ):  # it is gone: then no terminal comes either, and its output says why
        link.sendall(json.dumps({"environment": environment, "window": window}).encode("ascii"))
        link.shutdown(socket.SHUT_WR)


class Relay:
    """Relay one session.

    `terminal` (-1: none was made) is closed with it; more than `bound` bytes of output end it.
    """

    def __init__(self, control: socket.socket, terminal: int, person: Person, bound: int) -> None:
        self.count = 0
        self._control = control
        self._terminal = terminal
        self._person = person
        self._bound = bound
        self._waiting = b""
        self._leaving = Leaving()
        self._here = True  # until the person is gone
        self._open = terminal >= 0  # until nothing in the sandbox has it open
        self._stopped = False
        if self._open:
            os.set_blocking(terminal, False)

    def follow(self) -> dict[str, Any]:
        """Carry bytes until the supervisor reports the command's end; return that report. Raise
        HungUp where it is gone.
        """
        try:
            while True:
                ready = self._ready()
                if self._person.resized in ready:
                    self._resize()
                if self._here and self._person.typing in ready:
                    self._take_typed()
                if ready.get(self._terminal, 0) & select.POLLOUT:
                    self._pass_on()
                if ready.get(self._terminal, 0) & ~select.POLLOUT:
                    self._show()
                if self.count > self._bound:
                    self._stop("output")
                if self._control.fileno() in ready:
                    reply, _ = wire.receive(self._control)
                    while self._open and self._show():
                        pass  # nobody can write any more: what is there is all there is
                    return reply
        finally:
            if self._terminal >= 0:
                os.close(self._terminal)

    def _ready(self) -> dict[int, int]:
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(self._person.resized, select.POLLIN)
        if self._here and len(self._waiting) < _MOST_WAITING:
            poll.register(self._person.typing, select.POLLIN)
        if self._open:
            poll.register(self._terminal, select.POLLIN | (select.POLLOUT if self._waiting else 0))
        return dict(poll.poll())

    def _resize(self) -> None:
        rows, columns = self._person.window()
        with contextlib.suppress(OSError):  # the terminal is gone: its size is nobody's concern
            fcntl.ioctl(
                self._terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0)
            )

    def _take_typed(self) -> None:
        typed = self._person.typed()
        self._here = bool(typed)
        self._waiting += typed
        if not typed or self._leaving.asked(typed):
            self._stop("cancelled")

    def _pass_on(self) -> None:
        try:
            self._waiting = self._waiting[os.write(self._terminal, self._waiting) :]
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            self._waiting = b""

    def _show(self) -> bool:
        """Show what is there; False where there is nothing, or nobody to come."""
        try:
            chunk = os.read(self._terminal, _CHUNK)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            chunk = b""  # nobody has the other side open
        self._open = bool(chunk)
        room = max(0, self._bound - self.count)
        self.count += len(chunk)
        if chunk[:room]:
            self._person.show(chunk[:room])
        return self._open

    def _stop(self, why: str) -> None:
        if not self._stopped:
            self._stopped = True
            wire.send(self._control, {"op": "stop", "why": why})
