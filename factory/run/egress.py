"""What a pack may reach over the network, and the record of what it did: EGRESS.json and one event
per connection.

The file and the events are made together, after each command, from what the stage's proxy told.
Nothing of it enters a bundle. What a pack wrote into a name or a path goes through the redactor
first. Does not know a socket.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Literal, TypeAlias

from factory.egress.ports import Reach
from factory.model.connection import SENTENCES, Connection, Reason, Request, Verdict
from factory.model.egress_record import ConnectionRecord, EgressDocument, record_of
from factory.model.evidence_text import format_document
from factory.model.finding import Finding
from factory.model.ledger_chain import Entry
from factory.model.pack import TaskPack
from factory.model.verdict import Status
from factory.plan.site import Session
from factory.strict import canonical

During: TypeAlias = Literal["steps", "acceptance", "recheck"]

_MOST_TOLD = 16  # refused targets of one pack that are findings; all of them are in the record


def reach_of(session: Session, pack: TaskPack, seconds: float) -> Reach | None:
    """What a stage of this pack, for so many seconds, may reach: with the user's credential where
    they grant a cloud.

    None where the pack declares nothing, and then there is no proxy.
    """
    reach = bare_reach_of(pack)
    return session.site.cloud.reach(pack, reach, seconds) if reach is not None else None


def bare_reach_of(pack: TaskPack) -> Reach | None:
    """As `reach_of` without any grant: for a visit, whose requests are in no evidence."""
    return Reach(pack.constraints.network) if pack.constraints.network.declared else None


def keep(
    session: Session,
    pack: TaskPack,
    during: During,
    attempt: int,
    cause: str,
    connections: Iterable[Connection],
) -> None:
    """Record what one command did over the network; `attempt` is 0 on the merged tree, `cause` the
    event above.
    """
    if not pack.constraints.network.declared:
        return
    known = session.egress.get(pack.id)
    before = known or ()
    fresh = tuple(
        record_of(_cut(session, one), len(before) + number, during, attempt)
        for number, one in enumerate(connections, 1)
    )
    if known is not None and not fresh:
        return
    session.egress[pack.id] = (*before, *fresh)
    document = EgressDocument(
        pack=pack.id, network=pack.constraints.network.shown, connections=session.egress[pack.id]
    )
    session.site.store.write(
        f"runs/{session.run_id}/raw/{pack.id}/EGRESS.json", format_document(document)
    )
    for record in fresh:
        _tell(session, pack.id, cause, record)


def _cut(session: Session, connection: Connection) -> Connection:
    """The same without credentials in what the pack chose."""

    def cut(text: str) -> str:
        return session.site.redactor.redact(text.encode("utf-8", "replace")).content.decode(
            "utf-8", "replace"
        )

    requests = tuple(
        Request(
            cut(one.method), cut(one.host), cut(one.path), one.status, one.bytes_up, one.bytes_down
        )
        for one in connection.requests
    )
    return replace(connection, host=cut(connection.host), requests=requests)


def _tell(session: Session, pack: str, cause: str, record: ConnectionRecord) -> None:
    session.record_soon(
        "egress.finished",
        parent=cause,
        duration_ms=record.duration_ms,
        rc=_status(record).exit_code,
        hashes={"record": canonical.digest(record.model_dump(mode="json"))},
        file_counts=_counts(record),
        details={
            "pack": pack,
            "attempt": str(record.attempt),
            "during": record.during,
            "connection": str(record.number),
            **_where(record),
        },
    )


def keep_visit(
    session: Session, pack: str, action_key: str, connections: Iterable[Connection]
) -> None:
    """Record what was done over the network in a sandbox that was opened for a person: one event
    per connection.

    No run has a folder for it, so the ledger is its only record.
    """
    for number, connection in enumerate(connections, 1):
        record = record_of(_cut(session, connection), number, "steps", 0)
        session.site.ledger.append(
            Entry(
                "shell.connected",
                actor="shell",
                duration_ms=record.duration_ms,
                rc=_status(record).exit_code,
                hashes={"action_key": action_key},
                file_counts=_counts(record),
                details={"pack": pack, **_where(record)},
            )
        )


def _status(record: ConnectionRecord) -> Status:
    return Status.PASS if record.verdict == Verdict.ALLOWED.value else Status.BLOCKED


def _counts(record: ConnectionRecord) -> dict[str, int]:
    return {
        "bytes_up": record.bytes_up,
        "bytes_down": record.bytes_down,
        "requests": len(record.requests),
    }


def _where(record: ConnectionRecord) -> dict[str, str]:
    return {
        "host": record.host,
        "port": str(record.port),
        "address": record.address,
        "verdict": record.verdict,
        "reason": record.reason,
    }


def refused(session: Session, pack: TaskPack) -> tuple[Finding, ...]:
    """What the proxy refused a pack in this run, each target once for each reason: remarks, since
    its own commands decide what a refusal means to them."""
    records = session.egress.get(pack.id, ())
    rows = [
        (_named(record), Reason(record.reason))
        for record in records
        if record.verdict == Verdict.REFUSED.value
    ]
    targets = tuple(dict.fromkeys(rows))
    found = [_refused(pack, named, reason) for named, reason in targets[:_MOST_TOLD]]
    if len(targets) > _MOST_TOLD:
        message = (
            f"{pack.id} tried {len(targets) - _MOST_TOLD} targets more that the egress proxy"
            " refused"
        )
        found.append(
            Finding("EGRESS_REFUSED", message, "All of them are in EGRESS.json.", pack=pack.id)
        )
    return tuple(found)


def _named(record: ConnectionRecord) -> str:
    return f"{record.host}:{record.port}" if record.host else "a target without a plain name"


def _refused(pack: TaskPack, named: str, reason: Reason) -> Finding:
    hint = "Nothing in the contract can allow it."
    if reason is Reason.NOT_DECLARED:
        hint = (
            f'If it is intended, add "{named.removesuffix(":443")}" to constraints.allow_network.'
        )
    message = f"{pack.id} tried {named}, and the egress proxy refused it: {SENTENCES[reason]}"
    return Finding(
        "EGRESS_REFUSED", message, hint, pack.place("/constraints/allow_network"), pack.id
    )
