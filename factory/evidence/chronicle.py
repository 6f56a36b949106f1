"""What the pipeline records around a phase: locks, preflight, validation, refused bundles.

Times are the session's monotonic clock. Decides nothing; verdicts are given.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace

from factory.judge.status_eval import of_findings
from factory.model.errors import Refusal
from factory.model.events import (
    BundleRefused,
    BundleValidated,
    LockReleased,
    LockTaken,
    PreflightFinished,
)
from factory.model.finding import Finding
from factory.model.layout import BundleFolder
from factory.model.verdict import Status
from factory.plan.site import Session


def take_run_lock(session: Session, stack: contextlib.ExitStack) -> None:
    """Hold the run lock until `stack` ends; recorded once a run is minted. Raises Refusal
    LOCKED.
    """
    asked = session.site.clock.monotonic()
    stack.enter_context(session.site.locks.hold("run"))
    session.locked_at = session.site.clock.monotonic()
    session.record_soon(LockTaken(lock="run", duration_ms=session.milliseconds(asked)))


def release_run_lock(session: Session) -> None:
    """Record that the run lock is about to be freed, where a run was minted under it."""
    if not session.run_id:
        return
    # The run has its end already, and the kernel frees the lock: nothing hangs on this event, so a
    # disk that is full by now must not make another verdict of it.
    with contextlib.suppress(Refusal):
        held = session.milliseconds(session.locked_at)
        session.record(LockReleased(lock="run", duration_ms=held))


def take_pack_lock(session: Session, pack: str, stack: contextlib.ExitStack) -> tuple[Finding, ...]:
    """Hold the lock of one pack until `stack` ends; LOCKED, at the pack, where another process has
    it.

    Raises Refusal where it cannot be asked for, or no run can be minted.
    """
    try:
        stack.enter_context(_pack_lock(session, pack))
    except Refusal as refusal:
        if any(finding.id != "LOCKED" for finding in refusal.findings):
            raise
        return tuple(replace(finding, pack=pack) for finding in refusal.findings)
    return ()


@contextlib.contextmanager
def _pack_lock(session: Session, pack: str) -> Iterator[None]:
    """Both ends are recorded, within a run."""
    name, clock = f"pack-{pack}", session.site.clock
    asked = clock.monotonic()
    with session.site.locks.hold(name):
        session.site.locks.announce(name, "another worker")
        session.ensure_run()
        locked = clock.monotonic()
        waited = int((locked - asked) * 1000)
        session.record_soon(LockTaken(lock=name, pack=pack, duration_ms=waited))
        yield
        taken = session.milliseconds(locked)
        session.record_soon(LockReleased(lock=name, pack=pack, duration_ms=taken))


def preflight_ended(
    session: Session, status: Status, began: float, *, packs: int, files: int, plan: str
) -> None:
    """Record the phase; where it passed and no run is minted yet, once one is. `plan` is the digest
    of PLAN.json, empty where it did not pass.
    """
    if status is not Status.PASS:
        session.ensure_run()
    session.record_soon(
        PreflightFinished(
            duration_ms=session.milliseconds(began),
            rc=status.exit_code,
            plan=plan,
            packs=packs,
            files=files,
            status=status.value,
        )
    )


def bundle_refused(session: Session, pack: str, why: str) -> str:
    """Record that a bundle was not as it was written; words for the headline of the pack that runs
    again.
    """
    code = Status.BLOCKED.exit_code
    session.record(BundleRefused(pack=pack, why=why, manifest=_manifest(session, pack), rc=code))
    return f", run again since {why}"


def bundle_validated(session: Session, pack: str, found: tuple[Finding, ...], began: float) -> None:
    """Record a validation, where there is a run that it belongs to."""
    if not session.run_id:
        return
    event = BundleValidated(
        pack=pack,
        duration_ms=session.milliseconds(began),
        rc=of_findings(found).exit_code,
        manifest=_manifest(session, pack),
        files=len(session.site.store.files(BundleFolder.of(pack))),
    )
    session.record(event, session.causes.get(pack, session.run_event))


def _manifest(session: Session, pack: str) -> str:
    return session.site.store.sha256(BundleFolder.of(pack).manifest)
