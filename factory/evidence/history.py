"""The ledger as a history to ask: which events, and whether a checkpoint of it can still be true.

Pure functions over events and line hashes. Order is by `seq`; times are only compared as text,
since the ledger writes them in one form (RFC 3339, UTC, milliseconds). Does not know files, nor
whom to trust.
"""

from __future__ import annotations

import itertools
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from factory.log.checkpoint import Checkpoint
from factory.log.merkle import Peaks, consistency_path, verify_consistency
from factory.model.errors import Refusal
from factory.model.evidence import EventDocument
from factory.model.finding import Finding
from factory.model.findings.entry import Facts
from factory.model.wording import nearest

_INSTANT = re.compile(
    r"(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:T(?P<minute>[0-9]{2}:[0-9]{2})(?::(?P<second>[0-9]{2})(?:\.(?P<fraction>[0-9]{1,9}))?)?Z)?"
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events: every member that is set must agree. `since` and `until` are instants, both
    included.

    `status` is what an event says of itself; `limit` keeps the last so many, 0 all.
    """

    run_id: str = ""
    event_type: str = ""
    actor: str = ""
    status: str = ""
    rc: int | None = None
    since: str = ""
    until: str = ""
    limit: int = 0

    def fits(self, event: EventDocument) -> bool:
        """Whether an event is wanted, the limit aside."""
        return (
            self.run_id in ("", event.run_id)
            and self.event_type in ("", event.event_type)
            and self.actor in ("", event.actor)
            and self.status in ("", event.details.get("status"))
            and self.rc in (None, event.rc)
            and (not self.since or event.ts_utc >= self.since)
            and (not self.until or event.ts_utc <= self.until)
        )


@dataclass(frozen=True, slots=True)
class Consistency:
    """That one checkpoint begins another: both, and the path that shows it (RFC 6962 §2.1.2)."""

    old: Checkpoint
    new: Checkpoint
    path: tuple[bytes, ...]


def select(events: Iterable[EventDocument], wanted: Wanted) -> tuple[EventDocument, ...]:
    """The wanted events, in their order."""
    return tuple(deque(filter(wanted.fits, events), maxlen=wanted.limit or None))


def instant_of(text: str, *, end: bool = False) -> str:
    """An instant as the ledger writes it, from a day or a time in UTC.

    A day is a whole day, a time to the minute a whole minute, one to the second a whole second:
    `end` means the last millisecond of it, else its first. Raises ValueError for anything else,
    also for a day that no calendar has.
    """
    match = _INSTANT.fullmatch(text)
    if match is None:
        raise ValueError(f"expected a day or a time in UTC, found {text!r}")
    minute = match["minute"] or ("23:59" if end else "00:00")
    second = match["second"] or ("59" if end else "00")
    fraction = match["fraction"] or ("999" if end else "000")
    full = f"{match['day']}T{minute}:{second}.{fraction.ljust(3, '0')[:3]}"
    datetime.fromisoformat(full)
    return f"{full}Z"


def unknown_run(run_id: str, known: Iterable[str]) -> Refusal:
    """That no event names a run; `known` are those that some do."""
    meant = nearest(run_id, known)
    advice = f"did you mean {meant}?" if meant else "see them all with: factory ledger-replay"
    facts = {"case": "ledger", "run": run_id, "advice": advice}
    return Refusal(Finding("RUN_UNKNOWN", facts))


def judge_checkpoint(
    checkpoint: Checkpoint, name: str, origin: str, lines: Iterator[bytes], count: int
) -> Finding | None:
    """What speaks against `checkpoint` (which people call `name`) in a ledger of `count` lines;
    None for nothing.
    """
    if checkpoint.origin != origin:
        found = checkpoint.origin
        facts = {"case": "ledger", "name": name, "expected": origin, "found": found}
        return Finding("LEDGER_OTHER", facts)
    against = judge_size(checkpoint, name, count)
    return against or judge_root(
        checkpoint, name, Peaks().extended(itertools.islice(lines, checkpoint.size)).root
    )


def judge_size(checkpoint: Checkpoint, name: str, count: int) -> Finding | None:
    """As above, from the number of lines alone."""
    if checkpoint.size <= count:
        return None
    facts: Facts = {"case": "ledger", "name": name, "size": checkpoint.size, "found": count}
    return Finding("LEDGER_ROLLED_BACK", facts)


def judge_root(checkpoint: Checkpoint, name: str, root: bytes) -> Finding | None:
    """As above, where the ledger's root at the size of the checkpoint is known."""
    if root == checkpoint.root:
        return None
    facts: Facts = {"case": "root", "size": checkpoint.size, "name": name}
    return Finding("LEDGER_REWRITTEN", facts)


def judge_origin(
    others: Iterable[tuple[str, Checkpoint]], origin: str, finished: frozenset[str]
) -> Finding | None:
    """What speaks against this ledger in checkpoints of another one: that it tells of a run which
    was in that one.

    A ledger that was moved aside tells of none of its runs; one that was written anew from its
    first event on does.
    """
    for run, checkpoint in others:
        if run in finished:
            found = checkpoint.origin
            facts = {"case": "origin", "run": run, "origin": origin, "found": found}
            return Finding("LEDGER_REWRITTEN", facts)
    return None


def judge_pair(old: Checkpoint, new: Checkpoint, names: tuple[str, str]) -> Finding | None:
    """What two checkpoints say against each other, without any ledger."""
    pair = dict(zip(("first", "second"), names, strict=True))
    if old.origin != new.origin:
        origins = {"expected": old.origin, "found": new.origin}
        return Finding("LEDGER_OTHER", {"case": "pair", **pair, **origins})
    if old.size > new.size:
        sizes = {"size": old.size, "found": new.size}
        return Finding("LEDGER_ROLLED_BACK", {"case": "pair", **pair, **sizes})
    if old.size == new.size and old.root != new.root:
        return Finding("LEDGER_FORKED", {"case": "roots", **pair, "size": old.size})
    return None


def judge_fork(against: Finding | None, old: str) -> Finding | None:
    """What it means that checkpoint `old` fits a ledger and this speaks against a later one: two
    histories.
    """
    if against is None or against.id != "LEDGER_REWRITTEN":
        return against
    facts = {"case": "after", "name": old, "problem": against.message}
    return Finding("LEDGER_FORKED", facts)


def prove_consistency(
    hashes: Sequence[bytes], old: Checkpoint, new: Checkpoint
) -> Consistency | None:
    """The proof that `old` begins `new`, from the line hashes up to `new`; None where it does
    not.
    """
    path = consistency_path(hashes[: new.size], old.size)
    holds = verify_consistency(old.size, new.size, path, old.root, new.root)
    return Consistency(old, new, path) if holds else None
