"""The head of the ledger at a run's end: its checkpoint, held against the checkpoints that earlier
runs keep.

A log never vouches for two histories (C2SP tlog-checkpoint): where an earlier checkpoint of this
ledger does not fit any more, nothing is made, and the run does not finish. Roots come with the
ledger's standing; only those it does not have cost a pass over the lines. Does not know who signs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from factory.evidence.history import judge_origin, judge_root, judge_size
from factory.log.checkpoint import Checkpoint, KeptCheckpoint, parse_kept
from factory.log.signed_note import NoteError
from factory.model.errors import Refusal
from factory.model.evidence import EventDocument
from factory.model.evidence_text import EvidenceError
from factory.model.finding import Finding, Location
from factory.model.findings.entry import Facts
from factory.model.layout import LEDGER, RUNS, RunFolder, shown
from factory.model.ledger_chain import format_event
from factory.model.ledger_standing import FINISHED, Standing
from factory.model.signing import origin_of
from factory.plan.site import Site

REMEMBERED = 32
_NAMED = 3


@dataclass(frozen=True, slots=True)
class Head:
    """The checkpoint up to an event, and the inclusion path of that event, which is its last
    line.
    """

    checkpoint: Checkpoint
    path: tuple[bytes, ...]


def head_at(site: Site, finished: EventDocument) -> Head:
    """The head of the ledger where `finished` is its last event.

    Raises Refusal LEDGER_ROLLED_BACK, LEDGER_REWRITTEN where an earlier checkpoint says otherwise,
    EvidenceError where the ledger does not hold the event.
    """
    _hold_earlier(site, finished.run_id)
    before = site.ledger.tree(finished.seq - 1)
    whole = before.extended((format_event(finished)[:-1],))
    if whole.root != _root(site, site.ledger.standing(), finished.seq):
        raise EvidenceError(
            f"line {finished.seq} of the ledger is not the event that finished the run"
        )
    return Head(Checkpoint(origin(site), finished.seq, whole.root), before.path_of_next)


def hold_head(site: Site) -> None:
    """Raise Refusal LEDGER_ROLLED_BACK, LEDGER_REWRITTEN where a checkpoint that a run keeps fits
    no more.
    """
    _hold_earlier(site, "")


def _hold_earlier(site: Site, but: str) -> None:
    """Hold the checkpoints that the last runs keep against the ledger, that of run `but` aside."""
    standing = site.ledger.standing()
    earlier = _earlier(site, but)
    own = [(run, checkpoint) for run, checkpoint in earlier if checkpoint.origin == origin(site)]
    others = [(run, checkpoint) for run, checkpoint in earlier if checkpoint.origin != origin(site)]
    for run, checkpoint in own:
        _refuse(judge_size(checkpoint, run, standing.head.seq))
    for run, checkpoint in own:
        _refuse(judge_root(checkpoint, run, _root(site, standing, checkpoint.size)))
    _refuse(judge_origin(others, origin(site), _finished_here(site, (run for run, _ in others))))


def hold_runs(site: Site) -> None:
    """Raise Refusal LEDGER_LACKS_RUN where a run is here that the ledger does not tell of, or not
    to its end.

    A run writes its first file after the event that starts it, and its manifest after the one that
    finishes it. So what is missing was taken out of the ledger: a lost ledger must not be better
    than a cut one.
    """
    count = site.ledger.standing().head.seq
    held = {run for run, checkpoint in _earlier(site, "") if checkpoint.origin == origin(site)}
    last = site.store.names(RUNS)[-REMEMBERED:] if count else site.store.names(RUNS)
    names = [
        run for run in last if run not in held
    ]  # `hold_head` shows that the ledger has the others' ends
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


def _root(site: Site, standing: Standing, size: int) -> bytes:
    root = standing.roots.get(size)
    return root if root is not None else site.ledger.tree(size).root


def _finished_here(site: Site, runs: Iterable[str]) -> frozenset[str]:
    """Which of these runs this ledger says finished."""
    named = tuple(runs)
    events = site.ledger.of_runs(named) if named else ()
    return frozenset(event.run_id for event in events if event.event_type == FINISHED)


def origin(site: Site) -> str:
    """The name of this ledger."""
    return origin_of(site.ledger.standing().first)


def kept_checkpoint(site: Site, run_id: str) -> KeptCheckpoint | None:
    """The checkpoint that a run keeps; None where it has none. Raises NoteError where it does not
    hold its form.
    """
    content = site.store.read(RunFolder.of(run_id).attestations.checkpoint)
    return parse_kept(content) if content is not None else None


def _earlier(site: Site, but: str) -> list[tuple[str, Checkpoint]]:
    """The checkpoints that the last runs keep, by run."""
    found: list[tuple[str, Checkpoint]] = []
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
