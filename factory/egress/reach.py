"""Define what one stage may reach, who looks names up and dials, and who may serve a host instead.

An `Interceptor` is asked before a host is tunnelled. For a host that it serves the proxy has read a
sound CONNECT, found the host declared, resolved it and judged every address, and answered 200; not
a byte of what follows was read. Does not know TLS, nor what a request means.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field
from typing import Protocol

from factory.egress.connection import ConnectionBounds, Reason, Request, Target
from factory.egress.near import networks
from factory.egress.rules import Network
from factory.egress.tunnel import Meter
from factory.egress.upstream import Upstream


@dataclass(frozen=True, slots=True)
class Served:
    """Record what an interceptor carried, counted as the proxy counts: bytes of the client's side,
    each way.

    `reason` says how it ended; a request that the interceptor does not allow is INTERCEPTED.
    """

    bytes_up: int = 0
    bytes_down: int = 0
    requests: tuple[Request, ...] = ()
    reason: Reason = Reason.DONE


class Interceptor(Protocol):
    """Serve some hosts itself. Called from a thread per connection.

    Any exception other than OSError is a defect.
    """

    def serves(self, target: Target) -> bool:
        """Return whether this host and port are its own. Must not block."""
        ...

    def serve(
        self,
        client: socket.socket,
        dial: Callable[[], socket.socket],
        target: Target,
        meter: Meter,
    ) -> Served:
        """Carry one connection to its end; what was carried is returned also where a socket broke
        off, or where `meter`, which counts for the whole stage, says that it has carried enough.

        `client` blocks with a time limit and belongs to the proxy, which closes it. `dial` gives a
        plain TCP socket to the address that was judged, with the same time limit, which the proxy
        closes too; it raises OSError. Both sockets are shut down when the stage's command has
        ended.
        """
        ...


@dataclass(frozen=True, slots=True)
class Outside:
    """Resolve names and dial addresses. Tests give another one; no setting does.

    `resolve` returns every address of a name, in the order to try them: one that ends in a dot is
    whole, another one this host completes as it does for its own programs. `dial` takes an address
    that was judged, a port and seconds. Both raise OSError. `near` returns networks that no name
    may resolve into, whatever the contract says.
    """

    resolve: Callable[[str, int], tuple[str, ...]]
    dial: Callable[[str, int, float], socket.socket]
    near: Callable[[], tuple[Network, ...]]


def _resolve(name: str, port: int) -> tuple[str, ...]:
    """Return every address of a name, in the system's order. Raise OSError."""
    host = name.encode("ascii")
    rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return tuple(dict.fromkeys(str(row[4][0]) for row in rows))


def _dial(address: str, port: int, seconds: float) -> socket.socket:
    """Return a connection to exactly this address. Raise OSError."""
    link = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        link.settimeout(seconds)
        link.connect((address, port))
    except OSError:
        link.close()
        raise
    return link


SYSTEM = Outside(_resolve, _dial, networks)
"""This host."""


@dataclass(frozen=True, slots=True)
class Reach:
    """List what one stage may reach: `hosts`, as `rules.rule_of` reads them, or `*` for any public
    one.

    `environment` is added for its commands, after everything else. `files` are texts by their paths
    inside, directly in /run, for this stage alone and read-only there. `private` are entries, as
    in `hosts`, that may be at this host or in a private network; all others are reached by
    `upstream`, where there is one.
    """

    hosts: tuple[str, ...]
    _: KW_ONLY
    private: tuple[str, ...] = ()
    upstream: Upstream | None = None
    interceptor: Interceptor | None = None
    environment: tuple[tuple[str, str], ...] = ()
    files: tuple[tuple[str, str], ...] = ()
    bounds: ConnectionBounds = field(default_factory=ConnectionBounds)
