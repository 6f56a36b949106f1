"""Serve the proxy of one stage: take clients off its own listener, a thread each, and keep the
record.

The listener lives in the stage's network namespace and came over as a descriptor: nobody else can
reach it, and what is dialled is dialled from here. Does not know what a command is; whoever does
asks for `connections` when every process that could be a client is dead.
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time

from factory.egress.connection import Connection, Reason
from factory.egress.exchange import Exchange
from factory.egress.reach import Outside, Reach
from factory.egress.tunnel import Meter

_GRACE = 0.25  # seconds in which connections of dead clients may end by themselves
_RETRY = 0.05  # seconds until a client is taken after the process ran out of descriptors


class Defective(Exception):
    """Report that an interceptor raised what it must not: no record of its connections can be
    relied on.
    """


class EgressProxy:
    """Accept the clients of one stage, from `serve` until `close`; see the module."""

    def __init__(self, reach: Reach, outside: Outside) -> None:
        self._reach = reach
        self._outside = outside
        self._meter = Meter(reach.bounds)
        self._lock = threading.Lock()
        self._count = 0
        self._closed = False
        self._open: dict[Exchange, threading.Thread] = {}
        self._ended: list[Connection] = []
        self._defects: list[Exception] = []
        self._listener: socket.socket | None = None
        self._watch: threading.Thread | None = None

    @property
    def environment(self) -> tuple[tuple[str, str], ...]:
        """Return variables for the stage's commands."""
        return self._reach.environment

    @property
    def files(self) -> tuple[tuple[str, str], ...]:
        """Return texts for the stage, by their paths inside."""
        return self._reach.files

    def serve(self, listener: socket.socket) -> None:
        """Take clients off `listener`, which is the proxy's own from now on. Called once."""
        listener.setblocking(False)
        self._listener = listener
        self._watch = threading.Thread(
            target=self._take_clients, args=(listener,), name="egress", daemon=True
        )
        self._watch.start()

    def connections(self) -> tuple[Connection, ...]:
        """Return every connection since the last call; none is open afterwards.

        Raise Defective where an interceptor broke off with a defect.
        """
        self._empty_backlog()
        threads = self._threads()
        deadline = time.monotonic() + _GRACE
        for thread in threads.values():
            thread.join(max(0.0, deadline - time.monotonic()))
        for exchange, thread in self._threads().items():
            exchange.end()
            thread.join()
        with self._lock:
            ended, self._ended = self._ended, []
            defects, self._defects = self._defects, []
        if defects:
            first = defects[0]
            raise Defective(
                f"an interceptor of the egress proxy failed: {type(first).__name__}: {first}"
            )
        return tuple(sorted(ended, key=lambda connection: connection.number))

    def close(self) -> None:
        """Take no client any more and end those that are there. Idempotent."""
        self._shut()
        if self._watch is not None:
            self._watch.join()
        for exchange, thread in self._threads().items():
            exchange.end()
            thread.join()

    def _threads(self) -> dict[Exchange, threading.Thread]:
        with self._lock:
            return dict(self._open)

    def _shut(self) -> None:
        with self._lock:
            if not self._closed:
                self._closed = True
                if self._listener is not None:
                    with contextlib.suppress(OSError):
                        self._listener.shutdown(socket.SHUT_RDWR)  # wakes who waits for a client

    def _empty_backlog(self) -> None:
        """Wait until every client that came is among those that are open: they are dead, so no more
        come.
        """
        while True:
            with self._lock:
                if self._closed or self._listener is None or not _is_ready(self._listener, 0):
                    return
            time.sleep(0.001)

    def _take_clients(self, listener: socket.socket) -> None:
        try:
            while not self._closed:
                _is_ready(listener, None)
                with self._lock:
                    self._take_client(listener)
        finally:
            with self._lock:
                self._closed = True
            listener.close()

    def _take_client(self, listener: socket.socket) -> None:
        try:
            client, _ = listener.accept()
        except BlockingIOError:
            return
        except OSError:
            if not self._closed:
                time.sleep(_RETRY)
            return
        self._count += 1
        exchange = Exchange(client, self._count, self._reach, self._outside, self._meter)
        if self._count > self._reach.bounds.connections:
            self._closed = True
            self._ended.append(exchange.refuse(Reason.TOO_MANY))
        elif len(self._open) >= self._reach.bounds.at_once:
            self._ended.append(exchange.refuse(Reason.AT_ONCE))
        else:
            thread = threading.Thread(
                target=self._carry, args=(exchange,), name="egress-client", daemon=True
            )
            self._open[exchange] = thread
            thread.start()

    def _carry(self, exchange: Exchange) -> None:
        ended, defect = None, None
        try:
            ended = exchange.carry()
        except Exception as error:  # noqa: BLE001  raised by `connections`
            defect = error
        with self._lock:
            del self._open[exchange]
            self._ended += [ended] if ended is not None else []
            self._defects += [defect] if defect is not None else []


def _is_ready(listener: socket.socket, seconds: float | None) -> bool:
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    return bool(poll.poll(None if seconds is None else seconds * 1000))
