"""Integration, the unconfined part: lay the bundles before Z, hold its answer, check the merged
tree.

Z decides what the bundles merge to, in its own process. This side copies bundles into the
run, derives Z's result once more, and runs acceptance over it. It moves no ref.
"""

from __future__ import annotations

from collections.abc import Collection

from factory.bundle.make import LoggedCommand
from factory.judge.status_eval import of_findings
from factory.merge import role_z
from factory.merge.merging import Candidate
from factory.merge.overlap import select
from factory.model.errors import Refusal
from factory.model.events import BundleCopied, MergeFinished
from factory.model.evidence import LogIndex, LogRecord, MergeDocument, PlanDocument, StatusDocument
from factory.model.evidence_text import (
    EvidenceError,
    finding_of,
    format_document,
    parse_document,
    sha256,
)
from factory.model.finding import Finding
from factory.model.layout import IN_BUNDLE, INTEGRATOR, BundleFolder, RunFolder
from factory.model.tree import Tree
from factory.plan.action_key import all_needs
from factory.plan.plan import Plan
from factory.plan.site import Integrated, Session, Site
from factory.run.attempt import machine_of
from factory.run.doit_table import judge_configuration
from factory.run.recheck import Recheck


def copy_bundles(
    session: Session, pack_ids: tuple[str, ...], ran_in: dict[str, str]
) -> dict[str, str]:
    """Copy every bundle into the run; for those of an earlier run, record which. Returns pack →
    that run.
    """
    site, run_id = session.site, session.ensure_run()
    came_from: dict[str, str] = {}
    for pack in pack_ids:
        site.store.copy_folder(BundleFolder.of(pack), RunFolder.of(run_id).bundle(pack))
        origin = ran_in.get(pack, run_id)
        if origin != run_id:
            came_from[pack] = origin
            session.record(
                BundleCopied(
                    pack=pack,
                    from_run=origin,
                    manifest=site.store.sha256(BundleFolder.of(pack).manifest),
                    files=len(site.store.files(RunFolder.of(run_id).bundle(pack))),
                )
            )
    return came_from


def integrate(session: Session, plan: Plan, result: Integrated) -> None:
    """Merge and re-check; findings and records are added to `result`. Every bundle is in the run
    already.

    Half an answer of Z, or half of the logs, is no part of the evidence: what broke off is removed.
    """
    began = session.site.clock.monotonic()
    try:
        candidates = _merged(session, plan.document, result)
    except Exception:
        _forget(session, result)
        raise
    _record(session, candidates, result, began)
    merge = result.merge
    if merge is None or not merge.merged_tree or any(finding.blocks for finding in result.findings):
        return
    merged = session.site.objects.tree_of(merge.merged_tree)
    changes = {candidate.pack: candidate.changes for candidate in candidates}

    def together(packs: Collection[str]) -> Tree | None:
        some = tuple(candidate for candidate in candidates if candidate.pack in packs)
        return role_z.merge_all(plan.document, some, session.site.objects).tree

    rechecked = Recheck(
        machine_of(session.site, session.progress),
        plan,
        merged,
        changes,
        result.statuses,
        together,
        connections=session.egress,
    ).run()
    for path, content in rechecked.raw.items():
        session.site.store.write(RunFolder.of(session.run_id).raw.at(path), content)
    session.record_all(rechecked.events, result.event)
    if rechecked.error is not None:
        raise rechecked.error
    try:
        _write_logs(session, rechecked.logs)
    except Refusal:
        session.site.store.remove(RunFolder.of(session.run_id).integrator.logs)
        raise
    result.rechecks = rechecked.records
    result.findings += rechecked.findings
    pairs = [(record.pack, culprit) for record in rechecked.records for culprit in record.culprits]
    if pairs:
        needs = all_needs({planned.pack: planned.depends_on for planned in plan.document.packs})
        chosen = select(changes, pairs, needs)
        result.largest, result.smallest = chosen.largest, chosen.smallest_conflict


def _record(
    session: Session, candidates: tuple[Candidate, ...], result: Integrated, began: float
) -> None:
    """One event for what the integrator came to."""
    merge = result.merge
    result.event = session.record(
        MergeFinished(
            duration_ms=session.milliseconds(began),
            rc=of_findings(result.findings).exit_code,
            merged_tree=merge.merged_tree if merge is not None else "",
            packs=len(result.statuses),
            changed=sum(len(candidate.changes) for candidate in candidates),
            overlaps=len(merge.overlaps) if merge is not None else 0,
        )
    )


def _merged(session: Session, plan: PlanDocument, result: Integrated) -> tuple[Candidate, ...]:
    """Ask Z and hold its answer; what each pack brought, none where there is no answer to build
    on.
    """
    site, run_id = session.site, session.ensure_run()
    store = site.store
    for planned in plan.packs:
        content = store.read(RunFolder.of(run_id).bundle(planned.pack).status) or b""
        result.statuses[planned.pack] = parse_document(StatusDocument, content)
    try:
        site.integrator.merge(store.root / RunFolder.of(run_id))
        merge = parse_document(
            MergeDocument, store.read(RunFolder.of(run_id).integrator.merge) or b""
        )
    except EvidenceError as error:
        result.findings.append(
            Finding("INTEGRATOR_FAILED", f"the integrator's answer does not hold its form: {error}")
        )
        _forget(session, result)
        return ()
    except Refusal as refusal:
        result.findings += refusal.findings
        _forget(session, result)
        return ()
    result.merge = merge
    result.findings += [finding_of(record) for record in merge.findings]
    return (
        _hold_answer(site, plan, RunFolder.of(run_id), merge, result) if merge.merged_tree else ()
    )


def _forget(session: Session, result: Integrated) -> None:
    result.merge = None
    session.site.store.remove(RunFolder.of(session.run_id).integrator)


def _hold_answer(
    site: Site, plan: PlanDocument, folder: str, merge: MergeDocument, result: Integrated
) -> tuple[Candidate, ...]:
    """Derive the merged tree here as well; a difference is a finding."""
    objects, store = site.objects, site.store.below(folder)
    objects.take_in(store.read(INTEGRATOR.objects) or b"")
    candidates = tuple(role_z.read_candidate(store, objects, planned) for planned in plan.packs)
    again = role_z.merge_all(plan, candidates, objects)
    if again.tree is None or again.tree.oid != merge.merged_tree:
        found = again.tree.oid[:12] if again.tree is not None else "no tree"
        message = (
            f"the integrator says tree {merge.merged_tree[:12]}, base and bundles yield {found}"
        )
        result.findings.append(
            Finding("MERGE_DIFFERS", message, "Look at the bundles, then run again.")
        )
    named = store.read(INTEGRATOR.patch) or b""
    base = objects.tree_of(plan.base_commit)
    if (
        again.tree is not None
    ):  # merged line by line, two tables that are fit can make one that is not
        result.findings += judge_configuration(objects, "", base, again.tree)
    if again.tree is not None and named:
        patched = objects.apply_patch(base.oid, named)
        if patched != again.tree.oid:
            result.findings.append(
                Finding("MERGE_DIFFERS", "the integrator's patch does not yield the merged tree")
            )
    return candidates


def _write_logs(session: Session, logs: tuple[tuple[str, LoggedCommand], ...]) -> None:
    folder = RunFolder.of(session.run_id).integrator
    records = []
    for pack, logged in logs:
        label = f"{pack}.{logged.record.label}"
        path = IN_BUNDLE.log(label)
        session.site.store.write(folder.at(path), logged.log)
        records.append(
            LogRecord(
                label=label,
                path=path,
                sha256=sha256(logged.log),
                bytes=len(logged.log),
                truncated=logged.truncated,
                rc=logged.record.rc,
            )
        )
    session.site.store.write(folder.log_index, format_document(LogIndex(logs=tuple(records))))
