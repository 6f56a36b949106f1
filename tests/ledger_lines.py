"""One event after another, as the tests that need documents of them want it."""

from __future__ import annotations

from factory.log.chain import Head
from factory.model.event import Entry
from factory.model.evidence import EventDocument
from factory.model.ledger_chain import chained, parse_event


def link(head: Head, entry: Entry, ts_utc: str) -> EventDocument:
    """The event that follows `head`. Raises ValueError where no event can say that."""
    ((line, _),) = chained(head, (entry,), ts_utc)
    return parse_event(line)
