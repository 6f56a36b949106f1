"""Define the record of one connection of a pack to the outside: target, verdict, reason, bytes.

The reasons are stable: evidence contains them. Does not know who decides, nor who carries bytes.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

DEFAULT_PORT = 443  # what a host without a port means


class Verdict(enum.Enum):
    """Name the outcome of a connection: CUT was allowed and then ended by a bound, FAILED was
    allowed but reached nobody.
    """

    ALLOWED = "allowed"
    REFUSED = "refused"
    CUT = "cut"
    FAILED = "failed"


class Reason(enum.Enum):
    """Name why a connection ended."""

    DONE = "done"
    NOT_CONNECT = "not-connect"
    MALFORMED = "malformed-request"
    TOO_LARGE = "request-too-large"
    NOT_A_HOST = "not-a-host-name"
    HOST_HEADER = "host-header-differs"
    PIPELINED = "bytes-before-the-answer"
    NOT_DECLARED = "not-declared"
    NOT_PUBLIC = "address-not-public"
    NEAR = "address-of-this-host"
    NOT_TLS = "not-tls"
    HELLO = "malformed-hello"
    NO_SERVER_NAME = "no-server-name"
    SERVER_NAME = "server-name-differs"
    ENCRYPTED_NAME = "server-name-encrypted"
    INTERCEPTED = "refused-by-interceptor"
    SLOW = "too-slow"
    AT_ONCE = "too-many-at-once"
    TOO_MANY = "too-many-connections"
    BYTES_UP = "too-many-bytes-up"
    BYTES_DOWN = "too-many-bytes-down"
    IDLE = "idle-too-long"
    LEFT = "left-early"
    NO_ADDRESS = "no-address"
    UNREACHABLE = "unreachable"
    UPSTREAM = "refused-by-upstream"


def _reasons() -> dict[Reason, Verdict]:
    own = {
        Reason.DONE: Verdict.ALLOWED,
        Reason.BYTES_UP: Verdict.CUT,
        Reason.BYTES_DOWN: Verdict.CUT,
        Reason.IDLE: Verdict.CUT,
        Reason.LEFT: Verdict.FAILED,
        Reason.NO_ADDRESS: Verdict.FAILED,
        Reason.UNREACHABLE: Verdict.FAILED,
        Reason.UPSTREAM: Verdict.FAILED,
    }
    return {reason: own.get(reason, Verdict.REFUSED) for reason in Reason}


VERDICTS: Mapping[Reason, Verdict] = MappingProxyType(_reasons())
"""The verdict of each reason. It is derived, so the two cannot disagree."""

SENTENCES: Mapping[Reason, str] = MappingProxyType(
    {
        Reason.DONE: "carried to its end",
        Reason.NOT_CONNECT: "only CONNECT is served: https through the proxy, nothing in the clear",
        Reason.MALFORMED: "the request does not have the strict form of CONNECT",
        Reason.TOO_LARGE: "the request is larger than the proxy reads",
        Reason.NOT_A_HOST: "the target is not a plain host name with a port",
        Reason.HOST_HEADER: "the Host header names another target",
        Reason.PIPELINED: "bytes came before the proxy had answered",
        Reason.NOT_DECLARED: "the pack's allow_network does not name it",
        Reason.NOT_PUBLIC: "its name resolves to an address that is not public",
        Reason.NEAR: "its name resolves to this host, or into a network that it is on",
        Reason.NOT_TLS: "the first bytes are no TLS handshake",
        Reason.HELLO: "the TLS handshake does not have its form",
        Reason.NO_SERVER_NAME: "the TLS handshake names no server",
        Reason.SERVER_NAME: "the TLS handshake names another server",
        Reason.ENCRYPTED_NAME: "the TLS handshake hides the server's name",
        Reason.INTERCEPTED: "a request in it is not allowed",
        Reason.SLOW: "the request or the TLS handshake took too long to come",
        Reason.AT_ONCE: "too many connections are open at once",
        Reason.TOO_MANY: "the stage has had all connections that it may have",
        Reason.BYTES_UP: "the stage has sent all bytes that it may send",
        Reason.BYTES_DOWN: "the stage has received all bytes that it may receive",
        Reason.IDLE: "nothing was sent either way for too long",
        Reason.LEFT: "the client left before it had said what it wants",
        Reason.NO_ADDRESS: "its name has no address",
        Reason.UNREACHABLE: "no address of it takes connections",
        Reason.UPSTREAM: "the upstream proxy of your configuration does not carry it",
    }
)
"""The meaning of each reason, one clause."""


@dataclass(frozen=True, slots=True, order=True)
class Target:
    """Describe the target of a connection: a host name in lower case, and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Request:
    """Record one request inside a connection whose TLS the proxy ended: method, host and path as
    sent, status, bytes each way. `model` and tokens are what the answer of a model said of itself.
    """

    method: str
    host: str
    path: str
    status: int
    bytes_up: int = 0
    bytes_down: int = 0
    model: str = ""
    tokens_in: int = 0
    tokens_out: int = 0


@dataclass(frozen=True, slots=True)
class Connection:
    """Record one ended connection to a stage's proxy.

    `host` is "" and `port` 0 if the request named none that may be shown; `address` is the one that
    was dialled or refused; `requests` are known only if the proxy ended TLS. `via` is the upstream
    proxy whose address that is, "" where the host itself was dialled.
    """

    number: int
    host: str
    port: int
    address: str
    reason: Reason
    bytes_up: int
    bytes_down: int
    duration_ms: int
    requests: tuple[Request, ...] = ()
    via: str = ""

    @property
    def verdict(self) -> Verdict:
        """Return the one verdict for how it ended."""
        return VERDICTS[self.reason]


@dataclass(frozen=True, slots=True)
class ConnectionBounds:
    """Bound the network use of a stage, all its connections together; times in seconds.

    `request` bounds the proxy request and the TLS hello each, `dial` resolving and connecting each.
    """

    at_once: int = 64
    connections: int = 512
    bytes_up: int = 256 << 20
    bytes_down: int = 4 << 30
    request: float = 10.0
    dial: float = 15.0
    idle: float = 120.0
