"""Define EGRESS.json: every connection that a pack made or tried through its proxy in one run.

It is observed on the host, so it is in the run's `raw/` and in no bundle. For each connection, one
event of the ledger records the same.
"""

from typing import Annotated, Literal

from factory.egress.connection import Connection, Reason, Verdict
from factory.strict.document import Document, Field
from factory.strict.values import LARGEST_INTEGER

_Whole = Annotated[int, Field(ge=0, le=LARGEST_INTEGER)]
_VERDICTS = tuple(verdict.value for verdict in Verdict)
_REASONS = tuple(reason.value for reason in Reason)


class RequestRecord(Document):
    """Record one request inside a connection whose TLS the proxy ended. `model` and tokens are what
    the answer of a model said of itself; empty and 0 for any other.
    """

    method: str
    host: str
    path: str
    status: _Whole
    bytes_up: _Whole
    bytes_down: _Whole
    model: str = ""
    tokens_in: _Whole = 0
    tokens_out: _Whole = 0


class ConnectionRecord(Document):
    """Record one connection. `during` is the part of the pack's work; `attempt` is 0 in a re-check
    on the merged tree.

    `host` is empty if the request named none that may be shown; `address` is the one that was
    dialled or refused. `via` is the upstream proxy whose address that is, empty where the host
    itself was dialled.
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
    via: str = ""


class EgressDocument(Document):
    """Define EGRESS.json of one pack in one run; `network` is what its contract declares, `*` for
    any public host.
    """

    schema_version: Literal[2] = 2
    pack: str
    network: tuple[str, ...]
    connections: tuple[ConnectionRecord, ...]


def record_of(
    connection: Connection,
    number: int,
    during: Literal["steps", "acceptance", "recheck"],
    attempt: int,
) -> ConnectionRecord:
    """Return a connection as evidence, under its number in the run."""
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
                model=request.model,
                tokens_in=request.tokens_in,
                tokens_out=request.tokens_out,
            )
            for request in connection.requests
        ),
        via=connection.via,
    )


EGRESS: tuple[tuple[str, type[Document]], ...] = (("egress", EgressDocument),)
