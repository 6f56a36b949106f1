"""Let a polite request to stop act as Ctrl-C does, and notice both at once, whatever the main
thread waits for.

The interpreter notes a signal and answers it in the main thread, between two steps or where a wait
is interrupted. A signal that comes just before a wait interrupts nothing, and would be answered
when the wait ends: with packs in worker threads, when one of them does. So the note goes to a
thread as well, which interrupts the main one until that has answered. Does not know what is
stopped.
"""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
import time
from types import FrameType

STOPS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
# Means nothing to a program that does not ask for it, and has a higher number than those above: of
# several signals that are noted, the interpreter answers the lower ones first.
_INTERRUPTING = getattr(signal, "SIGURG", None)
_BETWEEN = 0.02  # seconds


def stop_like_ctrl_c(until: contextlib.ExitStack) -> None:
    """Until the stack is closed, a request to stop raises KeyboardInterrupt in the main thread.
    Do nothing in another thread.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    for number in STOPS:
        if signal.getsignal(number) in (
            signal.SIG_DFL,
            signal.default_int_handler,
        ):  # an ignored one stays so (nohup)
            until.callback(signal.signal, number, signal.signal(number, _interrupt))
    if _INTERRUPTING is not None and signal.getsignal(_INTERRUPTING) is signal.SIG_DFL:
        _Listener(_INTERRUPTING).listen(until)


def undo_in_child() -> None:
    """Answer signals as if `stop_like_ctrl_c` had never been called, in a process that was forked
    since.
    """
    signal.set_wakeup_fd(-1)
    for number in STOPS:
        if signal.getsignal(number) is _interrupt:
            alone = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
            signal.signal(number, alone)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


class _Listener:
    """Read, in a thread, what the interpreter notes, and send `number` to the main thread until it
    has answered.
    """

    def __init__(self, number: int) -> None:
        self._number = number
        self._heard = False
        self._over = False

    def listen(self, until: contextlib.ExitStack) -> None:
        """Until the stack is closed."""
        notes, write = socket.socketpair()
        write.setblocking(False)
        until.callback(write.close)  # what ends the thread
        until.callback(signal.signal, self._number, signal.signal(self._number, self._hear))
        until.callback(
            signal.set_wakeup_fd, signal.set_wakeup_fd(write.fileno(), warn_on_full_buffer=False)
        )
        until.callback(self._end)
        threading.Thread(
            target=self._listen, args=(notes,), name="polite stop", daemon=True
        ).start()

    def _listen(self, notes: socket.socket) -> None:
        with notes:
            while note := notes.recv(1):
                self._heard = note[0] not in STOPS
                while not (self._heard or self._over):
                    signal.pthread_kill(threading.main_thread().ident or 0, self._number)
                    time.sleep(_BETWEEN)

    def _hear(self, _number: int, _frame: FrameType | None) -> None:
        self._heard = True

    def _end(self) -> None:
        self._over = True
