"""Sign the head of the ledger at a run's end: its checkpoint, compared with the checkpoints of
earlier runs.

A log never vouches for two histories (C2SP tlog-checkpoint): where the ledger contradicts an
earlier checkpoint of its own, no checkpoint is made and the run does not finish. Roots come with
the ledger's state; only those it does not have cost a pass over the lines. Does not know who signs.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from factory.evidence.history import judge_origin, judge_root, judge_size
from factory.log.checkpoint import (
    Checkpoint,
    KeptCheckpoint,
    format_checkpoint,
    format_kept,
    parse_kept,
)
from factory.log.key import Signature
from factory.log.signed_note import NoteError, sign_note
from factory.model.errors import Refusal
from factory.model.evidence import EventDocument
from factory.model.evidence_text import EvidenceError
from factory.model.finding import Finding, Location
from factory.model.findings.entry import Facts
from factory.model.layout import LEDGER, LEDGER_CHECKPOINT, RUNS, RunFolder, shown
from factory.model.ledger_chain import format_event
from factory.model.ledger_state import FINISHED, LedgerState
from factory.model.signing import origin_of
from factory.plan.site import Site

if TYPE_CHECKING:  # costs the library for cryptography
    from factory.log.ed25519 import PrivateSigner

REMEMBERED = 32
_NAMED = 3


@dataclass(frozen=True, slots=True)
class LedgerHead:
    """Contain the checkpoint up to an event, and that event's inclusion path; it is the last line
    covered.
    """

    checkpoint: Checkpoint
    path: tuple[bytes, ...]


def head_at(site: Site, finished: EventDocument) -> LedgerHead:
    """Return the head of the ledger whose last event is `finished`.

    Raise Refusal LEDGER_ROLLED_BACK, LEDGER_REWRITTEN where an earlier checkpoint contradicts the
    ledger, EvidenceError where the ledger does not contain the event.
    """
    _compare_earlier(site, finished.run_id)
    before = site.ledger.tree(finished.seq - 1)
    whole = before.extended((format_event(finished)[:-1],))
    if whole.root != _root(site, site.ledger.state(), finished.seq):
        raise EvidenceError(
            f"line {finished.seq} of the ledger is not the event that finished the run"
        )
    return LedgerHead(Checkpoint(origin(site), finished.seq, whole.root), before.path_of_next)


def sign_checkpoint(checkpoint: Checkpoint, signer: PrivateSigner | None) -> KeptCheckpoint:
    """Return a checkpoint as it is kept: a note under its origin, or its text alone without a
    signer.
    """
    if signer is None:
        return KeptCheckpoint(checkpoint, None)
    text = format_checkpoint(checkpoint)
    signed = (Signature(signer.key, signer.sign(text.encode("utf-8"))),)
    return KeptCheckpoint(checkpoint, sign_note(text, checkpoint.origin, signed))


def latest_checkpoint(site: Site) -> KeptCheckpoint | None:
    """Return a checkpoint over the whole ledger as it is now, signed where a key is at hand; None
    where the ledger is empty.

    Raise Refusal LEDGER_ROLLED_BACK, LEDGER_REWRITTEN where an earlier checkpoint contradicts the
    ledger, SIGNING_KEY_UNSAFE for a key that must not be used.
    """
    size = site.ledger.state().head.seq
    if not size:
        return None
    refuse_rewritten_ledger(site)
    try:
        signer = site.keys.signer()
    except Refusal as refusal:
        if refusal.findings[0].id != "SIGNING_KEY_MISSING":
            raise
        signer = None
    return sign_checkpoint(Checkpoint(origin(site), size, site.ledger.tree(size).root), signer)


def cover_ledger(site: Site) -> None:
    """Write a checkpoint over the whole ledger next to it, so that also events that belong to no
    run's end are covered.

    Raise Refusal as `latest_checkpoint` does, DISK_UNWRITABLE.
    """
    kept = latest_checkpoint(site)
    if kept is not None:
        site.store.write(LEDGER_CHECKPOINT, format_kept(kept))


def refuse_rewritten_ledger(site: Site) -> None:
    """Raise Refusal LEDGER_ROLLED_BACK, LEDGER_REWRITTEN where the ledger contradicts the
    checkpoint of a run.
    """
    _compare_earlier(site, "")


def _compare_earlier(site: Site, but: str) -> None:
    """Compare the ledger with the checkpoints of the last runs, except that of run `but`.

    Raise Refusal LEDGER_ROLLED_BACK, LEDGER_REWRITTEN.
    """
    state = site.ledger.state()
    earlier = _earlier(site, but)
    own = [(run, checkpoint) for run, checkpoint in earlier if checkpoint.origin == origin(site)]
    others = [(run, checkpoint) for run, checkpoint in earlier if checkpoint.origin != origin(site)]
    for run, checkpoint in own:
        _refuse(judge_size(checkpoint, run, state.head.seq))
    for run, checkpoint in own:
        _refuse(judge_root(checkpoint, run, _root(site, state, checkpoint.size)))
    _refuse(judge_origin(others, origin(site), _finished_here(site, (run for run, _ in others))))


def refuse_missing_runs(site: Site) -> None:
    """Raise Refusal LEDGER_LACKS_RUN where the ledger lacks the start or end of a run that is on
    disk.

    A run writes its first file after the event that starts it, and its manifest after the one that
    finishes it. So what is missing was taken out of the ledger: a lost ledger must not be better
    than a cut one.
    """
    count = site.ledger.state().head.seq
    vouched = {run for run, checkpoint in _earlier(site, "") if checkpoint.origin == origin(site)}
    last = site.store.names(RUNS)[-REMEMBERED:] if count else site.store.names(RUNS)
    names = [
        run for run in last if run not in vouched
    ]  # `refuse_rewritten_ledger` shows that the ledger has the others' ends
    events = site.ledger.of_runs(names) if names and count else ()
    known = {event.run_id for event in events}
    finished = {event.run_id for event in events if event.event_type == FINISHED}
    unnamed = [
        run
        for run in names
        if (run not in finished and site.store.size(RunFolder.of(run).manifest))
        or (run not in known and site.store.size(RunFolder.of(run).started))
    ]
    if unnamed:
        raise Refusal(_unnamed(unnamed, count))


def _unnamed(runs: list[str], count: int) -> Finding:
    more = (f"and {len(runs) - _NAMED} more",) if len(runs) > _NAMED else ()
    facts: Facts = {
        "case": "ledger" if count else "empty",
        "events": count,
        "count": len(runs),
        "runs": (*runs[:_NAMED], *more),
    }
    return Finding("LEDGER_LACKS_RUN", facts, location=Location(shown(LEDGER)))


def _root(site: Site, state: LedgerState, size: int) -> bytes:
    root = state.roots.get(size)
    return root if root is not None else site.ledger.tree(size).root


def _finished_here(site: Site, runs: Iterable[str]) -> frozenset[str]:
    """Return those of these runs that this ledger says finished."""
    named = tuple(runs)
    events = site.ledger.of_runs(named) if named else ()
    return frozenset(event.run_id for event in events if event.event_type == FINISHED)


def origin(site: Site) -> str:
    """Return the name of this ledger."""
    return origin_of(site.ledger.state().first)


def kept_checkpoint(site: Site, run_id: str) -> KeptCheckpoint | None:
    """Return the checkpoint that a run keeps; None where it has none.

    Raise NoteError for a malformed one.
    """
    content = site.store.read(RunFolder.of(run_id).attestations.checkpoint)
    return parse_kept(content) if content is not None else None


def _earlier(site: Site, but: str) -> list[tuple[str, Checkpoint]]:
    """Return the checkpoint next to the ledger and those that the last runs keep, each with its
    name, the newest run's first.
    """
    found: list[tuple[str, Checkpoint]] = []
    of_ledger = site.store.read(LEDGER_CHECKPOINT)
    if of_ledger is not None:
        with contextlib.suppress(NoteError):  # as below
            found.append((LEDGER_CHECKPOINT, parse_kept(of_ledger).checkpoint))
    for run in reversed(site.store.names(RUNS)):
        try:
            kept = kept_checkpoint(site, run) if run != but else None
        except NoteError:
            continue  # a broken file says nothing about the ledger; `verify` names it
        if kept is not None:
            found.append((run, kept.checkpoint))
        if len(found) == REMEMBERED:
            break
    return found


def _refuse(finding: Finding | None) -> None:
    if finding is not None:
        raise Refusal(finding)
