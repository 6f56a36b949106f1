"""Settle the end of a run: report, ledger, manifest; finish or abandon it, now or after a crash.

Order of effects: STATUS.json (everything the report is made of) → ledger `integrate.prepared` →
report → ledger `integrate.finished` → this run's events and a checkpoint copied into it →
attestations over all of it → RUN_MANIFEST.json last. Every step may be repeated; no digest is
computed before its file is final.
"""

from __future__ import annotations

from factory.contract.policy import policy_of
from factory.evidence.history import judge_clock
from factory.evidence.ledger_head import refuse_missing_runs, refuse_rewritten_ledger
from factory.judge.path_guard import display
from factory.model.event import Entry
from factory.model.events import (
    IntegrateFinished,
    IntegratePrepared,
    RecoveryFinished,
    RunAbandoned,
)
from factory.model.evidence import (
    EventDocument,
    FilesChanged,
    LogIndex,
    Manifest,
    ManifestEntry,
    RunStatus,
)
from factory.model.evidence_text import EvidenceError, format_document, parse_document, sha256
from factory.model.finding import Finding, Location
from factory.model.layout import (
    ATTESTATIONS,
    BUNDLES,
    LOCKS,
    MARKERS,
    RUNS,
    RunFolder,
    shown,
)
from factory.model.ledger_state import FINISHED, PREPARED, STARTED, UnfinishedRun
from factory.model.verdict import Status
from factory.plan.site import Site
from factory.report.text import unmerged_plan

RECOVERY = "recovery"
_FROM_THE_LEDGER = (ATTESTATIONS.ledger, ATTESTATIONS.checkpoint, ATTESTATIONS.proof)


def prepare(
    site: Site,
    status: RunStatus,
    parent: str,
    duration_ms: int = 0,
    waiting: tuple[Entry, ...] = (),
) -> str:
    """Make the run's end durable before anything says that it ended. Return the id of the event
    that says so.

    `duration_ms` is what the run took so far; `waiting` is recorded just before.
    """
    store, run = site.store, RunFolder.of(status.run_id)
    content = format_document(status)
    files = {
        run.integrator.status: content,
        run.attestations.policy: format_document(policy_of(site.config)),
    }
    if store.read(run.integrator.log_index) is None:
        files[run.integrator.log_index] = format_document(LogIndex(logs=()))
    if store.read(run.integrator.merge) is None:
        files[run.integrator.merge_plan] = unmerged_plan(status)
    store.write_together(files)
    prepared = IntegratePrepared(
        status=sha256(content),
        merged_tree=status.merged_tree,
        packs=len(status.packs),
        duration_ms=duration_ms,
        rc=Status(status.status).exit_code,
    )
    return site.ledger.append(*waiting, prepared.entry(status.run_id, parent))


def settle(site: Site, run_id: str, parent: str = "", actor: str = "pipeline") -> RunStatus:
    """Finish a prepared run and return its status; `parent` is the event that prepared it.

    Raise EvidenceError where a file is not the one that the run was prepared with, Refusal as
    `attest`.
    """
    began = site.clock.monotonic()
    store, run = site.store, RunFolder.of(run_id)
    content = store.read(run.integrator.status) or b""
    status = parse_document(RunStatus, content)
    _require_recorded(site, run_id, PREPARED, "status", sha256(content))
    changed = _changed(store.read(run.integrator.files_changed))
    from factory.report.renderings import write_renderings

    write_renderings(site, status, changed)
    report = store.sha256(run.integrator.report)
    if _event_of(site, run_id, FINISHED) is not None:
        _require_recorded(site, run_id, FINISHED, "report", report)
        _require_listed(site, run_id)
    else:
        event = IntegrateFinished(
            status=status.status,
            merged_tree=status.merged_tree,
            report=report,
            changed=len(changed.files) if changed is not None else 0,
            actor=actor,
            duration_ms=int((site.clock.monotonic() - began) * 1000),
            rc=Status(status.status).exit_code,
        )
        site.ledger.append(event.entry(run_id, parent))
    finished = _event_of(site, run_id, FINISHED)
    if finished is None:
        raise EvidenceError(f"the ledger does not say that {run_id} finished")
    from factory.evidence.attest import attest  # loaded only to settle

    digests = attest(site, status, finished)
    entries = tuple(
        ManifestEntry(path=path, sha256=digests[path], bytes=store.size(run.at(path)))
        for path in sorted(digests)
    )
    store.write(run.manifest, format_document(Manifest(subject=run_id, files=entries)))
    return status


def _changed(content: bytes | None) -> FilesChanged | None:
    return parse_document(FilesChanged, content) if content is not None else None


def _event_of(site: Site, run_id: str, event_type: str) -> EventDocument | None:
    """Return the last event of that type in a run, if there is one. Reads back no further than to
    the start of the run.
    """
    events = site.ledger.newest(event_type, STARTED)
    last = next((event for event in events if event.run_id == run_id), None)
    return last if last is not None and last.event_type == event_type else None


def _require_recorded(site: Site, run_id: str, event_type: str, name: str, digest: str) -> None:
    """Raise EvidenceError where the ledger recorded another digest: finishing never vouches for a
    changed file.
    """
    event = _event_of(site, run_id, event_type)
    recorded = event.hashes.get(name, "") if event is not None else ""
    if recorded != digest:
        raise EvidenceError(
            f"its {name} was recorded as sha256 {recorded[:12]}…, found {digest[:12]}…"
        )


def _require_listed(site: Site, run_id: str) -> None:
    """Raise EvidenceError where a file differs from the run's own digest list.

    Files that are made again from the ledger are not compared.
    """
    from factory.evidence.attestations import parse_digests  # loaded only to settle

    run = RunFolder.of(run_id)
    listed = parse_digests(site.store.read(run.attestations.files_list) or b"")
    for path, digest in listed.items():
        found = site.store.sha256(run.at(path))
        if found != digest and path not in _FROM_THE_LEDGER:
            raise EvidenceError(
                f"{display(path)} was listed as sha256 {digest[:12]}…, found"
                f" {found[:12] or 'no file'}"
            )


def recover(site: Site) -> tuple[Finding, ...]:
    """Finish every prepared run and abandon every other unfinished one. Return notes. Requires the
    run lock.

    Raise Refusal where the ledger is broken, or contradicts the checkpoints of earlier runs.
    """
    began = site.clock.monotonic()
    newest = next(iter(site.ledger.newest()), None)
    committed = site.objects.time_of(site.repository.commit)
    notes = [*judge_clock(site.clock.utc(), newest.ts_utc if newest else "", committed)]
    notes += site.ledger.recover()
    refuse_rewritten_ledger(site)
    refuse_missing_runs(site)
    notes += site.ledger.compare_with_own()
    own_since = site.ledger.own_since()
    for folder, below in ((BUNDLES, False), (MARKERS, True), (LOCKS, False)):
        site.store.clear_unfinished(folder, below)
    open_runs = _without_end(site)
    for run_id in open_runs:
        _clear(site, RunFolder.of(run_id))
    finished, abandoned = [], []
    for run_id, begun in open_runs.items():
        why_not = (
            _finish(site, run_id, begun.prepared, own_since)
            if begun.prepared
            else "ended before its report was made"
        )
        if not why_not:
            finished.append(run_id)
            continue
        if _event_of(site, run_id, FINISHED) is not None:
            notes.append(_spoilt(run_id, why_not))
            continue
        abandoned.append(run_id)
        abandoned_run = RunAbandoned(actor=RECOVERY, rc=Status.FAIL.exit_code)
        site.ledger.append(abandoned_run.entry(run_id, begun.started))
        notes.append(Finding("RUN_ABANDONED", {"run": run_id, "problem": why_not}))
    if finished or abandoned:
        recovered = RecoveryFinished(
            finished=len(finished),
            abandoned=len(abandoned),
            duration_ms=int((site.clock.monotonic() - began) * 1000),
        )
        site.ledger.append(recovered.entry())
    site.ledger.remember()
    return tuple(notes)


def _clear(site: Site, run: RunFolder) -> None:
    """Delete temporary files of a dead run.

    Bundles are replaced atomically and need no cleaning.
    """
    site.store.clear_unfinished(run)
    for folder in (run.raw, run.locks, run.attestations, run.integrator):
        site.store.clear_unfinished(folder, below=True)
    site.store.remove(run.integrator.scratch)


def _without_end(site: Site) -> dict[str, UnfinishedRun]:
    """Return the runs that have no end in the ledger, and those that have one but no manifest on
    disk.
    """
    state = site.ledger.state()
    found = dict(state.begun)
    known = found.keys() | state.abandoned
    bare = [run for run in site.store.names(RUNS) if run not in known and not _complete(site, run)]
    for event in site.ledger.of_runs(bare):
        if event.event_type == STARTED:
            found[event.run_id] = UnfinishedRun(event.event_id)
        elif event.event_type == PREPARED:
            found[event.run_id] = UnfinishedRun(found[event.run_id].started, event.event_id)
    return found


def _complete(site: Site, run_id: str) -> bool:
    """Return whether nothing of a finished run is left to write: it has its manifest, or its folder
    is empty.
    """
    return site.store.size(RunFolder.of(run_id).manifest) > 0 or not site.store.names(
        RunFolder.of(run_id)
    )


def _finish(site: Site, run_id: str, prepared: str, own_since: int) -> str:
    """Finish a run. Return why it cannot be finished, as a clause, or "".

    What this user did not record here is not signed: the evidence may be anybody's.
    """
    event = _event_of(site, run_id, PREPARED)
    if event is None or event.seq < own_since:
        return "cannot be finished: its end was not recorded by this user at this place"
    try:
        settle(site, run_id, prepared, RECOVERY)
    except EvidenceError as error:
        return f"cannot be finished: {error}"
    return ""


def _spoilt(run_id: str, why_not: str) -> Finding:
    """Return RUN_REPLACED for a run that finished in the ledger, has no manifest, and whose files
    changed.
    """
    facts = {"case": "lost", "run": run_id, "problem": why_not}
    return Finding("RUN_REPLACED", facts, location=Location(shown(RunFolder.of(run_id))))
