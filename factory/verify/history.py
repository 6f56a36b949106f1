"""Check the ledger and one run's copy of it: chain, order, checkpoint and proof.

What the events say is compared with the evidence by `bindings`. Does not know who signed.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from factory.log.merkle import leaf_hash, verify_inclusion
from factory.verify import paths
from factory.verify.bindings import Bindings
from factory.verify.bundle import Bundle
from factory.verify.documents import Event
from factory.verify.event_forms import FINISHED, PREPARED, STARTED
from factory.verify.events import Chain, Line, RunEvents, read_line
from factory.verify.folder import EvidenceFolder
from factory.verify.form import FormError
from factory.verify.notes import Checkpoint, read_checkpoint, read_proof
from factory.verify.results import Results
from factory.verify.run_part import RunPart

_ORIGIN = "codex-orchestrator/ledger/"
_DAY = 86_400.0  # seconds
_SHOWN = 5  # problems of the chain; more rarely say anything new


@dataclass(eq=False)
class HistoryCheck(RunPart):
    """Check one run's history."""

    lines: list[Line] = field(default_factory=list)
    own: RunEvents = field(default_factory=lambda: RunEvents(()))

    def check(self, bundles: Mapping[str, Bundle]) -> None:
        """Check all of it; `recorded` then contains the run's own events."""
        self._copy()
        self.own = RunEvents(self.lines)
        if self.lines:
            self._order()
            Bindings(self.results, self.run, self.seen, self.context, self.status, self.own).check(
                bundles
            )
        self._ledger()
        self._checkpoint()
        self._times()

    def _times(self) -> None:
        """Report times that cannot be: a clock that was set back, or is far from the verifier's."""
        times = []
        for event in (line.event for line in self.lines):
            try:
                times.append(datetime.fromisoformat(event.ts_utc).timestamp())
            except ValueError:
                self.differs(f"event {event.seq}, its time", "a day and a time", event.ts_utc)
                return
        days = [(two - one) / _DAY for one, two in itertools.pairwise(times)]
        if days and min(days) < -1:
            at, back = self.lines[days.index(min(days)) + 1].event, round(-min(days))
            what = f"event {at.seq}, {at.ts_utc}, is {back} days before the one before it"
            self.results.gap("times", what)
        if times and self.context.now and (ahead := (times[-1] - self.context.now) / _DAY) > 1:
            end = self.lines[-1].event.ts_utc
            self.results.gap("times", f"it ended on {end}, {round(ahead)} days from now")
        repository = self.context.repository
        made = repository.time_of_commit(self.status.base_commit) if repository and times else 0
        if made and (early := (made - times[0]) / _DAY) > 1:
            began = self.lines[0].event.ts_utc
            what = f"it began on {began}, {round(early)} days before its base commit was made"
            self.results.gap("times", what)

    def differs(self, what: str, expected: object, found: object, file: str = paths.EVENTS) -> bool:
        return self.results.differs("VERIFY_LEDGER", file, what, expected, found)

    def _copy(self) -> None:
        content = self.run.read(paths.EVENTS)
        if content is None:
            self.results.wrong(
                "VERIFY_MISSING", paths.EVENTS, "expected this run's events, found none"
            )
            return
        *lines, rest = content.split(b"\n")
        if rest:
            self.results.wrong(
                "VERIFY_LEDGER", paths.EVENTS, "expected a line feed at the end, found a torn line"
            )
        for number, line in enumerate(lines, 1):
            try:
                self.lines.append(Line(read_line(line), line))
            except FormError as error:
                self.results.wrong("VERIFY_LEDGER", paths.EVENTS, f"line {number}: {error}")
        if not self.lines:
            self.results.wrong(
                "VERIFY_LEDGER",
                paths.EVENTS,
                "expected this run's events, found none that is well formed",
            )

    def _order(self) -> None:
        """Check own events: ascending, chained if they follow at once, each with an earlier
        parent.
        """
        known: set[str] = set()
        before: Event | None = None
        for event in (line.event for line in self.lines):
            where = f"event {event.seq}"
            self.differs(f"{where}, its run", self.status.run_id, event.run_id)
            if event.parent_event_id and event.parent_event_id not in known:
                self.differs(f"{where}, its parent", "an event before it", event.parent_event_id)
            if before is not None and event.seq <= before.seq:
                self.differs(f"{where}, its place", f"after {before.seq}", event.seq)
            if before is not None and event.seq == before.seq + 1:
                self.differs(f"{where}, the id before it", before.event_id, event.prev)
            known.add(event.event_id)
            before = event
        kinds = [line.event.event_type for line in self.lines]
        self.differs("its first event", STARTED, kinds[0])
        self.differs("its last event", FINISHED, kinds[-1])
        for kind in (STARTED, FINISHED):
            self.differs(f"events {kind}", 1, kinds.count(kind))

    def _ledger(self) -> None:
        """Check the whole ledger: its chain, and this run's lines in it."""
        ledger = self.context.ledger
        if ledger is None and self.context.ledger_due:
            self.results.wrong(
                "VERIFY_MISSING",
                paths.LEDGER,
                "expected the ledger of this repository's runs, found none",
            )
        if ledger is None:
            self.results.gap(
                "ledger chain",
                "the whole ledger is not at hand; this run's own events were checked",
            )
            return
        if ledger.unread:
            self.results.wrong("VERIFY_LEDGER", paths.LEDGER, ledger.unread)
        if self.context.lost:
            self.results.wrong("VERIFY_ROLLBACK", paths.LEDGER, self.context.lost)
        for number, what in ledger.chain.problems[:_SHOWN]:
            self.results.wrong("VERIFY_LEDGER", paths.LEDGER, f"line {number}: {what}")
        if ledger.torn:
            facts: dict[str, str | int] = {"case": "torn", "bytes": ledger.torn}
            self.results.record("VERIFY_LEDGER", paths.LEDGER, facts)
        own = [line.content for line in self.lines]
        there = [found.content for found in ledger.chain.by_run.get(self.status.run_id, ())]
        if there[: len(own)] != own or not own:
            self.differs(
                "this run's events", f"{len(own)} as copied into the run", "others", paths.LEDGER
            )
        later = {
            found.event_type
            for found in ledger.chain.by_run.get(self.status.run_id, [])[len(own) :]
        }
        if later & {
            STARTED,
            PREPARED,
            FINISHED,
            "pack.started",
            "pack.finished",
            "bundle.copied",
            "run.abandoned",
        }:
            self.differs(
                "events after the run's end",
                "none of the run itself",
                ", ".join(sorted(later)),
                paths.LEDGER,
            )

    def _checkpoint(self) -> None:
        """Check the checkpoint and its proof, then the ledger against every known checkpoint."""
        own = _read(self.results, self.run, paths.CHECKPOINT)
        if own is None:
            return
        last = self.lines[-1] if self.lines else None
        if last is not None:
            self.differs("its size", last.event.seq, own.size, paths.CHECKPOINT)
        self._proof(own, last)
        ledger = self.context.ledger
        if ledger is None:
            self.results.gap(
                "ledger tree",
                "the whole ledger is not at hand; the last event's place in it was checked",
            )
            return
        if ledger.unread:
            return
        # An empty ledger has no name to compare: it lost its end, which is reported below.
        alien = ledger.chain.size > 0 and self.differs(
            "its ledger", origin_of(ledger.chain), own.origin, paths.CHECKPOINT
        )
        for name in self.context.unread:
            self.results.gap(f"checkpoint of {name}", "it cannot be read")
        theirs = {f"the checkpoint of {name}": one for name, one in self.context.others.items()}
        kept = {f"the checkpoint in {name}": one for name, one in self.context.kept.items()}
        checked = sum(
            self._against(name, other, name in kept) for name, other in {**theirs, **kept}.items()
        )
        if alien or not self._against("the run's own checkpoint", own, True):
            return
        earlier = (
            f", consistent with {checked} other checkpoint{'' if checked == 1 else 's'}"
            if checked
            else ""
        )
        if not any(
            finding.location is not None and finding.location.file == paths.LEDGER
            for finding in self.results.findings
        ):
            late = ""
            if ledger.chain.size > self.context.covered:
                late = f"; no checkpoint covers the last {ledger.chain.size - self.context.covered}"
            self.results.fact(
                "ledger", f"{ledger.chain.size} events, chain and tree agree{earlier}{late}"
            )

    def _against(self, name: str, other: Checkpoint, binding: bool) -> int:
        """Return 1 if the ledger continues what a checkpoint covers, else 0 with a finding or gap.

        `binding` means that the checkpoint must be of this ledger.
        """
        ledger = self.context.ledger
        if ledger is None:
            return 0
        alien = other.origin != origin_of(ledger.chain)
        if alien and not binding and not self.context.ledger_due:
            self.results.gap(name, "it is of another ledger")
            return 0
        what = contradiction(ledger.chain, name, other)
        if what:
            self.results.wrong("VERIFY_ROLLBACK", paths.LEDGER, what)
        return 0 if what else 1

    def _proof(self, own: Checkpoint, last: Line | None) -> None:
        content = self.run.read(paths.PROOF)
        if content is None:
            self.results.wrong("VERIFY_MISSING", paths.PROOF, "expected this proof, found none")
            return
        try:
            index, path, kept = read_proof(content)
        except FormError as error:
            self.results.wrong("VERIFY_FORM", paths.PROOF, str(error))
            return
        if kept != self.run.read(paths.CHECKPOINT):
            self.results.wrong(
                "VERIFY_LEDGER",
                paths.PROOF,
                "expected the run's own checkpoint in it, found another",
            )
        if last is not None:
            self.differs("its index", last.event.seq - 1, index, paths.PROOF)
            if not verify_inclusion(leaf_hash(last.content), index, own.size, path, own.root):
                self.results.wrong(
                    "VERIFY_LEDGER",
                    paths.PROOF,
                    "expected a path from the last event to the root, found none",
                )


def origin_of(chain: Chain) -> str:
    """Return the name of a ledger."""
    return f"{_ORIGIN}{chain.first[:32]}"


def contradiction(chain: Chain, name: str, checkpoint: Checkpoint) -> str:
    """Return how a ledger contradicts a checkpoint, with the words for where that is; "" if it
    continues what the checkpoint covers.
    """
    if chain.size and checkpoint.origin != origin_of(chain):
        return f"it was replaced: expected the ledger of {name}, {checkpoint.origin}, found another"
    if checkpoint.size > chain.size:
        return (
            f"its end was taken away: expected the {checkpoint.size} events of {name}, found"
            f" {chain.size}"
        )
    if chain.roots.get(checkpoint.size) != checkpoint.root:
        return (
            f"it was rewritten or forked: expected the first {checkpoint.size} events as {name} has"
            " them, found others"
        )
    return ""


def lost_lines(chain: Chain, written: tuple[tuple[int, str], ...]) -> str:
    """Return how a ledger lacks lines that this user wrote, by number and id; "" if it has them.

    Only the first must be there: the process may have died before it wrote the others.
    """
    here = {found.seq: found.event_id for events in chain.by_run.values() for found in events}
    for at, (number, event_id) in enumerate(written):
        if number > chain.size:
            if at or not number:
                return ""
            return (
                f"its end was taken away: expected the {number} events that you wrote here, found"
                f" {chain.size}"
            )
        if number and here.get(number) != event_id:
            return f"it was rewritten: expected event {number} as you wrote it here, found another"
    return ""


def _read(results: Results, run: EvidenceFolder, path: str) -> Checkpoint | None:
    content = run.read(path)
    if content is None:
        results.wrong("VERIFY_MISSING", path, "expected this checkpoint, found none")
        return None
    try:
        return read_checkpoint(content)
    except FormError as error:
        results.wrong("VERIFY_FORM", path, str(error))
        return None
