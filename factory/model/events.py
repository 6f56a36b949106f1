"""Define the one table of events: each type of the ledger with its members and its allowed order.

    >>> event = BundleRefused(pack="TASK-0101", manifest="", why="a log was changed", rc=2)
    >>> event.event_type, dict(event.entry("run_1").details)
    ('bundle.refused', {'pack': 'TASK-0101', 'why': 'a log was changed'})
    >>> BundleRefused.members().hashes
    (('manifest', True),)
    >>> "run.vanished" in EVENTS
    False

Writers construct these classes, so that a wrong or missing member is a type error. Replay, the
schema of a line and docs/factory/LEDGER.md follow from them. A new event is a class here, its
writer, and a row in `verify/event_forms.py`, which has expectations of its own. Does not know
lines, files or what an event says of the evidence.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated

from factory.model.event import (
    ANY_KNOWN,
    AT_WORK,
    BETWEEN,
    NO_RUN,
    READY,
    TRYING,
    UNTRIED,
    WITH_BUNDLE,
    Count,
    Event,
    Hash,
    LineMapping,
    Named,
    Number,
    PackState,
    Rule,
    RunProgress,
    RunState,
    Text,
    packs,
    registered,
    runs,
    upto,
    work,
)

ACTORS: Mapping[str, str] = MappingProxyType(
    {
        "pipeline": "a run",
        "recovery": "the start that found what an earlier run had left",
        "gc": "a collection",
        "branch": "`factory integrate --branch`, and the start that finishes one",
        "determinism": "`factory determinism`",
        "shell": "`factory shell`",
        "environment": "the preparation of an environment",
        "verify": "`factory verify --record`",
        "ledger": "the ledger's own door",
    }
)


class RunStarted(Event, event_type="run.started", rule=Rule(runs(RunState.UNKNOWN), RunState.OPEN)):
    """Record that a run started, and the network address that its repository was cloned from."""

    base_commit: Hash
    base_ref: Text
    plan: Hash  # of PLAN.json
    origin: Text = ""


class _Lock(Event):
    lock: Text
    pack: Text | None = None


class LockTaken(_Lock, event_type="lock.taken", rule=Rule(ANY_KNOWN)):
    """Record that a lock was taken; the duration is the time waited for it."""


class LockReleased(_Lock, event_type="lock.released", rule=Rule(ANY_KNOWN)):
    """Record that a lock is freed, except a finished run's: its end is its last event."""


class PreflightFinished(
    Event,
    event_type="preflight.finished",
    rule=Rule(runs(RunState.OPEN), stages=upto(RunProgress.BEGUN), stage_to=RunProgress.CHECKED),
):
    """Record that preflight ended; written once its run has started."""

    status: Text
    plan: Hash
    packs: Count
    files: Count


class PackStarted(Event, event_type="pack.started", rule=work(UNTRIED, PackState.STARTED)):
    """Record that a pack begins: action key, sandbox and when measured, class of host, our code."""

    pack: Text
    action_key: Hash
    properties: Text
    sandbox: Text
    sandbox_version: Text
    kernel: Text
    landlock_abi: Text
    host: Text
    orchestrator: Hash
    orchestrator_version: Text
    measured: Text
    sandbox_binary: Annotated[str, LineMapping.HASHES, Named("sandbox")] | None = None
    syscall_filter: Hash | None = None


class _Command(Event):
    pack: Text
    attempt: Number
    label: Text
    ended: Text
    log: Hash


class StepFinished(
    _Command,
    event_type="step.finished",
    rule=work(BETWEEN | packs(PackState.STEPPED), PackState.STEPPED),
):
    """Record that one command of a pack's work ended."""


class CheckFinished(_Command, event_type="check.finished", rule=work(TRYING, PackState.CHECKED)):
    """Record that one acceptance command ended, over the frozen tree."""


class JudgeFinished(
    _Command,
    event_type="judge.finished",
    rule=Rule(AT_WORK, None, packs(PackState.CHECKED), None, upto(RunProgress.AT_PACKS)),
):
    """Record that one command ended that asked the judge as it was, or the base."""


# By a command of an attempt, or by one over the merged tree: `evidence.replay` distinguishes them.
class EgressFinished(
    Event, event_type="egress.finished", rule=Rule(AT_WORK, None, TRYING | WITH_BUNDLE)
):
    """Record that one connection through a pack's egress proxy ended, or was refused."""

    pack: Text
    attempt: Number
    during: Text
    connection: Number
    host: Text
    port: Number
    address: Text
    verdict: Text
    reason: Text
    record: Hash
    bytes_up: Count
    bytes_down: Count
    requests: Count


# Before the end of the command itself, which took no time.
class CheckReused(Event, event_type="check.reused", rule=Rule(AT_WORK, None, TRYING | WITH_BUNDLE)):
    """Record that a check did not run, since an earlier run has it; attempt 0: the merged tree."""

    pack: Text
    attempt: Number
    label: Text
    from_run: Text
    key: Hash
    log: Hash


class AttemptFinished(Event, event_type="attempt.finished", rule=work(TRYING, PackState.TRIED)):
    """Record that one attempt at a pack was judged."""

    pack: Text
    attempt: Number
    status: Text
    result_tree: Hash
    changed: Count
    artifacts: Count
    ignored: Count
    discarded: Count
    outside: Count


class PackFinished(
    Event, event_type="pack.finished", rule=work(packs(PackState.TRIED), PackState.FINISHED)
):
    """Record that a pack's bundle is in place."""

    pack: Text
    status: Text
    action_key: Hash
    result_tree: Hash
    manifest: Hash
    changed: Count
    artifacts: Count


class PackAbandoned(Event, event_type="pack.abandoned", rule=work(TRYING, PackState.ABANDONED)):
    """Record that a pack ran and left no bundle, and why; its logs so far are in the run."""

    pack: Text
    reason: Text
    logs: Count


class BundleRefused(
    Event, event_type="bundle.refused", rule=work(packs(PackState.ABSENT), PackState.REFUSED)
):
    """Record that a bundle was no longer as it was written, so its pack runs again."""

    pack: Text
    why: Text
    manifest: Hash


# Also of a pack that was unchanged, and of one whose end the disk did not take.
class BundleValidated(
    Event,
    event_type="bundle.validated",
    rule=work(UNTRIED | TRYING | packs(PackState.FINISHED), PackState.VALIDATED),
):
    """Record that a bundle was derived again and compared with its contract."""

    pack: Text
    manifest: Hash
    files: Count


class BundleCopied(
    Event,
    event_type="bundle.copied",
    rule=Rule(
        runs(RunState.OPEN),
        None,
        packs(PackState.ABSENT, PackState.VALIDATED),
        PackState.COPIED,
        upto(RunProgress.COLLECTED),
        RunProgress.COLLECTED,
    ),
):
    """Record that a bundle of an earlier run joined this one."""

    pack: Text
    from_run: Text
    manifest: Hash
    files: Count


class PackReproducible(
    Event,
    event_type="pack.reproducible",
    rule=Rule(runs(RunState.OPEN), None, WITH_BUNDLE, stage_to=RunProgress.CLOSED),
):
    """Record that the verdict calls a pack reproducible; `shown` is the event that proved it."""

    pack: Text
    action_key: Hash
    manifest: Hash
    shown: Hash


class MergeFinished(
    Event,
    event_type="merge.finished",
    rule=Rule(
        AT_WORK,
        stages=frozenset((RunProgress.AT_PACKS, RunProgress.COLLECTED)),
        stage_to=RunProgress.MERGED,
    ),
):
    """Record that the integrator returned a tree, and that it was derived again."""

    merged_tree: Hash
    packs: Count
    changed: Count
    overlaps: Count


class RecheckFinished(
    Event,
    event_type="recheck.finished",
    rule=Rule(AT_WORK, None, READY, stages=frozenset((RunProgress.MERGED,))),
):
    """Record that one acceptance command ended again, over the merged tree."""

    pack: Text
    label: Text
    outcome: Text
    log: Hash


class RecheckJudged(
    Event,
    event_type="recheck.judged",
    rule=Rule(AT_WORK, None, READY, stages=frozenset((RunProgress.MERGED,))),
):
    """Record that one command ended that asked the judge about the merged tree."""

    pack: Text
    label: Text
    ended: Text
    log: Hash


class IntegratePrepared(
    Event,
    event_type="integrate.prepared",
    rule=Rule(runs(RunState.OPEN), RunState.PREPARED, stage_to=RunProgress.CLOSED),
):
    """Record that verdict and merged tree are durable; the duration is the run's so far."""

    status: Annotated[str, LineMapping.HASHES]  # of the document that has the verdict
    merged_tree: Hash
    packs: Count


class IntegrateFinished(
    Event, event_type="integrate.finished", rule=Rule(runs(RunState.PREPARED), RunState.FINISHED)
):
    """Record that the report is written and the run has ended; the duration is the report's."""

    status: Text
    merged_tree: Hash
    report: Hash
    changed: Count


class RunAbandoned(
    Event,
    event_type="run.abandoned",
    rule=Rule(runs(RunState.OPEN, RunState.PREPARED), RunState.ABANDONED),
):
    """Record that a run ended without a verdict."""

    reason: Text | None = None


class RecoveryFinished(Event, event_type="recovery.finished", rule=NO_RUN):
    """Record that unfinished work of earlier runs was finished or abandoned."""

    finished: Count
    abandoned: Count
    actor: str = "recovery"


class VerifyFinished(Event, event_type="verify.finished", rule=Rule(runs(RunState.FINISHED))):
    """Record that a run's evidence was derived again by the independent checker."""

    outcome: Text
    status: Text
    manifest: Hash
    files: Count
    findings: Count
    not_checkable: Count
    actor: str = "verify"


class DeterminismShown(Event, event_type="determinism.shown", rule=NO_RUN):
    """Record that a pack was run twice in two environments, to the same bytes."""

    pack: Text
    action_key: Hash
    record: Hash
    manifest: Hash
    actor: str = "determinism"


class DeterminismRefuted(Event, event_type="determinism.refuted", rule=NO_RUN):
    """Record that a pack was run twice in two environments, to different bytes."""

    pack: Text
    action_key: Hash
    record: Hash
    actor: str = "determinism"


class ShellOpened(Event, event_type="shell.opened", rule=NO_RUN):
    """Record that a person entered a pack's sandbox, with this key and these properties."""

    pack: Text
    action_key: Hash
    view: Text
    network: Text
    properties: Text
    actor: str = "shell"


class ShellConnected(Event, event_type="shell.connected", rule=NO_RUN):
    """Record that one connection of such a session through the proxy ended, or was refused."""

    pack: Text
    action_key: Hash
    host: Text
    port: Number
    address: Text
    verdict: Text
    reason: Text
    bytes_up: Count
    bytes_down: Count
    requests: Count
    actor: str = "shell"


class ShellClosed(Event, event_type="shell.closed", rule=NO_RUN):
    """Record that the session ended; the duration is the time spent in it."""

    pack: Text
    action_key: Hash
    ended: Text
    actor: str = "shell"


class EnvironmentPrepared(Event, event_type="environment.prepared", rule=NO_RUN):
    """Record that an environment was prepared: its key, the digest and the size of its tree."""

    environment: Text
    key: Hash
    tree: Hash
    files: Count
    bytes: Count
    actor: str = "environment"


class EnvironmentFailed(Event, event_type="environment.failed", rule=NO_RUN):
    """Record that an environment could not be prepared, and why."""

    environment: Text
    key: Hash
    why: Text
    actor: str = "environment"


class EnvironmentConnected(Event, event_type="environment.connected", rule=NO_RUN):
    """Record that one connection of a preparation through the proxy ended, or was refused."""

    environment: Text
    key: Hash
    host: Text
    port: Number
    address: Text
    verdict: Text
    reason: Text
    bytes_up: Count
    bytes_down: Count
    requests: Count
    actor: str = "environment"


class _Branch(Event):
    ref: Text
    commit: Hash
    tree: Hash
    actor: str = "branch"


class BranchPrepared(_Branch, event_type="branch.prepared", rule=Rule(runs(RunState.FINISHED))):
    """Record that a result is about to become a branch."""


class BranchCreated(_Branch, event_type="branch.created", rule=Rule(runs(RunState.FINISHED))):
    """Record that a result is a branch."""


class BranchAbandoned(
    Event, event_type="branch.abandoned", rule=Rule(runs(RunState.FINISHED, RunState.REMOVED))
):
    """Record that a branch whose creation was interrupted cannot be created."""

    actor: str = "branch"


class _Removal(Event):
    path: Text
    why: Text
    where: Text
    files: Count
    bytes: Count
    actor: str = "gc"


class RawRemoved(_Removal, event_type="gc.raw-removed", rule=Rule(runs(RunState.ABANDONED))):
    """Record that raw logs of an abandoned run are about to be removed."""


# Recorded before the removal, so a crash in between lets it be recorded again.
class RunRemoved(
    _Removal,
    event_type="gc.removed",
    rule=Rule(runs(RunState.FINISHED, RunState.ABANDONED, RunState.REMOVED), RunState.REMOVED),
):
    """Record that a run's folder is about to be removed."""

    manifest: Hash | None = None


class CacheRemoved(_Removal, event_type="gc.cache-removed", rule=NO_RUN):
    """Record that a cache is about to be removed."""


class LedgerRecovered(Event, event_type="ledger.recovered", rule=NO_RUN):
    """Record that a torn last line was set aside."""

    file: Text
    torn: Hash
    bytes: Count
    actor: str = "ledger"


class LedgerRestarted(Event, event_type="ledger.restarted", rule=NO_RUN):
    """Record that this user's ledger here is gone, and another one begins."""

    events: Count  # of the one that is gone
    last: Hash
    actor: str = "ledger"


EVENTS: Mapping[str, type[Event]] = MappingProxyType(registered())
