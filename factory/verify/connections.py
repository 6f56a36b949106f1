"""Define EGRESS.json as this checker understands it. A test compares it with `schemas/`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from factory.verify.documents import Count, Texts
from factory.verify.form import AtLeast

VerdictName = Literal["allowed", "refused", "cut", "failed"]
ReasonName = Literal[
    "done", "not-connect", "malformed-request", "request-too-large", "not-a-host-name",
    "host-header-differs",
    "bytes-before-the-answer", "not-declared", "address-not-public",
    "address-of-this-host", "not-tls", "malformed-hello",
    "no-server-name",
    "server-name-differs", "server-name-encrypted", "refused-by-interceptor", "too-slow",
    "too-many-at-once",
    "too-many-connections", "too-many-bytes-up", "too-many-bytes-down",
    "idle-too-long", "left-early", "no-address",
    "unreachable", "refused-by-upstream",
]  # fmt: skip
OTHERS: dict[str, VerdictName] = {
    "done": "allowed",
    "too-many-bytes-up": "cut",
    "too-many-bytes-down": "cut",
    "idle-too-long": "cut",
    "left-early": "failed",
    "no-address": "failed",
    "unreachable": "failed",
    "refused-by-upstream": "failed",
}
"""What each reason amounts to; any other is refused."""


@dataclass(frozen=True, slots=True)
class RequestRow:
    """Record one request inside a connection whose TLS the proxy ended."""

    method: str
    host: str
    path: str
    status: Count
    bytes_up: Count
    bytes_down: Count
    model: str
    tokens_in: Count
    tokens_out: Count


@dataclass(frozen=True, slots=True)
class ConnectionRow:
    """Record one connection."""

    number: Annotated[int, AtLeast(1)]
    during: Literal["steps", "acceptance", "recheck"]
    attempt: Count
    host: str
    port: Count
    address: str
    verdict: VerdictName
    reason: ReasonName
    bytes_up: Count
    bytes_down: Count
    duration_ms: Count
    requests: tuple[RequestRow, ...]
    via: str


@dataclass(frozen=True, slots=True)
class Egress:
    """Define EGRESS.json of one pack in one run."""

    schema_version: Literal[2]
    pack: str
    network: Texts
    connections: tuple[ConnectionRow, ...]
