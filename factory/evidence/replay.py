"""Replay the ledger as a history of runs, event by event through one transition table.

An event that the table does not allow at its position is refused by name: the orchestrator cannot
have written it there. State is never stored, only replayed. Does not know files;
`evidence.replay_agrees` compares the replay with a run folder.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from types import MappingProxyType

from factory.judge.status_eval import combine
from factory.log.chain import GENESIS
from factory.model import events
from factory.model.errors import Refusal
from factory.model.event import TRYING, Event, PackState, Rule, RunProgress, RunState
from factory.model.events import EVENTS
from factory.model.evidence import EventDocument
from factory.model.finding import Finding, Location
from factory.model.findings.entry import Facts
from factory.model.layout import LEDGER, shown
from factory.model.verdict import Status


@dataclass(frozen=True, slots=True)
class ReplayedPack:
    """Describe one pack within one run. `status` is "" until it finished here, `last` is its last
    attempt's.

    `attempts` counts; `ran` are the commands of the last attempt that ended and `running` those
    since, each with its exit code; `valid` is None where no validation was recorded; `from_run` is
    the run whose bundle was copied. `checks` are the labels of its acceptance, as far as they are
    known, `rechecks` of those that ran over the merged tree, which `outcomes` lists with code and
    outcome; `connections` are the numbers of those that its proxy reported.
    """

    pack: str
    state: PackState = PackState.ABSENT
    status: str = ""
    last: str = ""
    attempts: int = 0
    action_key: str = ""
    result_tree: str = ""
    valid: bool | None = None
    from_run: str = ""
    manifest: str = ""
    ran: tuple[tuple[str, int], ...] = ()
    running: tuple[tuple[str, int], ...] = ()
    checks: frozenset[str] = frozenset()
    rechecks: frozenset[str] = frozenset()
    outcomes: tuple[tuple[str, int, str], ...] = ()
    connections: frozenset[str] = frozenset()
    reproducible: bool = False

    @property
    def unready(self) -> bool:
        """Return whether the integrator cannot have been called yet for this pack.

        It can once the pack is a validated PASS of this run, or was copied from another one.
        """
        own = self.state is PackState.VALIDATED and self.status == Status.PASS.value
        return not (own or self.state is PackState.COPIED) or self.valid is False


@dataclass(frozen=True, slots=True)
class ReplayedRun:
    """Describe one run by its events. `status` is "" until it finished; `packs` are in the order of
    ids.

    `merged` is the tree that the integrator returned, None where it was not called; `locks` are
    held now, `freed` were released; `branching` is true while a branch was prepared and is neither
    created nor abandoned.
    """

    run_id: str
    state: RunState = RunState.UNKNOWN
    stage: RunProgress = RunProgress.BEGUN
    status: str = ""
    base_commit: str = ""
    base_ref: str = ""
    merged_tree: str = ""
    preflight: str = ""
    started: str = ""
    ended: str = ""
    events: int = 0
    branch: str = ""
    branching: bool = False
    merged: str | None = None
    merge_rc: int = 0
    locks: frozenset[str] = frozenset()
    freed: frozenset[str] = frozenset()
    hashes: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    packs: tuple[ReplayedPack, ...] = ()

    @property
    def open(self) -> bool:
        """Return whether a process may still work on the run, or a recovery is due."""
        return self.state in (RunState.OPEN, RunState.PREPARED)

    def phases(self) -> tuple[tuple[str, str], ...]:
        """Return each phase with its verdict; "" where it was not reached, or was skipped and left
        no event.
        """
        ran = [Status(pack.status) for pack in self.packs if pack.status]
        asked = [
            Status.PASS if pack.valid else Status.BLOCKED
            for pack in self.packs
            if pack.valid is not None
        ]
        return (
            ("preflight", self.preflight),
            ("launch", combine(ran).value if ran else ""),
            ("bundle-validate", combine(asked).value if asked else ""),
            ("integrate", self.status if self.merged_tree or self.status else ""),
            ("summary", self.status),
        )


@dataclass(frozen=True, slots=True)
class Replayed:
    """Contain every run in the order in which they started, the number of events read, and the last
    id.
    """

    runs: tuple[ReplayedRun, ...]
    events: int
    head: str


def replay(events: Iterable[EventDocument]) -> Replayed:
    """Rebuild every run.

    Raise Refusal LEDGER_ORDER, naming the first event that cannot be at its position.
    """
    history = _History()
    for event in events:
        history.take(event)
    return Replayed(history.rebuilt(), history.seq, history.head)


class _History:
    """Collect what was rebuilt so far."""

    def __init__(self) -> None:
        self._runs: dict[str, ReplayedRun] = {}
        self._packs: dict[str, dict[str, ReplayedPack]] = {}
        self.seq = 0
        self.head = GENESIS
        self._owner: dict[str, str] = {}  # run of each event id
        self._open = ""

    def rebuilt(self) -> tuple[ReplayedRun, ...]:
        """Return every run with its packs."""
        packs = {
            run_id: tuple(found[name] for name in sorted(found))
            for run_id, found in self._packs.items()
        }
        return tuple(replace(run, packs=packs[run.run_id]) for run in self._runs.values())

    def take(self, event: EventDocument) -> None:
        """Apply one more event. Raise Refusal LEDGER_ORDER."""
        if event.seq != self.seq + 1 or event.prev != self.head:
            raise refused(
                event, f"it follows event {event.prev[:12]}…, expected it after {self.head[:12]}…"
            )
        kind = EVENTS.get(event.event_type)
        if kind is None:
            raise refused(event, "no such type of event is known")
        _members_of(event, kind)
        rule = kind.rule
        if event.parent_event_id and self._owner.get(event.parent_event_id) != event.run_id:
            raise refused(
                event,
                "no earlier event of its run has the id of its parent"
                f" {event.parent_event_id[:12]}…",
            )
        if rule.run_from:
            self._take_run(event, rule)
        elif event.run_id:
            raise refused(event, "an event of the ledger itself bears no run")
        self.seq, self.head = event.seq, event.event_id
        self._owner[event.event_id] = event.run_id

    def _take_run(self, event: EventDocument, rule: Rule) -> None:
        run = self._runs.get(event.run_id, ReplayedRun(event.run_id))
        if not event.run_id or run.state not in rule.run_from:
            raise refused(event, f"its run is {run.state.value}, expected {_either(rule.run_from)}")
        if event.event_type == events.RunStarted.event_type and self._open:
            raise refused(
                event, f"run {self._open} has not ended, and one run at a time holds the lock"
            )
        if run.stage not in rule.stages:
            raise refused(event, f"its run is {run.stage.value}, expected {_either(rule.stages)}")
        packs = self._packs.setdefault(event.run_id, {})
        if rule.pack_from:
            name = event.details.get("pack", "")
            pack = _pack_after(event, rule, run, packs.get(name, ReplayedPack(name)))
            packs[name] = self._with_checks(pack)
        else:
            run = _run_after(event, run, tuple(packs.values()))
        run = replace(
            run,
            state=rule.run_to or run.state,
            stage=rule.stage_to or run.stage,
            events=run.events + 1,
        )
        self._runs[event.run_id] = run
        if run.open or self._open == run.run_id:
            self._open = run.run_id if run.open else ""

    def _with_checks(self, pack: ReplayedPack) -> ReplayedPack:
        """Return the pack with the checks that it has in the run it was copied from, if the ledger
        has that run.
        """
        origin = self._packs.get(pack.from_run, {}).get(pack.pack)
        return replace(pack, checks=origin.checks) if origin is not None else pack


def refused(event: EventDocument, why: str) -> Refusal:
    """Return the Refusal LEDGER_ORDER that says why an event cannot be at its position."""
    name = f"{event.event_type}{f' of {event.run_id}' if event.run_id else ''}"
    facts: Facts = {"seq": event.seq, "event": name, "problem": why}
    place = Location(shown(LEDGER), max(event.seq, 0))
    return Refusal(Finding("LEDGER_ORDER", facts, location=place))


def _members_of(event: EventDocument, kind: type[Event]) -> None:
    """Raise Refusal LEDGER_ORDER unless the event has the members of its type, and no other."""
    hashes, counts, details = _names_of(kind.event_type)
    for part, (always, known), found in (
        ("hashes", hashes, event.hashes.keys()),
        ("counts", counts, event.file_counts.keys()),
        ("details", details, event.details.keys()),
    ):
        if not always <= found <= known:
            odd = ", ".join(sorted((always - found) | (found - known)))
            raise refused(event, f"its {part} have more or fewer than those of its type: {odd}")


@cache
def _names_of(event_type: str) -> tuple[tuple[frozenset[str], frozenset[str]], ...]:
    """Return, for hashes, counts and details, the names that are always there, and all names."""
    members = EVENTS[event_type].members()
    return tuple(
        (frozenset(name for name, must in part if must), frozenset(name for name, _ in part))
        for part in (members.hashes, members.file_counts, members.details)
    )


def _either(states: frozenset[RunState] | frozenset[PackState] | frozenset[RunProgress]) -> str:
    return " or ".join(sorted(state.value for state in states))


def _pack_after(
    event: EventDocument, rule: Rule, run: ReplayedRun, pack: ReplayedPack
) -> ReplayedPack:
    if not pack.pack or pack.state not in rule.pack_from:
        raise refused(
            event,
            f"pack {pack.pack or '(none)'} is {pack.state.value}, expected"
            f" {_either(rule.pack_from)}",
        )
    if event.event_type == events.EgressFinished.event_type:
        pack = _connected(event, run, pack)
    return replace(_pack_said(event, pack), state=rule.pack_to or pack.state)


def _connected(event: EventDocument, run: ReplayedRun, pack: ReplayedPack) -> ReplayedPack:
    """Add a connection to a pack.

    A connection of a re-check comes after the merge, any other within an attempt. Raise Refusal
    LEDGER_ORDER where this one does not.
    """
    again = event.details.get("during", "") == "recheck"
    if (run.stage is RunProgress.MERGED, pack.state in TRYING) != (again, not again):
        where = f"its run is {run.stage.value}, pack {pack.pack} is {pack.state.value}"
        raise refused(event, f"{where}, expected {'the merged tree' if again else 'an attempt'}")
    number = event.details.get("connection", "")
    if number in pack.connections:
        raise refused(event, f"connection {number or '(none)'} of {pack.pack} ended before")
    return replace(pack, connections=pack.connections | {number})


def _pack_said(event: EventDocument, pack: ReplayedPack) -> ReplayedPack:
    match event.event_type:
        case events.PackStarted.event_type:
            return replace(pack, action_key=event.hashes.get("action_key", ""))
        case events.AttemptFinished.event_type:
            return _attempted(event, pack)
        case events.StepFinished.event_type | events.CheckFinished.event_type:
            return _commanded(event, pack)
        case events.JudgeFinished.event_type:
            _agree(event, "attempt", event.details.get("attempt", ""), str(pack.attempts + 1))
            return pack
        case events.PackFinished.event_type:
            return _pack_finished(event, pack)
        case events.BundleValidated.event_type:
            return replace(pack, valid=event.rc == 0, manifest=event.hashes.get("manifest", ""))
        case events.RecheckFinished.event_type:
            return _rechecked(event, pack)
        case events.PackReproducible.event_type:
            return _reproducible(event, pack)
        case events.BundleCopied.event_type:
            return _copied(event, pack)
        case _:
            return pack


def _copied(event: EventDocument, pack: ReplayedPack) -> ReplayedPack:
    origin = event.details.get("from_run", "")
    if pack.action_key or origin in ("", event.run_id):
        raise refused(event, f"pack {pack.pack} ran in this run, or no other run is named")
    return replace(pack, from_run=origin, manifest=event.hashes.get("manifest", ""))


def _reproducible(event: EventDocument, pack: ReplayedPack) -> ReplayedPack:
    if pack.reproducible:
        raise refused(event, f"pack {pack.pack} was called reproducible before")
    return replace(pack, reproducible=True)


def _commanded(event: EventDocument, pack: ReplayedPack) -> ReplayedPack:
    _agree(event, "attempt", event.details.get("attempt", ""), str(pack.attempts + 1))
    label = event.details.get("label", "")
    if not label or label in dict(pack.running):
        raise refused(
            event, f"command {label or '(none)'} ended twice in one attempt, or has no name"
        )
    checks = (
        pack.checks | {label}
        if event.event_type == events.CheckFinished.event_type
        else pack.checks
    )
    return replace(pack, running=(*pack.running, (label, event.rc)), checks=checks)


def _rechecked(event: EventDocument, pack: ReplayedPack) -> ReplayedPack:
    label = event.details.get("label", "")
    if not label or label in pack.rechecks or (pack.checks and label not in pack.checks):
        raise refused(
            event, f"check {label or '(none)'} ran again before, or is none of {pack.pack}"
        )
    ran = (label, event.rc, event.details.get("outcome", ""))
    return replace(pack, rechecks=pack.rechecks | {label}, outcomes=(*pack.outcomes, ran))


def _attempted(event: EventDocument, pack: ReplayedPack) -> ReplayedPack:
    _agree(event, "attempt", event.details.get("attempt", ""), str(pack.attempts + 1))
    status = _status(event)
    bad = [label for label, rc in pack.running if rc != 0]
    if status == Status.PASS.value and bad:
        raise refused(event, f"it says PASS, and {bad[0]} did not end with 0")
    tree = event.hashes.get("result_tree", "")
    return replace(
        pack,
        attempts=pack.attempts + 1,
        last=status,
        result_tree=tree,
        ran=pack.running,
        running=(),
    )


def _pack_finished(event: EventDocument, pack: ReplayedPack) -> ReplayedPack:
    _agree(event, "action key", event.hashes.get("action_key", ""), pack.action_key)
    _agree(event, "result tree", event.hashes.get("result_tree", ""), pack.result_tree)
    status = _status(event)
    if status == Status.PASS.value and pack.last != status:
        raise refused(event, f"it says PASS, and its last attempt ended {pack.last}")
    return replace(pack, status=status)


def _run_after(
    event: EventDocument, run: ReplayedRun, packs: tuple[ReplayedPack, ...]
) -> ReplayedRun:
    """Return a run after one of its own events.

    Raise Refusal LEDGER_ORDER where two events contradict each other.
    """
    match event.event_type:
        case events.RunStarted.event_type:
            base = event.hashes.get("base_commit", "")
            return replace(
                run,
                base_commit=base,
                base_ref=event.details.get("base_ref", ""),
                started=event.ts_utc,
            )
        case events.PreflightFinished.event_type:
            return replace(run, preflight=_status(event))
        case events.IntegratePrepared.event_type:
            return _prepared(event, run)
        case events.IntegrateFinished.event_type:
            _agree(event, "merged tree", event.hashes.get("merged_tree", ""), run.merged_tree)
            _agree(event, "verdict", _status(event), run.status)
            _require_sound_pass(event, run, packs)
            return replace(
                run, ended=event.ts_utc, hashes=MappingProxyType({**event.hashes, **run.hashes})
            )
        case events.RunAbandoned.event_type:
            return replace(run, status="", ended=event.ts_utc)
        case events.MergeFinished.event_type:
            return _merged(event, run, packs)
        case events.LockTaken.event_type | events.LockReleased.event_type:
            return _locked(event, run)
        case (
            events.BranchPrepared.event_type
            | events.BranchCreated.event_type
            | events.BranchAbandoned.event_type
        ):
            return _branched(event, run)
        case _:
            return run


def _locked(event: EventDocument, run: ReplayedRun) -> ReplayedRun:
    name, taking = event.details.get("lock", ""), event.event_type == events.LockTaken.event_type
    if not name or (name in run.locks) is taking:
        raise refused(
            event, f"lock {name or '(none)'} is {'taken' if name in run.locks else 'free'}"
        )
    if taking:
        return replace(run, locks=run.locks | {name})
    return replace(run, locks=run.locks - {name}, freed=run.freed | {name})


def _branched(event: EventDocument, run: ReplayedRun) -> ReplayedRun:
    """Return the run after an event of its branch.

    A branch that existed already is recorded as created without having been prepared.
    """
    if event.event_type == events.BranchCreated.event_type:
        return replace(run, branch=event.details.get("ref", ""), branching=False)
    preparing = event.event_type == events.BranchPrepared.event_type
    if run.branching is preparing:
        raise refused(event, f"a branch was {'prepared already' if preparing else 'not prepared'}")
    return replace(run, branching=preparing)


def _merged(event: EventDocument, run: ReplayedRun, packs: tuple[ReplayedPack, ...]) -> ReplayedRun:
    """Return the run after the merge.

    Raise Refusal LEDGER_ORDER unless it is of the packs that are a validated PASS or were copied.
    """
    unready = [pack for pack in packs if pack.unready]
    count, ready = event.file_counts.get("packs", 0), len(packs) - len(unready)
    if unready and count != ready:
        raise refused(
            event,
            f"pack {unready[0].pack} is {unready[0].state.value}, expected validated or copied",
        )
    _agree(event, "number of packs", str(count), str(ready))
    return replace(run, merged=event.hashes.get("merged_tree", ""), merge_rc=event.rc)


def _prepared(event: EventDocument, run: ReplayedRun) -> ReplayedRun:
    status = _BY_CODE.get(event.rc)
    if status is None:
        raise refused(event, f"{event.rc} is no verdict's exit code")
    tree = event.hashes.get("merged_tree", "")
    if run.merged is not None:
        _agree(event, "merged tree", tree, run.merged)
    return replace(
        run,
        status=status,
        merged_tree=tree,
        hashes=MappingProxyType({**run.hashes, **event.hashes}),
    )


def _require_sound_pass(
    event: EventDocument, run: ReplayedRun, packs: tuple[ReplayedPack, ...]
) -> None:
    """Raise Refusal LEDGER_ORDER where a run says PASS and something in it did not pass."""
    if run.status != Status.PASS.value:
        return
    bad = [
        pack.pack
        for pack in packs
        if pack.valid is False or (pack.action_key and pack.status != run.status)
    ]
    if bad or run.preflight not in ("", Status.PASS.value):
        raise refused(event, f"it says PASS, and {', '.join(bad) or 'preflight'} did not")
    left = next((pack for pack in packs if pack.unready), None)
    if run.merged is not None and left is not None:
        why = f"it says PASS, and pack {left.pack} is {left.state.value}, expected it merged"
        raise refused(event, why)
    if run.merge_rc != 0 or (run.merged_tree and run.merged is None):
        raise refused(
            event,
            f"it says PASS, and the merge {'is not there' if run.merged is None else 'did not'}",
        )
    partly = [pack.pack for pack in packs if pack.rechecks and pack.checks > pack.rechecks]
    if partly:
        raise refused(
            event, f"it says PASS, and not every check of {partly[0]} ran over the merged tree"
        )
    # Where the run that prepared it broke off in good order, its lock is free: the process that
    # finishes it takes a new one.
    taken_up = event.actor == _RECOVERY and not run.locks and "run" in run.freed
    if run.locks != {"run"} and not taken_up:
        raise refused(
            event,
            f"it says PASS, with {', '.join(sorted(run.locks)) or 'no lock'}, expected lock run",
        )


_RECOVERY = "recovery"
_BY_CODE: Mapping[int, str] = MappingProxyType(
    {status.exit_code: status.value for status in Status}
)


def _status(event: EventDocument) -> str:
    """Return the verdict of an event.

    Raise Refusal LEDGER_ORDER unless it is the one of its exit code.
    """
    said = event.details.get("status", "")
    _agree(event, "verdict", said, _BY_CODE.get(event.rc, "none"))
    return said


def _agree(event: EventDocument, what: str, said: str, known: str) -> None:
    if said != known:
        raise refused(
            event, f"its {what} is {said[:12] or 'empty'}, expected {known[:12] or 'none'}"
        )
