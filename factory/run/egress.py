"""Say what a pack may reach over the network, and record what it did: EGRESS.json and one event per
connection.

The file and the events are made together, after each command, from what the stage's proxy
recorded. Nothing of it enters a bundle. What a pack wrote into a name or a path goes through the
redactor first. Does not know a socket.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, Literal, TypeAlias

from factory.egress.connection import Connection, Verdict
from factory.judge.denials import egress_cut, egress_refused
from factory.model.egress_record import ConnectionRecord, EgressDocument, record_of
from factory.model.event import Entry
from factory.model.events import EgressFinished, ShellConnected
from factory.model.evidence_text import format_document
from factory.model.finding import Finding
from factory.model.findings.entry import Facts
from factory.model.layout import IN_RAW, IN_RUN
from factory.model.pack import Limits, TaskPack
from factory.model.verdict import Status
from factory.plan.site import Site
from factory.redact.redaction import Redactor
from factory.strict import canonical

During: TypeAlias = Literal["steps", "acceptance", "recheck"]

_MOST_SHOWN = 16  # refused targets of one pack that are findings; all of them are in the record


class Traffic:
    """Collect the connections of one pack in one run, numbered in the order in which they ended.

    `before` are those that the run knows already. Texts that the pack chose are redacted.
    """

    def __init__(
        self, redactor: Redactor, pack: TaskPack, before: tuple[ConnectionRecord, ...] | None = None
    ) -> None:
        self._redactor = redactor
        self._pack = pack
        self._fresh = False
        self._known = before is not None
        self.records = before or ()

    def add(
        self, during: During, attempt: int, connections: Iterable[Connection]
    ) -> tuple[Entry, ...]:
        """Add what one command did; return an event for each. `attempt` is 0 on the merged tree."""
        if not self._pack.constraints.network.declared:
            return ()
        fresh = tuple(
            record_of(
                without_credentials(self._redactor, one),
                len(self.records) + number,
                during,
                attempt,
            )
            for number, one in enumerate(connections, 1)
        )
        self._fresh = self._fresh or bool(fresh) or not self._known
        self._known = True
        self.records = (*self.records, *fresh)
        return tuple(_event(self._pack.id, record) for record in fresh)

    def raw(self) -> dict[str, bytes]:
        """Return EGRESS.json by its path in the run's `raw/`; nothing where nothing was added."""
        if not self._fresh:
            return {}
        document = EgressDocument(
            pack=self._pack.id,
            network=self._pack.constraints.network.shown,
            connections=self.records,
        )
        return {IN_RAW.pack(self._pack.id).egress: format_document(document)}


def without_credentials(redactor: Redactor, connection: Connection) -> Connection:
    """Return the connection without credentials in what the pack chose."""

    def cut(text: str) -> str:
        return redactor.redact(text.encode("utf-8", "replace")).content.decode("utf-8", "replace")

    requests = tuple(
        replace(
            one,
            method=cut(one.method),
            host=cut(one.host),
            path=cut(one.path),
            model=cut(one.model),
        )
        for one in connection.requests
    )
    return replace(connection, host=cut(connection.host), requests=requests)


def facts_of(record: ConnectionRecord) -> dict[str, Any]:
    """Return what every event about a connection has of its record."""
    return {
        "host": record.host,
        "port": record.port,
        "address": record.address,
        "verdict": record.verdict,
        "reason": record.reason,
        "bytes_up": record.bytes_up,
        "bytes_down": record.bytes_down,
        "requests": len(record.requests),
        "duration_ms": record.duration_ms,
    }


def _event(pack: str, record: ConnectionRecord) -> Entry:
    return EgressFinished(
        pack=pack,
        attempt=record.attempt,
        during=record.during,
        connection=record.number,
        record=canonical.digest(record.model_dump(mode="json")),
        **facts_of(record),
        rc=_status(record).exit_code,
    ).entry()


def keep_session(site: Site, pack: str, action_key: str, connections: Iterable[Connection]) -> None:
    """Record what was done over the network in a sandbox that was opened for a person: one event
    per connection.

    No run has a folder for it, so the ledger is its only record.
    """
    for number, connection in enumerate(connections, 1):
        record = record_of(without_credentials(site.redactor, connection), number, "steps", 0)
        event = ShellConnected(
            pack=pack,
            action_key=action_key,
            **facts_of(record),
            rc=_status(record).exit_code,
        )
        site.ledger.append(event.entry())


def _status(record: ConnectionRecord) -> Status:
    return Status.PASS if record.verdict == Verdict.ALLOWED.value else Status.BLOCKED


def remarks(
    pack: TaskPack, records: Iterable[ConnectionRecord], limits: Limits
) -> tuple[Finding, ...]:
    """Return what the proxy saw of a pack in this run: what it refused, and what its bounds cut,
    each target once for each reason, and which models answered. Its own commands decide what that
    means to them, so none blocks.
    """
    rows = tuple(records)
    cut = {row.number: egress_cut(pack, row, limits) for row in rows}
    denied = (
        egress_refused(pack, row)
        for row in rows
        if row.verdict == Verdict.REFUSED.value and cut[row.number] is None
    )
    return (
        *_shown(pack, "EGRESS_CUT", (one for one in cut.values() if one is not None)),
        *_shown(pack, "EGRESS_REFUSED", denied),
        *_models(pack, rows),
    )


def _models(pack: TaskPack, rows: Iterable[ConnectionRecord]) -> Iterator[Finding]:
    """Yield one finding for each model that answered, with what its answers counted."""
    answered = [one for row in rows for one in row.requests if one.model]
    for model in sorted({one.model for one in answered})[:_MOST_SHOWN]:
        own = [one for one in answered if one.model == model]
        facts: Facts = {
            "model": model,
            "count": len(own),
            "tokens_in": sum(one.tokens_in for one in own),
            "tokens_out": sum(one.tokens_out for one in own),
        }
        yield Finding("MODEL_ASKED", facts, pack=pack.id)


def _shown(pack: TaskPack, name: str, found: Iterable[Finding]) -> tuple[Finding, ...]:
    each = tuple(dict.fromkeys(found))
    more = len(each) - _MOST_SHOWN
    if more <= 0:
        return each
    facts: Facts = {"case": "more", "count": more, "path": str(IN_RUN.raw.pack(pack.id).egress)}
    return (*each[:_MOST_SHOWN], Finding(name, facts, pack=pack.id))
