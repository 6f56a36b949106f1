"""Lend the person's own terminal to a session: raw while it lasts, and as it was afterwards,
whatever happens.

Rule: what a sandbox shows passes the filter of `sandbox.terminal_filter`, and the terminal is given
back with its modes, with what the sandbox switched on undone, and with nothing left of what was
typed. Does not know what is shown.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import termios
import tty
from collections.abc import Iterator, Mapping
from types import FrameType
from typing import Any

from factory.sandbox.terminal_filter import TerminalFilter
from factory.sandbox.values import ErrorKind, SandboxError

_CHUNK = 1 << 12
_SMALLEST = (24, 80)  # where the terminal does not say
_ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


def at_terminal() -> bool:
    """Return whether somebody types here and sees what is printed."""
    return _is_terminal(sys.stdin) and _is_terminal(sys.stdout)


def inside_term(environment: Mapping[str, str]) -> str:
    """Return the kind of terminal that programs inside are given as TERM: one whose ways the filter
    lets through, or none.
    """
    return "dumb" if environment.get("TERM", "") in ("", "dumb", "unknown") else "xterm-256color"


class PersonAtTerminal:
    """Implement `Person`; see the port. Use `seated`."""

    def __init__(self, typing: int, showing: int, resized: int, *, ascii_only: bool) -> None:
        self._typing, self._showing, self._resized = typing, showing, resized
        self.filter = TerminalFilter(ascii_only=ascii_only)

    @property
    def typing(self) -> int:
        """Return the descriptor that they type at."""
        return self._typing

    @property
    def resized(self) -> int:
        """Return a descriptor that is readable when the window may have changed."""
        return self._resized

    def typed(self) -> bytes:
        """Return what was typed; empty when the terminal has hung up."""
        try:
            return os.read(self._typing, _CHUNK)
        except OSError:
            return b""

    def show(self, chunk: bytes) -> None:
        """Show what the filter lets through."""
        self.write(self.filter.feed(chunk))

    def write(self, content: bytes) -> None:
        """Write to the terminal itself; one that has hung up shows nothing more."""
        with contextlib.suppress(OSError):
            while content:
                content = content[os.write(self._showing, content) :]

    def window(self) -> tuple[int, int]:
        """Return rows and columns, and forget that they changed."""
        with contextlib.suppress(BlockingIOError):
            while os.read(self._resized, _CHUNK):
                pass
        try:
            columns, rows = os.get_terminal_size(self._showing)
        except OSError:
            return _SMALLEST
        return (rows, columns) if rows and columns else _SMALLEST


@contextlib.contextmanager
def seated() -> Iterator[PersonAtTerminal]:
    """Yield the person at our terminal, which is raw until the end. Raise SandboxError INTERRUPTED
    at a signal that would end us.
    """
    sys.stdout.flush()
    seat = _Seat(sys.stdin.fileno(), sys.stdout.fileno())
    try:
        try:
            seat.take()
            yield seat.person
        finally:
            seat.leave()
    finally:
        seat.leave()  # again: a signal may have come in between
        seat.close()


class _Seat:
    """Set and restore the terminal's modes, and the signals that concern them."""

    def __init__(self, typing: int, showing: int) -> None:
        self._typing = typing
        self._changed, self._change = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        ascii_only = (sys.stdout.encoding or "").lower().replace("-", "") != "utf8"
        self.person = PersonAtTerminal(typing, showing, self._changed, ascii_only=ascii_only)
        self._before = termios.tcgetattr(typing)
        self._handlers: dict[int, Any] = {}
        self._taken = False
        self._woken = -1

    def take(self) -> None:
        """Make the terminal raw."""
        wanted = {
            signal.SIGWINCH: self._noted,
            signal.SIGTSTP: self._paused,
            signal.SIGCONT: self._continued,
        }
        self._taken = True
        # The kernel may give a signal to any thread; Python runs its handler in this one, which
        # waits for input: the byte that each signal writes wakes it.
        self._woken = signal.set_wakeup_fd(self._change, warn_on_full_buffer=False)
        for number, handler in {**wanted, **dict.fromkeys(_ENDING, self._ended)}.items():
            self._handlers[number] = signal.signal(number, handler)
        tty.setraw(self._typing)

    def leave(self) -> None:
        """Give the terminal back as it was. Idempotent."""
        if self._taken:
            self._taken = False  # from here on no signal raises, or makes the terminal raw
            self._give_back()

    def close(self) -> None:
        """Let go of the signals."""
        if self._handlers:
            signal.set_wakeup_fd(self._woken)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        os.close(self._changed)
        os.close(self._change)

    def _give_back(self) -> None:
        self.person.write(self.person.filter.end())
        # Flushed: what is left unread, an answer of the terminal too, would be typed into the shell
        # that comes next.
        with contextlib.suppress(termios.error):
            termios.tcsetattr(self._typing, termios.TCSAFLUSH, self._before)

    def _noted(self, _number: int, _frame: FrameType | None) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(self._change, b"x")

    def _paused(self, _number: int, _frame: FrameType | None) -> None:
        if self._taken:
            self._give_back()
        os.kill(os.getpid(), signal.SIGSTOP)

    def _continued(self, number: int, frame: FrameType | None) -> None:
        if self._taken:
            with contextlib.suppress(termios.error):
                tty.setraw(self._typing)
            self._noted(number, frame)

    def _ended(self, number: int, _frame: FrameType | None) -> None:
        if self._taken:
            raise SandboxError(
                ErrorKind.INTERRUPTED, f"the session was ended by {signal.Signals(number).name}"
            )


def _is_terminal(stream: Any) -> bool:
    try:
        return os.isatty(stream.fileno())
    except (AttributeError, OSError, ValueError):
        return False
