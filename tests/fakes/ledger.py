"""A ledger in memory: what `files.ports.Ledger` promises, without a file.

Shown by tests/unit/test_ledger_contract.py, which the real ledger passes, too. Torn lines, other
processes and a full disk are the real one's alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from factory.log.merkle import Peaks
from factory.model.event import Entry
from factory.model.evidence import EventDocument
from factory.model.finding import Finding
from factory.model.ledger_chain import chained, parse_event
from factory.model.ledger_state import LedgerState, extended


class MemoryLedger:
    """Lines in order, each chained to the one before."""

    def __init__(self) -> None:
        self._lines: list[bytes] = []
        self._state = LedgerState()

    def append(self, *entries: Entry) -> str:
        number = len(self._lines)
        time = f"2026-01-01T{number // 3600 % 24:02}:{number // 60 % 60:02}:{number % 60:02}.000Z"
        lines = [line for line, _ in chained(self._state.head, entries, time)]
        self._state = extended(self._state, lines)
        self._lines += lines
        return self._state.head.event_id

    def state(self) -> LedgerState:
        return self._state

    def events(self) -> Iterator[EventDocument]:
        return map(parse_event, self.lines())

    def lines(self) -> Iterator[bytes]:
        return iter(tuple(self._lines))

    def of_runs(self, run_ids: Iterable[str]) -> tuple[EventDocument, ...]:
        wanted = frozenset(run_ids)
        return tuple(event for event in self.events() if event.run_id in wanted)

    def newest(self, *event_types: str) -> Iterator[EventDocument]:
        last_first = map(parse_event, reversed(tuple(self._lines)))
        return (one for one in last_first if not event_types or one.event_type in event_types)

    def tree(self, size: int) -> Peaks:
        return Peaks().extended(self._lines[:size])

    def own_since(self) -> int:
        return 1

    def compare_with_own(self) -> tuple[Finding, ...]:
        return ()

    def remember(self) -> None:
        """Do nothing: there is no next process."""

    def recover(self) -> tuple[Finding, ...]:
        return ()
