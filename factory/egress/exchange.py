"""Carry one connection to the proxy, from its first byte to its record.

Order: request → declared → resolved → every address public → dialled → answered → server's name →
tunnel. A host that the user lets be at a private address may speak plain http; an upstream proxy
looks the other names up itself. What was not asked for by the rules of `egress.rules` never leaves
this host. Every wait has an end. Does not know the stage.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from factory.egress.apart import Apart
from factory.egress.connection import (
    DEFAULT_PORT,
    SENTENCES,
    Connection,
    Reason,
    Request,
    Target,
)
from factory.egress.reach import Interceptor, Outside, Reach
from factory.egress.rules import (
    EgressRefusal,
    judge_addresses,
    judge_target,
    names_target,
    plain_forwarded,
    plain_target,
    request_ends,
    target_of,
)
from factory.egress.server_name import judge_server_name, server_name
from factory.egress.tunnel import Meter, Tunnel
from factory.egress.upstream import Upstream, UpstreamRefused

_CHUNK = 4096
_MOST_DIALLED = 4  # addresses of one name
_LINGER = 0.5  # seconds for a refused client to take its answer
_GLANCE = 0.02  # seconds for a client that is one too many: nobody else is served meanwhile
_HANDSHAKE = b"\x16"  # the first byte of TLS
_ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"
_ACCESS_DENIED = b"\x15\x03\x03\x00\x02\x02\x31"  # a fatal alert of TLS
_CODES = {
    Reason.NOT_CONNECT: 405,
    Reason.NOT_DECLARED: 403,
    Reason.NOT_PUBLIC: 403,
    Reason.NEAR: 403,
    Reason.SLOW: 408,
    Reason.TOO_LARGE: 431,
    Reason.AT_ONCE: 503,
    Reason.TOO_MANY: 503,
    Reason.NO_ADDRESS: 502,
    Reason.UNREACHABLE: 502,
    Reason.UPSTREAM: 502,
}
_NOBODY = Target("", 0)

_Found = TypeVar("_Found")


class Exchange:
    """Serve one client. `carry` runs in a thread of its own; `end` may be called from any."""

    def __init__(
        self, client: socket.socket, number: int, reach: Reach, outside: Outside, meter: Meter
    ) -> None:
        self._client = client
        self._number = number
        self._reach = reach
        self._outside = outside
        self._meter = meter
        self._lock = threading.Lock()
        self._upstream: socket.socket | None = None
        self._over = False
        self._asked: Apart[Any] | None = None
        self._answered = self._plain = False
        self._target, self._address = _NOBODY, ""
        self._by: Upstream | None = None
        self._up = self._down = 0
        self._requests: tuple[Request, ...] = ()

    def carry(self) -> Connection:
        """Carry one client from its request to the end of its connection; return the record. Raise
        only what an interceptor does wrong.
        """
        began = time.monotonic()
        try:
            reason = self._carried()
        except EgressRefusal as refused:
            reason = refused.reason
            self._target = refused.target if self._target == _NOBODY else self._target
            self._address = refused.address or self._address
            self._refuse(reason)
        except OSError:
            reason = Reason.DONE if self._answered else Reason.LEFT
        finally:
            self._close()
        return self._record(reason, round((time.monotonic() - began) * 1000))

    def refuse(self, reason: Reason) -> Connection:
        """Reject the client without reading its request."""
        self._refuse(reason, _GLANCE)
        self._close()
        return self._record(reason, 0)

    def end(self) -> None:
        """End at once whatever is under way; nobody waits for it any more."""
        with self._lock:
            self._over = True
            for link in (self._client, self._upstream):
                if link is not None:
                    with contextlib.suppress(OSError):
                        link.shutdown(socket.SHUT_RDWR)
            if self._asked is not None:
                self._asked.leave()

    def _record(self, reason: Reason, milliseconds: int) -> Connection:
        target = self._target
        return Connection(
            number=self._number,
            host=target.host,
            port=target.port,
            address=self._address,
            reason=reason,
            bytes_up=self._up,
            bytes_down=self._down,
            duration_ms=milliseconds,
            requests=self._requests,
            via=str(self._by.target) if self._by is not None else "",
        )

    # --- the way

    def _carried(self) -> Reason:
        request = self._read(request_ends, Reason.LEFT)
        plain = plain_target(request)
        if plain is not None and names_target(self._reach.private, plain):
            self._target, self._plain = plain, True
            judge_target(self._named, self._target)
            upstream = self._dialled(self._addresses())
            self._answered = True
            return self._tunnelled(upstream, plain_forwarded(request))
        self._target = target_of(request)
        judge_target(self._reach.hosts, self._target)
        addresses = self._addresses()
        interceptor = self._reach.interceptor
        if interceptor is not None and interceptor.serves(self._target):
            return self._intercepted(interceptor, addresses)
        upstream = self._dialled(addresses)
        self._answer(_ESTABLISHED)
        return self._tunnelled(upstream, self._read(self._begins_as_it_may, Reason.NOT_TLS))

    def _tunnelled(self, upstream: socket.socket, first: bytes) -> Reason:
        tunnel = Tunnel(self._client, upstream, self._meter, self._reach.bounds.idle)
        try:
            tunnel.carry(first)
        finally:
            self._up, self._down = tunnel.up, tunnel.down
        return Reason.DONE

    @property
    def _named(self) -> tuple[str, ...]:
        """Return the hosts that the pack names. Any host (`*`) is any public one: a private host is
        reached by its name alone.
        """
        return tuple(host for host in self._reach.hosts if host != "*")

    def _is_private(self, target: Target) -> bool:
        return names_target(self._reach.private, target) and names_target(self._named, target)

    def _addresses(self) -> tuple[str, ...]:
        """Return the addresses to dial, judged: of the host, or of the upstream proxy where that
        reaches it. Raise Refusal.
        """
        if self._is_private(self._target):
            found = self._resolved(self._target, self._target.host)
            return judge_addresses(self._target, found, (), private=True)
        self._by = self._reach.upstream
        if self._by is not None:
            return self._resolved(self._by.target, self._by.host)
        found = self._resolved(self._target, f"{self._target.host}.")
        return judge_addresses(self._target, found, self._outside.near())

    def _resolved(self, place: Target, name: str) -> tuple[str, ...]:
        return self._ask(
            lambda: self._outside.resolve(name, place.port), Reason.NO_ADDRESS, _forget
        )

    def _begins_as_it_may(self, buffered: bytes) -> bool:
        """Return whether enough came. A private host at another port than that of https may speak
        without TLS: the user named it. Raise Refusal.
        """
        if buffered and buffered[:1] != _HANDSHAKE and self._target.port != DEFAULT_PORT:
            self._plain = self._is_private(self._target)
            if self._plain:
                return True
        return self._names_the_target(buffered)

    def _names_the_target(self, buffered: bytes) -> bool:
        name = server_name(buffered)
        if name is not None:
            judge_server_name(self._target, name)
        return name is not None

    def _intercepted(self, interceptor: Interceptor, addresses: tuple[str, ...]) -> Reason:
        def dial() -> socket.socket:
            """Dial the address that was judged. Raise ConnectionError instead of Refusal, as an
            interceptor expects.
            """
            try:
                return self._dialled(addresses)
            except EgressRefusal as refused:
                raise ConnectionError(SENTENCES[refused.reason]) from refused

        self._address = addresses[0]
        self._answer(_ESTABLISHED)
        self._client.settimeout(self._reach.bounds.idle)
        served = interceptor.serve(self._client, dial, self._target, self._meter)
        self._up, self._down, self._requests = served.bytes_up, served.bytes_down, served.requests
        return served.reason

    def _read(self, ends: Callable[[bytes], bool], too_little: Reason) -> bytes:
        """Return bytes of the client once they are enough, within a bound on time. Raise
        Refusal.
        """
        deadline = time.monotonic() + self._reach.bounds.request
        buffered = b""
        while not ends(buffered):
            self._client.settimeout(max(0.001, deadline - time.monotonic()))
            try:
                chunk = self._client.recv(_CHUNK)
            except TimeoutError:
                chunk = None
            if chunk is None or time.monotonic() > deadline:
                raise EgressRefusal(Reason.SLOW, self._target)
            if not chunk:
                raise EgressRefusal(too_little if buffered else Reason.LEFT, self._target)
            buffered += chunk
        return buffered

    def _dialled(self, addresses: tuple[str, ...]) -> socket.socket:
        """Return a connection to the first address that takes one, of exactly those that were
        judged. Raise Refusal.
        """
        target, seconds, by = self._target, self._reach.bounds.dial, self._by
        port = target.port if by is None else by.port
        deadline = time.monotonic() + seconds

        def dial() -> tuple[str, socket.socket]:
            """Return the address that took the connection, and the connection. Raise OSError."""
            problem = OSError("no address")
            for address in addresses[:_MOST_DIALLED]:
                try:
                    left = max(0.001, deadline - time.monotonic())
                    link = self._outside.dial(address, port, left)
                    if by is not None:
                        left = max(0.001, deadline - time.monotonic())
                        link = by.through(link, target, left)
                    return address, link
                except UpstreamRefused:
                    raise
                except OSError as error:
                    problem = error
            raise problem

        self._address = addresses[0]
        self._address, link = self._ask(dial, Reason.UNREACHABLE, _hang_up)
        with self._lock:
            self._upstream = link
            over = self._over
        if over:
            raise EgressRefusal(Reason.LEFT, target)
        link.settimeout(self._reach.bounds.idle)
        return link

    def _ask(
        self, call: Callable[[], _Found], failed: Reason, unwanted: Callable[[_Found], None]
    ) -> _Found:
        """Return what `call` gives, within a bound, though the call itself may know none. Raise
        Refusal.
        """
        asked = Apart(call, unwanted)
        with self._lock:
            self._asked = asked
            over = self._over
        if over:
            asked.leave()
        try:
            return asked.wait(self._reach.bounds.dial)
        except UpstreamRefused:
            raise EgressRefusal(Reason.UPSTREAM, self._target) from None
        except OSError:
            raise EgressRefusal(Reason.LEFT if self._over else failed, self._target) from None

    # --- answers

    def _answer(self, content: bytes) -> None:
        self._client.settimeout(self._reach.bounds.request)
        self._client.sendall(content)
        self._answered = True

    def _refuse(self, reason: Reason, seconds: float = _LINGER) -> None:
        """Send the refusal, and let the client take it: what is unread when a socket closes takes
        the answer along.
        """
        if self._over:
            return
        late = b"" if self._plain else _ACCESS_DENIED
        content = late if self._answered else _refusal(reason, self._target)
        with contextlib.suppress(OSError):
            self._client.settimeout(seconds)
            self._client.sendall(content)
            self._client.shutdown(socket.SHUT_WR)
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline and self._client.recv(_CHUNK):
                pass

    def _close(self) -> None:
        with self._lock:
            self._over = True
            for link in (self._client, self._upstream):
                if link is not None:
                    link.close()


def _refusal(reason: Reason, target: Target) -> bytes:
    code = _CODES.get(reason, 400)
    said = (
        f"factory: {target}: {SENTENCES[reason]}\n"
        if target.host
        else f"factory: {SENTENCES[reason]}\n"
    )
    more = "Allow: CONNECT\r\n" if code == 405 else ""
    head = (
        f"HTTP/1.1 {code} {reason.value}\r\n{more}Content-Type: text/plain\r\nContent-Length:"
        f" {len(said)}\r\n"
    )
    return f"{head}Connection: close\r\n\r\n{said}".encode("ascii")


def _forget(_addresses: tuple[str, ...]) -> None:
    """Do nothing: addresses keep nothing open."""


def _hang_up(answer: tuple[str, socket.socket]) -> None:
    answer[1].close()
