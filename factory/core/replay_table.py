"""The transition table of the ledger: which event may come in which state of its run and of its pack.

Data, and total over `model.event_types`: an event that no row allows where it stands was not written by
the orchestrator. What an event says beyond its type is held against the replay by `core.replay`.
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


class PackState(enum.Enum):
    """Where a pack stands within one run. `ABSENT` is before its first event."""

    ABSENT = "absent"
    STARTED = "started"
    STEPPED = "at its steps"
    CHECKED = "at its checks"
    TRIED = "tried"
    FINISHED = "finished"
    VALIDATED = "validated"
    COPIED = "copied"


@dataclass(frozen=True, slots=True)
class Rule:
    """What one type of event needs and does. None as `run_to` or `pack_to` leaves that state as it is.

    `run_from` empty: the event is the ledger's own and bears no run. `pack_from` empty: it concerns no pack.
    """

    run_from: frozenset[RunState] = frozenset()
    run_to: RunState | None = None
    pack_from: frozenset[PackState] = frozenset()
    pack_to: PackState | None = None


def _runs(*states: RunState) -> frozenset[RunState]:
    return frozenset(states)


def _packs(*states: PackState) -> frozenset[PackState]:
    return frozenset(states)


# A worker may be at its last word while another thread records that the run was interrupted.
_AT_WORK = _runs(RunState.OPEN, RunState.ABANDONED)
_ANY = _runs(RunState.OPEN, RunState.PREPARED, RunState.FINISHED, RunState.ABANDONED)
_AT_REST = _packs(PackState.STARTED, PackState.TRIED)
_TRYING = _AT_REST | _packs(PackState.STEPPED, PackState.CHECKED)
_WITH_BUNDLE = _packs(PackState.ABSENT, PackState.FINISHED, PackState.VALIDATED, PackState.COPIED)
_BEFORE_VALIDATION = _TRYING | _packs(PackState.ABSENT, PackState.FINISHED)

TABLE: Mapping[str, Rule] = MappingProxyType(
    {
        "run.started": Rule(_runs(RunState.UNKNOWN), RunState.OPEN),
        "lock.taken": Rule(_ANY),
        "lock.released": Rule(_ANY),
        "preflight.finished": Rule(_runs(RunState.OPEN)),
        "bundle.refused": Rule(_AT_WORK, None, _packs(PackState.ABSENT)),
        "pack.started": Rule(_AT_WORK, None, _packs(PackState.ABSENT), PackState.STARTED),
        "step.finished": Rule(_AT_WORK, None, _AT_REST | _packs(PackState.STEPPED), PackState.STEPPED),
        "check.finished": Rule(_AT_WORK, None, _TRYING, PackState.CHECKED),
        "egress.finished": Rule(_AT_WORK, None, _TRYING | _WITH_BUNDLE - _packs(PackState.ABSENT)),
        "attempt.finished": Rule(_AT_WORK, None, _TRYING, PackState.TRIED),
        "pack.finished": Rule(_AT_WORK, None, _packs(PackState.TRIED), PackState.FINISHED),
        "pack.abandoned": Rule(_AT_WORK, None, _TRYING),
        "bundle.validated": Rule(_AT_WORK, None, _BEFORE_VALIDATION, PackState.VALIDATED),
        "pack.reproducible": Rule(_runs(RunState.OPEN), None, _WITH_BUNDLE),
        "bundle.copied": Rule(
            _runs(RunState.OPEN), None, _packs(PackState.ABSENT, PackState.VALIDATED), PackState.COPIED
        ),
        "merge.finished": Rule(_AT_WORK),
        "recheck.finished": Rule(_AT_WORK, None, _packs(PackState.FINISHED, PackState.VALIDATED, PackState.COPIED)),
        # Settling may be repeated until the manifest stands, also after the event that finished the run.
        "integrate.prepared": Rule(_runs(RunState.OPEN, RunState.PREPARED, RunState.FINISHED), RunState.PREPARED),
        "integrate.finished": Rule(_runs(RunState.PREPARED), RunState.FINISHED),
        "run.abandoned": Rule(_runs(RunState.OPEN, RunState.PREPARED, RunState.FINISHED), RunState.ABANDONED),
        "branch.prepared": Rule(_runs(RunState.FINISHED)),
        "branch.created": Rule(_runs(RunState.FINISHED)),
        "branch.abandoned": Rule(_runs(RunState.FINISHED, RunState.REMOVED)),
        "verify.finished": Rule(_runs(RunState.FINISHED)),
        "gc.raw-removed": Rule(_runs(RunState.ABANDONED)),
        # Recorded before the removal, so a crash in between lets it be recorded again.
        "gc.removed": Rule(_runs(RunState.FINISHED, RunState.ABANDONED, RunState.REMOVED), RunState.REMOVED),
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
