"""Check repository, contracts and host before packs run; and derive each bundle again after.

Records what it checked; runs no command of a pack.
"""

from __future__ import annotations

from factory.engine.launching import refused_by_preflight
from factory.engine.run import CardOutcome, Run
from factory.judge.status_eval import combine, of_findings
from factory.model import layout
from factory.model.card import Card
from factory.model.events import BundleValidated, PreflightFinished
from factory.model.finding import Finding
from factory.model.verdict import Status
from factory.model.wording import counted
from factory.run import preflight


def check_repository(run: Run) -> CardOutcome:
    """Check repository, configuration, contracts and host; freeze the plan where nothing blocks the
    whole run.
    """
    site, began = run.site, run.site.clock.monotonic()
    enforcement = run.measured()
    found = (
        *run.look(),
        *preflight.judge_host(site.config, enforcement),
        *run.signing(),
        *preflight.judge_packs(run.catalogue, run.planner, site.config, enforcement, site.cloud),
    )
    refused = any(finding.blocks and not finding.pack for finding in found)
    if not refused and not _committed(run):
        found = (*found, Finding("REPO_PACKS_UNCOMMITTED"))
    status = of_findings(found)
    _record_preflight(run, status, began)
    base, packs = site.repository, len(run.catalogue.entries)
    headline = f"{counted(packs, 'pack')} at {base.commit[:8]} ({base.branch or base.base_ref})"
    config = site.config
    policy = f" · policy {config.policy_ref} at {config.policy_commit[:8]}"
    whose = policy if config.policy_commit else ""
    return CardOutcome(status, found, f"{headline} · sandbox {enforcement.backend}{whose}")


def _record_preflight(run: Run, status: Status, began: float) -> None:
    """Record the phase; where it passed and no run started yet, once one does."""
    entries = run.catalogue.entries
    duration = run.recorder.milliseconds(began)

    def event(plan: str) -> PreflightFinished:
        return PreflightFinished(
            duration_ms=duration,
            rc=status.exit_code,
            plan=plan if status is Status.PASS else "",
            packs=len(entries),
            files=sum(len(entry.files) for entry in entries),
            status=status.value,
        )

    if run.prepares and not run.id:
        run.blocked_early = status is not Status.PASS
        run.checked(event)
        return
    if status is not Status.PASS:
        run.start()
    run.recorder.record_soon(event(run.plan.digest if status is Status.PASS else ""))


def _committed(run: Run) -> bool:
    """Return whether every pack is in the base commit as it was read; the plan is frozen with it,
    unless environments come first.
    """
    return run.planner.committed() if run.prepares else run.plan.document.packs_committed


def check_bundle(card: Card, run: Run) -> CardOutcome:
    """Derive the bundle of a pack again and compare it with its contract."""
    run.workers.ready()
    site, pack = run.site, card.pack
    refused = pack in run.refused or refused_by_preflight(card, run) is not None
    if refused or not run.manifest_of(pack):
        launched = run.status_of(card.after[0])
        return CardOutcome(combine((launched, Status.BLOCKED)), (), "no bundle")
    began = site.clock.monotonic()
    found, derived = run.workers.validate(pack, run.progress)
    if derived is not None:
        run.derived[pack] = derived
    if run.id:  # else there is no run that the validation belongs to
        event = BundleValidated(
            pack=pack,
            duration_ms=run.recorder.milliseconds(began),
            rc=of_findings(found).exit_code,
            manifest=run.manifest_of(pack),
            files=len(site.store.files(layout.BundleFolder.of(pack))),
        )
        record = run.recorder.record if found else run.recorder.record_next
        record(event, run.recorder.causes.get(pack, run.recorder.run_event))
    return CardOutcome(of_findings(found), found, "" if found else "valid, derived again")
