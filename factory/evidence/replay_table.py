"""The transition table of the ledger: which event may come in which state of its run and of its
pack.

Data, and total over `model.event_types`: an event that no row allows where it stands was not
written by the orchestrator. What an event says beyond its type is held against the replay by
`evidence.replay`.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


class RunState(enum.Enum):
    """Where a run stands. `UNKNOWN` is before its first event."""

    UNKNOWN = "unknown"
    OPEN = "open"
    PREPARED = "prepared"
    FINISHED = "finished"
    ABANDONED = "abandoned"
    REMOVED = "removed"


class Stage(enum.Enum):
    """How far a run came. It only goes on: a stage may be passed over, and never comes again."""

    BEGUN = "begun"
    CHECKED = "past preflight"
    AT_PACKS = "at its packs"
    COLLECTED = "with its bundles collected"
    MERGED = "merged"
    CLOSED = "closed"


class PackState(enum.Enum):
    """Where a pack stands within one run. `ABSENT` is before its first event."""

    ABSENT = "absent"
    REFUSED = "refused"
    STARTED = "started"
    STEPPED = "at its steps"
    CHECKED = "at its checks"
    TRIED = "tried"
    FINISHED = "finished"
    ABANDONED = "abandoned"
    VALIDATED = "validated"
    COPIED = "copied"


@dataclass(frozen=True, slots=True)
class Rule:
    """What one type of event needs and does. None as `run_to`, `stage_to` or `pack_to` leaves that
    state as it is.

    `run_from` empty: the event is the ledger's own and bears no run. `pack_from` empty: it concerns
    no pack.
    """

    run_from: frozenset[RunState] = frozenset()
    run_to: RunState | None = None
    pack_from: frozenset[PackState] = frozenset()
    pack_to: PackState | None = None
    stages: frozenset[Stage] = frozenset(Stage)
    stage_to: Stage | None = None


def _runs(*states: RunState) -> frozenset[RunState]:
    return frozenset(states)


def _packs(*states: PackState) -> frozenset[PackState]:
    return frozenset(states)


def _upto(last: Stage) -> frozenset[Stage]:
    stages = tuple(Stage)
    return frozenset(stages[: stages.index(last) + 1])


def _work(pack_from: frozenset[PackState], pack_to: PackState) -> Rule:
    """An event of a pack that is being worked at: no bundle was collected yet."""
    return Rule(_AT_WORK, None, pack_from, pack_to, _upto(Stage.AT_PACKS), Stage.AT_PACKS)


# A worker may be at its last word while another thread records that the run was interrupted.
_AT_WORK = _runs(RunState.OPEN, RunState.ABANDONED)
_ANY = _runs(RunState.OPEN, RunState.PREPARED, RunState.FINISHED, RunState.ABANDONED)
_UNTRIED = _packs(PackState.ABSENT, PackState.REFUSED)
_AT_REST = _packs(PackState.STARTED, PackState.TRIED)
_TRYING = _AT_REST | _packs(PackState.STEPPED, PackState.CHECKED)
_WITH_BUNDLE = _packs(PackState.FINISHED, PackState.VALIDATED, PackState.COPIED)
_READY = _packs(PackState.VALIDATED, PackState.COPIED)

TABLE: Mapping[str, Rule] = MappingProxyType(
    {
        "run.started": Rule(_runs(RunState.UNKNOWN), RunState.OPEN),
        "lock.taken": Rule(_ANY),
        "lock.released": Rule(_ANY),
        "preflight.finished": Rule(
            _runs(RunState.OPEN), stages=_upto(Stage.BEGUN), stage_to=Stage.CHECKED
        ),
        "bundle.refused": _work(_packs(PackState.ABSENT), PackState.REFUSED),
        "pack.started": _work(_UNTRIED, PackState.STARTED),
        "step.finished": _work(_AT_REST | _packs(PackState.STEPPED), PackState.STEPPED),
        "check.finished": _work(_TRYING, PackState.CHECKED),
        # By a command of an attempt, or by one over the merged tree: `evidence.replay` tells them
        # apart.
        "egress.finished": Rule(_AT_WORK, None, _TRYING | _WITH_BUNDLE),
        "attempt.finished": _work(_TRYING, PackState.TRIED),
        "pack.finished": _work(_packs(PackState.TRIED), PackState.FINISHED),
        "pack.abandoned": _work(_TRYING, PackState.ABANDONED),
        # Also of a pack that still held, and of one whose end the disk did not take.
        "bundle.validated": _work(
            _UNTRIED | _TRYING | _packs(PackState.FINISHED), PackState.VALIDATED
        ),
        "bundle.copied": Rule(
            _runs(RunState.OPEN),
            None,
            _packs(PackState.ABSENT, PackState.VALIDATED),
            PackState.COPIED,
            _upto(Stage.COLLECTED),
            Stage.COLLECTED,
        ),
        "merge.finished": Rule(
            _AT_WORK, stages=frozenset((Stage.AT_PACKS, Stage.COLLECTED)), stage_to=Stage.MERGED
        ),
        "recheck.finished": Rule(_AT_WORK, None, _READY, stages=frozenset((Stage.MERGED,))),
        "pack.reproducible": Rule(_runs(RunState.OPEN), None, _WITH_BUNDLE, stage_to=Stage.CLOSED),
        "integrate.prepared": Rule(_runs(RunState.OPEN), RunState.PREPARED, stage_to=Stage.CLOSED),
        "integrate.finished": Rule(_runs(RunState.PREPARED), RunState.FINISHED),
        "run.abandoned": Rule(_runs(RunState.OPEN, RunState.PREPARED), RunState.ABANDONED),
        "branch.prepared": Rule(_runs(RunState.FINISHED)),
        "branch.created": Rule(_runs(RunState.FINISHED)),
        "branch.abandoned": Rule(_runs(RunState.FINISHED, RunState.REMOVED)),
        "verify.finished": Rule(_runs(RunState.FINISHED)),
        "gc.raw-removed": Rule(_runs(RunState.ABANDONED)),
        # Recorded before the removal, so a crash in between lets it be recorded again.
        "gc.removed": Rule(
            _runs(RunState.FINISHED, RunState.ABANDONED, RunState.REMOVED), RunState.REMOVED
        ),
        "gc.cache-removed": Rule(),
        "determinism.shown": Rule(),
        "determinism.refuted": Rule(),
        "shell.opened": Rule(),
        "shell.connected": Rule(),
        "shell.closed": Rule(),
        "ledger.recovered": Rule(),
        "recovery.finished": Rule(),
    }
)
