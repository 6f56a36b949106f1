"""Carry bytes both ways between two sockets until both sides are done, or a bound is reached.

Each direction ends by itself, so a peer may close its half and still read. Does not know what the
bytes are.
"""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Callable

from factory.egress.connection import ConnectionBounds, Reason
from factory.egress.rules import EgressRefusal

_CHUNK = 1 << 16
_MOST_WAITING = 1 << 18  # bytes that wait for a slow reader, each way


class Meter:
    """Count what a stage may still carry, over all its connections. Thread-safe."""

    def __init__(self, bounds: ConnectionBounds) -> None:
        self._lock = threading.Lock()
        self._up, self._down = bounds.bytes_up, bounds.bytes_down

    def up(self, count: int) -> None:
        """Take bytes that leave. Raise Refusal BYTES_UP where the bound is passed; they must then
        not be sent.
        """
        with self._lock:
            self._up -= count
            if self._up < 0:
                raise EgressRefusal(Reason.BYTES_UP)

    def down(self, count: int) -> None:
        """Take bytes that come. Raise Refusal BYTES_DOWN as `up` does."""
        with self._lock:
            self._down -= count
            if self._down < 0:
                raise EgressRefusal(Reason.BYTES_DOWN)


class Tunnel:
    """Carry one tunnel. `up` and `down` count what was passed on, also when `carry` raises."""

    def __init__(
        self, client: socket.socket, upstream: socket.socket, meter: Meter, idle: float
    ) -> None:
        self._client, self._upstream, self._idle = client, upstream, idle
        self._out = _Way(client, upstream, meter.up)
        self._in = _Way(upstream, client, meter.down)

    @property
    def up(self) -> int:
        """Return how many bytes were passed on to the host."""
        return self._out.count

    @property
    def down(self) -> int:
        """Return how many bytes were passed on to the client."""
        return self._in.count

    def carry(self, first: bytes) -> None:
        """Pass `first` on, then everything. Raise Refusal BYTES_* or IDLE; a side that breaks off
        ends both.
        """
        self._client.setblocking(False)
        self._upstream.setblocking(False)
        self._out.queue(first)
        moved = time.monotonic()
        try:
            while not (self._out.done and self._in.done):
                left = moved + self._idle - time.monotonic()
                if left <= 0:
                    raise EgressRefusal(Reason.IDLE)
                if self._move(left):
                    moved = time.monotonic()
        except ConnectionError:
            return

    def _move(self, seconds: float) -> bool:
        """Wait until something can be moved, and move it; return False where time ran out."""
        poll = select.poll()
        for source, sink in ((self._out, self._in), (self._in, self._out)):
            mask = (select.POLLIN if source.wants_more else 0) | (
                select.POLLOUT if sink.waiting else 0
            )
            if mask:  # a socket that nothing is wanted of would report its end for ever
                poll.register(source.source, mask)
        ready = dict(poll.poll(seconds * 1000))
        for way in (self._out, self._in):
            if way.wants_more and way.source.fileno() in ready:
                way.read()
            if way.waiting and way.sink.fileno() in ready:
                way.write()
            way.finish()
        return bool(ready)


class _Way:
    """Carry one direction. What is read is taken off the meter before it waits here."""

    def __init__(
        self, source: socket.socket, sink: socket.socket, take: Callable[[int], None]
    ) -> None:
        self.source, self.sink, self._take = source, sink, take
        self.waiting = bytearray()
        self.count = 0
        self.ended = False
        self.done = False

    @property
    def wants_more(self) -> bool:
        """Return whether another chunk may be read."""
        return not self.ended and len(self.waiting) < _MOST_WAITING

    def queue(self, content: bytes) -> None:
        """Take bytes off the meter and let them wait for the sink. Raise as the meter."""
        self._take(len(content))
        self.waiting += content

    def read(self) -> None:
        """Read a chunk, if one is there."""
        try:
            chunk = self.source.recv(_CHUNK)
        except BlockingIOError:
            return
        if chunk:
            self.queue(chunk)
        else:
            self.ended = True

    def write(self) -> None:
        """Write what the sink takes."""
        try:
            sent = self.sink.send(self.waiting)
        except BlockingIOError:
            return
        del self.waiting[:sent]
        self.count += sent

    def finish(self) -> None:
        """Shut the sink's side once all is passed on."""
        if self.ended and not self.waiting and not self.done:
            self.done = True
            try:
                self.sink.shutdown(socket.SHUT_WR)
            except OSError as error:
                raise ConnectionResetError(str(error)) from error
