"""Check what did not run: each check that a run reused, against its own records, its contract and
the events of the run that it names.

Rule: only a check that ended with 0 is reused, never one of a pack with network, variables that are
passed on, or a plugin; its log is in this run, and the other run's events have a command with that
log. Does not know what it would say today.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import sha256

from factory.verify.bundle import Bundle
from factory.verify.comparison import Comparison
from factory.verify.documents import Event
from factory.verify.execution import COMMANDS

REUSED = "check.reused"
_OWN = COMMANDS[1:]  # a step is never reused
_MERGED = ("recheck.finished", "recheck.judged")


class ReusedChecks:
    """Check the events of one run about checks that did not run."""

    def __init__(self, comparison: Comparison, bundles: Mapping[str, Bundle]) -> None:
        self.comparison = comparison
        self.bundles = bundles

    def check(self) -> None:
        """Check all of them."""
        found = self.comparison.own.of(REUSED)
        rows = sorted(map(_row, found))
        due = [
            (row.pack, str(row.attempt), row.label, row.from_run)
            for row in self.comparison.status.reused
        ]
        self.comparison.differs("checks that did not run", sorted(due), rows)
        for event in found:
            self._command(event)
            self._contract(event)
            self._origin(event)

    def _command(self, event: Event) -> None:
        """Check that the next event about the pack is the end of that command, with this log, code
        0 and no time.
        """
        pack, attempt = event.details.get("pack", ""), event.details.get("attempt", "")
        label = event.details.get("label", "")
        later = (one for one in self.comparison.own.of("", pack) if one.seq > event.seq)
        ended = next(later, None)
        kinds = _MERGED if attempt == "0" else _OWN
        due = (label, event.hashes.get("log", ""), 0, 0)
        said: object = "none"
        if ended is not None and ended.event_type in kinds:
            said = (
                ended.details.get("label"),
                ended.hashes.get("log"),
                ended.rc,
                ended.duration_ms,
            )
            of = ended.details.get("attempt", "0")
            self.comparison.says(event, ("the attempt of its command", attempt, of))
        self.comparison.says(event, ("the command in whose place it is", due, said))

    def _contract(self, event: Event) -> None:
        """Check that the pack's checks may be reused at all."""
        bundle = self.bundles.get(event.details.get("pack", ""))
        if bundle is None:
            return
        lock, contract = bundle.lock, bundle.contract
        given = dict(bundle.action.environment)
        passed = [
            name
            for name, text in contract.passed
            if name in given and (text is None or given[name] != sha256(text.encode()).hexdigest())
        ]
        why = [
            *(["network"] if lock.acceptance_network else []),
            *passed,
            *filter(None, [contract.plugin]),
        ]
        self.comparison.says(event, ("what keeps its check from being reused", "", ", ".join(why)))

    def _origin(self, event: Event) -> None:
        """Check that the run which it names has a command with this log and code 0, before it."""
        run_id, log = event.details.get("from_run", ""), event.hashes.get("log", "")
        ledger = self.comparison.context.ledger
        if run_id == self.comparison.status.run_id:
            events: tuple[Event, ...] = tuple(self.comparison.events())
        elif ledger is None:
            part = f"{event.details.get('pack')} {event.details.get('label')}, which did not run"
            self.comparison.results.gap(part, f"the events of {run_id} are not at hand")
            return
        else:
            events = tuple(line.event for line in ledger.chain.run(run_id).lines)
        ran = any(one.seq < event.seq and one.hashes.get("log") == log for one in _ran(events))
        what = f"whether {run_id} ran a command with its log and code 0 before"
        self.comparison.says(event, (what, True, ran))


def _row(event: Event) -> tuple[str, ...]:
    return tuple(event.details.get(name, "") for name in ("pack", "attempt", "label", "from_run"))


def _ran(events: tuple[Event, ...]) -> Iterator[Event]:
    """Yield the commands of acceptance that ran and ended with 0."""
    reused: dict[str, Event] = {}
    for event in events:
        pack = event.details.get("pack", "")
        if event.event_type == REUSED:
            reused[pack] = event
        elif event.event_type in (*_OWN, *_MERGED):
            before = reused.pop(pack, None)
            if event.rc == 0 and before is None:
                yield event
