"""EGRESS.json: every connection that a pack made, or tried to make, through its proxy in one run.

Observed, so it stands in the run's `raw/` and in no bundle. One event of the ledger says the same
of each.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from factory.model.connection import Connection, Reason, Verdict
from factory.model.evidence import Document
from factory.strict.values import LARGEST_INTEGER

_Whole = Annotated[int, Field(ge=0, le=LARGEST_INTEGER)]
_VERDICTS = tuple(verdict.value for verdict in Verdict)
_REASONS = tuple(reason.value for reason in Reason)


class RequestRecord(Document):
    """One request inside a connection whose TLS was ended by the proxy."""

    method: str
    host: str
    path: str
    status: _Whole
    bytes_up: _Whole
    bytes_down: _Whole


class ConnectionRecord(Document):
    """One connection. `during` tells what the pack was at, `attempt` is 0 where it was asked again
    on the merged tree.

    `host` is empty where none was named that may be shown; `address` is the one that was dialled or
    refused.
    """

    number: Annotated[int, Field(ge=1, le=LARGEST_INTEGER)]
    during: Literal["steps", "acceptance", "recheck"]
    attempt: _Whole
    host: str
    port: Annotated[int, Field(ge=0, le=65535)]
    address: str
    verdict: Annotated[str, Field(json_schema_extra={"enum": list(_VERDICTS)})]
    reason: Annotated[str, Field(json_schema_extra={"enum": list(_REASONS)})]
    bytes_up: _Whole
    bytes_down: _Whole
    duration_ms: _Whole
    requests: tuple[RequestRecord, ...] = ()


class EgressDocument(Document):
    """EGRESS.json of one pack in one run; `network` is what its contract declares, `*` for any
    public host.
    """

    schema_version: Literal[1] = 1
    pack: str
    network: tuple[str, ...]
    connections: tuple[ConnectionRecord, ...]


def record_of(
    connection: Connection,
    number: int,
    during: Literal["steps", "acceptance", "recheck"],
    attempt: int,
) -> ConnectionRecord:
    """A connection as evidence, under its number in the run."""
    return ConnectionRecord(
        number=number,
        during=during,
        attempt=attempt,
        host=connection.host,
        port=connection.port,
        address=connection.address,
        verdict=connection.verdict.value,
        reason=connection.reason.value,
        bytes_up=connection.bytes_up,
        bytes_down=connection.bytes_down,
        duration_ms=connection.duration_ms,
        requests=tuple(
            RequestRecord(
                method=request.method,
                host=request.host,
                path=request.path,
                status=request.status,
                bytes_up=request.bytes_up,
                bytes_down=request.bytes_down,
            )
            for request in connection.requests
        ),
    )


EGRESS: tuple[tuple[str, type[BaseModel]], ...] = (("egress", EgressDocument),)
