"""Execute cards in the process that began the run, asked by processes that doit started (`-P
process`).

A card needs the run lock, the ledger and the recorder of its run, which are this process's alone.
So a worker process of doit asks over a local socket and waits. Both sides show that they know a key
that `multiprocessing` made here and workers inherit, since what is received is unpickled. A worker
of ours ends with the process that began the run, since it has inherited the lock. Does not know
what a card does.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from factory.engine.driver import Driver

_END_WITH_PARENT = 1  # PR_SET_PDEATHSIG in <linux/prctl.h>
_WAITING = 128  # workers whose question was not taken yet


class CardServer:
    """Execute one card for each question that is expected, in a thread of its own."""

    def __init__(self, driver: Driver) -> None:
        """Open the socket, before doit forks; its address is the driver's from now on."""
        # late: a run without `-P process` needs none of it
        from multiprocessing.connection import Listener

        self._driver = driver
        self._listener = Listener(backlog=_WAITING, authkey=_key())
        driver.address = str(self._listener.address)

    def expect(self) -> None:
        """Answer the next question, once it comes."""
        threading.Thread(target=self._answer, name="card", daemon=True).start()

    def close(self) -> None:
        """Take no more questions."""
        self._driver.address = ""
        self._listener.close()

    def _answer(self) -> None:
        from multiprocessing import AuthenticationError

        connection = None
        while connection is None:
            try:
                connection = self._listener.accept()
            except (AuthenticationError, EOFError, ConnectionError):
                continue  # not one of ours, or gone at once: the question is still to come
            except OSError:
                return  # closed, or a worker that is gone: nobody waits for an answer
        with connection:
            name = connection.recv()
            answer: dict[str, object] | None = None
            with contextlib.suppress(KeyboardInterrupt):  # raised again by who asked
                answer = self._driver.execute(self._driver.cards[name])
            with contextlib.suppress(OSError):  # a worker that was ended needs no answer
                connection.send(answer)


def ask(address: str, name: str) -> dict[str, Any]:
    """Have card `name` executed by the process that listens at `address`; return what doit stores
    of it. Raise KeyboardInterrupt where that was interrupted, OSError where nobody answers.
    """
    from multiprocessing.connection import Client

    with Client(address, authkey=_key()) as connection:
        connection.send(name)
        answer: dict[str, Any] | None = connection.recv()
    if answer is None:
        raise KeyboardInterrupt
    return answer


def _key() -> bytes:
    """Return the key of this process and of those that were forked from it."""
    from multiprocessing import current_process

    return bytes(current_process().authkey)


def end_with(parent: int) -> None:
    """Let this process be killed when process `parent`, which forked it, ends."""
    if not sys.platform.startswith("linux"):
        return
    import ctypes  # late: only worker processes need it

    ctypes.CDLL(None).prctl(_END_WITH_PARENT, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)  # it was gone before the kernel knew
