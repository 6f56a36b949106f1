"""Define the ledger's vocabulary: every event type with what it records, and every actor.

Rule: an event of another type is refused by replay and by filters. The allowed order is the table
of `evidence.replay`; docs/factory/LEDGER.md shows this table.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

ACTORS: Mapping[str, str] = MappingProxyType(
    {
        "pipeline": "a run",
        "recovery": "the start that found what an earlier run had left",
        "gc": "a collection",
        "branch": "`factory integrate --branch`, and the start that finishes one",
        "determinism": "`factory determinism`",
        "shell": "`factory shell`",
        "verify": "`factory verify --record`",
        "ledger": "the ledger's own door",
    }
)

EVENT_TYPES: Mapping[str, str] = MappingProxyType(
    {
        "run.started": "a run was minted",
        "lock.taken": "a lock was got; the duration is the time waited for it",
        "lock.released": "the last thing done under a lock; the duration is the time it was held",
        "preflight.finished": "the phase ended; recorded once its run is minted",
        "pack.started": "a pack begins, under this action key and these sandbox properties",
        "step.finished": "one command of a pack's work ended",
        "check.finished": "one acceptance command ended, over the frozen tree",
        "egress.finished": "one connection through a pack's egress proxy ended, or was refused",
        "attempt.finished": "one attempt at a pack was judged",
        "pack.finished": "a pack's bundle is in place",
        "pack.abandoned": (
            "a pack ran and left no bundle, for the reason given; the logs so far are in the run"
        ),
        "bundle.refused": (
            "a bundle that should have held was not as it was written, so its pack runs again"
        ),
        "bundle.validated": "a bundle was derived again and held against its contract",
        "bundle.copied": "a bundle of an earlier run joined this one",
        "pack.reproducible": (
            "what the run's verdict calls reproducible, with the event that showed it"
        ),
        "merge.finished": "the integrator answered, and its answer was derived again",
        "recheck.finished": "one acceptance command ended again, over the merged tree",
        "integrate.prepared": (
            "verdict and merged tree are durable; the duration is that of the run so far"
        ),
        "integrate.finished": "report made; the run has ended; the duration is that of making it",
        "run.abandoned": "a run ended without a verdict",
        "recovery.finished": "what earlier runs had left was finished or abandoned",
        "verify.finished": "evidence of a run was derived again by the independent checker",
        "determinism.shown": "a pack was run twice in two environments, to the same bytes",
        "determinism.refuted": "a pack was run twice in two environments, to other bytes",
        "shell.opened": (
            "a person was let into a pack's sandbox, under this action key and these properties"
        ),
        "shell.connected": (
            "one connection through the egress proxy of such a sandbox ended, or was refused"
        ),
        "shell.closed": "the sandbox was left again; the duration is the time spent in it",
        "branch.prepared": "a result is about to become a branch",
        "branch.created": "a result is a branch",
        "branch.abandoned": "a branch that was cut off cannot be made",
        "gc.raw-removed": "raw logs of an abandoned run are about to go",
        "gc.removed": "a run's folder is about to go",
        "gc.cache-removed": "a cache is about to go",
        "ledger.recovered": "a torn last line was set aside",
    }
)
