"""Answer queries of the ledger: events by what they say, a proof of one, and whether two
checkpoints agree.

A checkpoint is named by the run that has it, by a file, or by `now`, the current ledger. Reads
only. A signature counts only if its key is pinned in the repository.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from factory.evidence.history import (
    Consistency,
    EventFilter,
    judge_checkpoint,
    judge_fork,
    judge_pair,
    prove_consistency,
    select,
    unknown_run,
)
from factory.evidence.ledger_head import kept_checkpoint, origin
from factory.evidence.signing import pinned_keys
from factory.log import merkle
from factory.log.checkpoint import Checkpoint, KeptCheckpoint, Proof, format_proof, parse_kept
from factory.log.signed_note import NoteError, NoteKey, signers
from factory.model.errors import InternalError, Refusal
from factory.model.evidence import EventDocument
from factory.model.finding import Finding
from factory.model.findings.entry import Facts
from factory.model.ledger_chain import format_event, parse_event
from factory.model.ledger_state import FINISHED, STARTED
from factory.model.names import RUN_ID
from factory.plan.site import Site

NOW = "now"
ReadFile = Callable[[str], bytes | None]


@dataclass(frozen=True, slots=True)
class Proved:
    """Contain a proof file, the line it is about, and who signed the checkpoint in it (ids of
    pinned keys).
    """

    event: EventDocument
    line: bytes
    proof: bytes
    size: int
    signed_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ComparedCheckpoints:
    """Prove that the older of two checkpoints is a prefix of the newer; name the pinned keys that
    signed each.
    """

    consistency: Consistency
    old_signed_by: tuple[str, ...]
    new_signed_by: tuple[str, ...]


def view(site: Site, wanted: EventFilter) -> tuple[EventDocument, ...]:
    """Return the matching events.

    Raise Refusal LEDGER_BROKEN, and RUN_UNKNOWN for a run that no event names.
    """
    if wanted.run_id and not site.ledger.of_runs((wanted.run_id,)):
        raise unknown_run(wanted.run_id, [event.run_id for event in site.ledger.newest(STARTED)])
    return select(site.ledger.events(), wanted)


def follow(site: Site, wanted: EventFilter, pause: Callable[[], bool]) -> Iterator[EventDocument]:
    """Yield the matching events, then new ones until `pause` returns False; the run may also start
    later.

    Raise Refusal LEDGER_BROKEN.
    """
    seen = site.ledger.state().head.seq
    yield from select(islice(site.ledger.events(), seen), wanted)
    while pause():
        now = site.ledger.state().head.seq
        if now > seen:
            yield from reversed([*filter(wanted.fits, islice(site.ledger.newest(), now - seen))])
            seen = now


def raw(events: Iterable[EventDocument]) -> tuple[str, ...]:
    """Return each event as its line of the ledger, without the line feed."""
    return tuple(format_event(event)[:-1].decode("utf-8") for event in events)


def prove(site: Site, seq: int, run_id: str = "") -> Proved:
    """Prove that event `seq` is in the ledger, against the newest checkpoint that covers it, or
    that of one run.

    Raise Refusal LEDGER_NO_CHECKPOINT, LEDGER_REWRITTEN, LEDGER_ROLLED_BACK, LEDGER_OTHER,
    CHECKPOINT_INVALID.
    """
    count = site.ledger.state().head.seq
    if not 1 <= seq <= count:
        facts: Facts = {"case": "event", "seq": seq, "count": count}
        raise Refusal(Finding("LEDGER_NO_CHECKPOINT", facts))
    name, kept = _covering(site, seq, run_id)
    signed = _signed_by(site, kept, name)
    _refuse(_against(site, kept.checkpoint, name))
    lines = tuple(islice(site.ledger.lines(), kept.checkpoint.size))
    path = merkle.inclusion_path([merkle.leaf_hash(line) for line in lines], seq - 1)
    proof = format_proof(Proof(seq - 1, path, kept))
    return Proved(parse_event(lines[seq - 1]), lines[seq - 1], proof, kept.checkpoint.size, signed)


def compare(site: Site, old: str, new: str, read_file: ReadFile) -> ComparedCheckpoints:
    """Prove that checkpoint `old` is a prefix of checkpoint `new`, and that both are of this
    ledger.

    Raise Refusal LEDGER_ROLLED_BACK, LEDGER_REWRITTEN, LEDGER_FORKED, LEDGER_OTHER,
    CHECKPOINT_INVALID.
    """
    kept = [_named(site, word, read_file) for word in (old, new)]
    signed = [_signed_by(site, one, name) for one, name in zip(kept, (old, new), strict=True)]
    first, second = (one.checkpoint for one in kept)
    if NOW not in (old, new):
        _refuse(judge_pair(first, second, (old, new)))
    _refuse(_against(site, first, old))
    _refuse(judge_fork(_against(site, second, new), old))
    _refuse(judge_pair(first, second, (old, new)))
    hashes = [merkle.leaf_hash(line) for line in islice(site.ledger.lines(), second.size)]
    consistency = prove_consistency(hashes, first, second)
    if consistency is None:
        raise InternalError(
            f"both {old} and {new} fit the ledger, and no path leads from one to the other"
        )
    return ComparedCheckpoints(consistency, signed[0], signed[1])


def _against(site: Site, checkpoint: Checkpoint, name: str) -> Finding | None:
    return judge_checkpoint(
        checkpoint, name, origin(site), site.ledger.lines(), site.ledger.state().head.seq
    )


def _refuse(finding: Finding | None) -> None:
    if finding is not None:
        raise Refusal(finding)


def _covering(site: Site, seq: int, run_id: str) -> tuple[str, KeptCheckpoint]:
    """Return the checkpoint to prove against, with its run: of that run, or of the last run that
    covers the event.
    """
    runs = iter((run_id,)) if run_id else (event.run_id for event in site.ledger.newest(FINISHED))
    for run in runs:
        kept = _kept(site, run)
        if kept is not None and kept.checkpoint.size >= seq:
            return run, kept
    facts: Facts = {"case": "run" if run_id else "any", "run": run_id, "seq": seq}
    raise Refusal(Finding("LEDGER_NO_CHECKPOINT", facts))


def _named(site: Site, word: str, read_file: ReadFile) -> KeptCheckpoint:
    if word == NOW:
        state = site.ledger.state()
        return KeptCheckpoint(Checkpoint(origin(site), state.head.seq, state.tree.root), None)
    kept = _kept(site, word) if RUN_ID.fullmatch(word) else None
    content = read_file(word) if kept is None else None
    if kept is not None:
        return kept
    if content is None:
        facts = {"case": "word", "word": word, "now": NOW}
        raise Refusal(Finding("LEDGER_NO_CHECKPOINT", facts))
    try:
        return parse_kept(content)
    except NoteError as error:
        raise _invalid(word, str(error)) from error


def _kept(site: Site, run_id: str) -> KeptCheckpoint | None:
    try:
        return kept_checkpoint(site, run_id)
    except NoteError as error:
        raise _invalid(run_id, str(error)) from error


def _invalid(name: str, what: str) -> Refusal:
    return Refusal(Finding("CHECKPOINT_INVALID", {"name": name, "problem": what}))


def _signed_by(site: Site, kept: KeptCheckpoint, name: str) -> tuple[str, ...]:
    """Return the ids of the pinned keys that signed.

    Raise Refusal CHECKPOINT_INVALID where a signature does not fit.
    """
    if kept.note is None:
        return ()
    keys = [NoteKey(kept.checkpoint.origin, key) for key in pinned_keys(site)]
    try:
        return tuple(key.key.key_id for key in signers(kept.note, keys, site.keys.check))
    except NoteError as error:
        raise _invalid(name, str(error)) from error
