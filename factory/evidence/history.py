"""Query the ledger as a history: which events, and whether a checkpoint of it can still be true.

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
from datetime import UTC, datetime, timedelta

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


_DAY = 86_400.0  # seconds
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def judge_clock(now: str, newest: str, committed: int) -> tuple[Finding, ...]:
    """Return CLOCK_BEHIND where the clock of this host, which says `now`, is over a day before the
    newest event of the ledger ("": none) or the base commit (seconds since 1970, 0: unknown).
    """
    here = datetime.fromisoformat(now)
    known = [("the newest event of the ledger", datetime.fromisoformat(newest))] if newest else []
    if committed:
        known.append(("the base commit", _EPOCH + timedelta(seconds=committed)))
    what, last = max(known, key=lambda one: one[1], default=("", here))
    days = (last - here).total_seconds() / _DAY
    if days <= 1:
        return ()
    facts: Facts = {"now": now, "days": round(days), "what": what, "then": last.isoformat()[:19]}
    return (Finding("CLOCK_BEHIND", facts),)


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Select events: every member that is set must match. `since` and `until` are instants, both
    included.

    `status` is the event's own; `limit` keeps the last so many, 0 all.
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
        """Return whether an event matches, whatever `limit` is."""
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
    """Prove that the tree of `old` is a prefix of that of `new`, by `path` (RFC 6962 §2.1.2)."""

    old: Checkpoint
    new: Checkpoint
    path: tuple[bytes, ...]


def select(events: Iterable[EventDocument], wanted: EventFilter) -> tuple[EventDocument, ...]:
    """Return the matching events, in their order."""
    return tuple(deque(filter(wanted.fits, events), maxlen=wanted.limit or None))


def instant_of(text: str, *, end: bool = False) -> str:
    """Return an instant as the ledger writes it, from a day or a time in UTC.

    A day means a whole day, a time to the minute a whole minute, one to the second a whole second:
    `end` means its last millisecond, else its first. Raise ValueError for anything else, also for a
    day that no calendar has.
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
    """Return the Refusal RUN_UNKNOWN for a run that no event names; `known` are the ids that events
    name.
    """
    meant = nearest(run_id, known)
    advice = f"did you mean {meant}?" if meant else "see them all with: factory ledger-replay"
    facts = {"case": "ledger", "run": run_id, "advice": advice}
    return Refusal(Finding("RUN_UNKNOWN", facts))


def judge_checkpoint(
    checkpoint: Checkpoint, name: str, origin: str, lines: Iterator[bytes], count: int
) -> Finding | None:
    """Compare `checkpoint` (shown as `name`) with the ledger of `count` lines.

    Return LEDGER_OTHER, LEDGER_ROLLED_BACK or LEDGER_REWRITTEN where they differ, else None.
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
    """Return LEDGER_ROLLED_BACK if the ledger has fewer events than the checkpoint covers, else
    None.

    Needs no hashing.
    """
    if checkpoint.size <= count:
        return None
    facts: Facts = {"case": "ledger", "name": name, "size": checkpoint.size, "found": count}
    return Finding("LEDGER_ROLLED_BACK", facts)


def judge_root(checkpoint: Checkpoint, name: str, root: bytes) -> Finding | None:
    """Return LEDGER_REWRITTEN if `root`, the ledger's at the checkpoint's size, is not the
    checkpoint's; else None.
    """
    if root == checkpoint.root:
        return None
    facts: Facts = {"case": "root", "size": checkpoint.size, "name": name}
    return Finding("LEDGER_REWRITTEN", facts)


def judge_origin(
    others: Iterable[tuple[str, Checkpoint]], origin: str, finished: frozenset[str]
) -> Finding | None:
    """Return LEDGER_REWRITTEN if this ledger contains a run that finished in a ledger of another
    origin.

    A new ledger after the old one was moved contains none of the old runs; one that was written
    anew from its first event on does.
    """
    for run, checkpoint in others:
        if run in finished:
            found = checkpoint.origin
            facts = {"case": "origin", "run": run, "origin": origin, "found": found}
            return Finding("LEDGER_REWRITTEN", facts)
    return None


def judge_pair(old: Checkpoint, new: Checkpoint, names: tuple[str, str]) -> Finding | None:
    """Return how two checkpoints contradict each other, without any ledger; None
    where they do not.
    """
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
    """Return LEDGER_FORKED if `old` fits a ledger that a later checkpoint contradicts: there are
    two histories.

    Any other finding, and None, is returned as it is.
    """
    if against is None or against.id != "LEDGER_REWRITTEN":
        return against
    facts = {"case": "after", "name": old, "problem": against.message}
    return Finding("LEDGER_FORKED", facts)


def prove_consistency(
    hashes: Sequence[bytes], old: Checkpoint, new: Checkpoint
) -> Consistency | None:
    """Return the proof that `old` is a prefix of `new`, from the line hashes up to `new`; None
    where it is not.
    """
    path = consistency_path(hashes[: new.size], old.size)
    proved = verify_consistency(old.size, new.size, path, old.root, new.root)
    return Consistency(old, new, path) if proved else None
