"""Integrate, the unconfined part: give the bundles to Z, compare its answer, check the merged tree.

Z decides what the bundles merge to, in its own process. This side copies bundles into the
run, derives Z's result once more, and runs acceptance over it. It moves no ref.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from factory.bundle.make import LoggedCommand
from factory.engine.builder_facts import own_code
from factory.engine.run import CardOutcome, Integrated, Run
from factory.engine.summary import merge_headline
from factory.judge.status_eval import combine, of_findings
from factory.merge import role_z
from factory.merge.merging import Candidate
from factory.merge.overlap import select
from factory.model.card import Card
from factory.model.errors import Refusal
from factory.model.events import BundleCopied, MergeFinished
from factory.model.evidence import (
    LogIndex,
    LogRecord,
    MergeDocument,
    PlanDocument,
    StatusDocument,
    with_packs,
)
from factory.model.evidence_text import (
    EvidenceError,
    finding_of,
    format_document,
    parse_document,
    sha256,
)
from factory.model.finding import Finding
from factory.model.layout import IN_BUNDLE, IN_RUN, INTEGRATOR, BundleFolder, RunFolder
from factory.model.tree import Tree
from factory.model.verdict import Status
from factory.model.wording import counted
from factory.plan.order import all_needs
from factory.run.attempt import machine_of
from factory.run.doit_table import judge_configuration
from factory.run.paid import check_memory
from factory.run.recheck import Recheck


def integrate_card(card: Card, run: Run) -> CardOutcome:
    """Copy every bundle into the run, and merge them where all that comes before passed."""
    before = run.marker(card)
    replaced = run.intact.replaced(before.run_id) if before is not None and before.run_id else ()
    run.start()
    earlier = run.cards[: run.cards.index(card)]
    status = combine(run.status_of(other.name) for other in earlier)
    came = {other.pack: run.bundle_run(other) for other in earlier if other.phase == "launch"}
    _copy_bundles(run, came)
    whole = status is Status.PASS
    packs = [planned.pack for planned in run.plan.document.packs] if whole else _passed(run, status)
    if not whole and not packs:
        launched = (other for other in earlier if other.phase == "launch")
        left = sum(run.status_of(other.name) is not Status.PASS for other in launched)
        why = f"not done: {counted(left, 'pack')} did not PASS" if left else "nothing merged"
        return CardOutcome(status, replaced, why)
    _integrate(run, with_packs(run.plan.document, packs))
    found = (*replaced, *run.integrated.findings)
    again = {(row.pack, row.label) for row in run.integrated.rechecks}
    paid = sum(row.attempt == 0 and (row.pack, row.label) in again for row in run.reused)
    headline = merge_headline(run.integrated, paid)
    if not whole and run.integrated.merge is not None and run.integrated.merge.merged_tree:
        found = (*found, _partly(run, packs))
        headline = f"{headline} · {len(packs)} of {counted(len(run.catalogue.entries), 'pack')}"
    return CardOutcome(combine((status, of_findings(found))), found, headline)


def _passed(run: Run, status: Status) -> list[str]:
    """Return the packs to merge where not all passed: none unless that was asked for, else those
    whose bundle is a validated PASS, and so are those that they need.
    """
    if not run.site.config.partial or status is not Status.BLOCKED:
        return []
    preflight, *others = run.cards
    if any(finding.blocks and not finding.pack for finding in run.result_of(preflight)[1]):
        return []  # what speaks against the whole run
    bad = {card.pack for card in others if card.pack and run.result_of(card)[0] is not Status.PASS}
    return [
        planned.pack
        for planned in run.plan.document.packs
        if bad.isdisjoint((planned.pack, *planned.needs))
    ]


def _partly(run: Run, packs: Collection[str]) -> Finding:
    left = tuple(entry.id for entry in run.catalogue.entries if entry.id not in packs)
    return Finding("INTEGRATED_PARTLY", {"integrated": tuple(sorted(packs)), "without": left})


def _copy_bundles(run: Run, came: Mapping[str, str]) -> None:
    """Copy every bundle that belongs to it into the run, with one sync; where `came` says that one
    is of an earlier run, record that.
    """
    store, folder = run.site.store, RunFolder.of(run.id)
    there = {entry.id: run.manifest_of(entry.id) for entry in run.catalogue.entries}
    packs = [pack for pack, digest in there.items() if digest and pack not in run.refused]
    store.copy_folders({BundleFolder.of(pack): folder.bundle(pack) for pack in packs})
    origins = {pack: came.get(pack, run.id) for pack in packs}
    run.integrated.came_from |= {pack: of for pack, of in origins.items() if of != run.id}
    copied = (
        BundleCopied(
            pack=pack,
            from_run=origin,
            manifest=there[pack],
            files=len(store.files(folder.bundle(pack))),
        ).entry()
        for pack, origin in run.integrated.came_from.items()
    )
    run.recorder.record_all(copied, run.recorder.run_event)


def _integrate(run: Run, document: PlanDocument) -> None:
    """Merge the packs of `document`, which is the plan or a part of it, and check the merged tree;
    findings and records are added to `run.integrated`. Every bundle is in the run already.

    Half an answer of Z, or half of the logs, is no part of the evidence: what broke off is removed.
    """
    plan, result = run.plan, run.integrated
    began = run.site.clock.monotonic()
    try:
        candidates = _merged(run, document, result)
    except Exception:
        _forget(run, result)
        raise
    _record(run, candidates, result, began)
    merge = result.merge
    if merge is None or not merge.merged_tree or any(finding.blocks for finding in result.findings):
        return
    merged = run.site.objects.tree_of(merge.merged_tree)
    changes = {candidate.pack: candidate.changes for candidate in candidates}

    def together(packs: Collection[str]) -> Tree | None:
        some = tuple(candidate for candidate in candidates if candidate.pack in packs)
        return role_z.merge_all(document, some, run.site.objects).tree

    rechecked = Recheck(
        machine_of(run.site, run.progress, check_memory(run.site, own_code())),
        plan,
        merged,
        changes,
        result.statuses,
        together,
        connections=run.connections,
    ).run()
    for path, content in rechecked.raw.items():
        run.site.store.write(RunFolder.of(run.id).raw.at(path), content)
    run.recorder.record_all(rechecked.events, result.event)
    run.take_checks(rechecked.events, rechecked.checks, rechecked.foreign)
    if rechecked.error is not None:
        raise rechecked.error
    try:
        _write_logs(run, rechecked.logs)
    except Refusal:
        run.site.store.remove(RunFolder.of(run.id).integrator.logs)
        raise
    result.rechecks, result.judge_runs = rechecked.records, rechecked.judge_runs
    result.findings += rechecked.findings
    pairs = [(record.pack, culprit) for record in rechecked.records for culprit in record.culprits]
    if pairs:
        needs = all_needs({planned.pack: planned.depends_on for planned in document.packs})
        chosen = select(changes, pairs, needs)
        result.largest, result.smallest = chosen.largest, chosen.smallest_conflict


def _record(run: Run, candidates: tuple[Candidate, ...], result: Integrated, began: float) -> None:
    """Record one event with the integrator's result."""
    merge = result.merge
    result.event = run.recorder.record(
        MergeFinished(
            duration_ms=run.recorder.milliseconds(began),
            rc=of_findings(result.findings).exit_code,
            merged_tree=merge.merged_tree if merge is not None else "",
            packs=len(result.statuses),
            changed=sum(len(candidate.changes) for candidate in candidates),
            overlaps=len(merge.overlaps) if merge is not None else 0,
        )
    )


def _merged(run: Run, plan: PlanDocument, result: Integrated) -> tuple[Candidate, ...]:
    """Ask Z and check its answer. Return what each pack brought; nothing if there is no answer."""
    site, run_id = run.site, run.id
    store = site.store
    for planned in plan.packs:
        content = store.read(RunFolder.of(run_id).bundle(planned.pack).status) or b""
        result.statuses[planned.pack] = parse_document(StatusDocument, content)
    try:
        packs = tuple(planned.pack for planned in plan.packs)
        site.integrator(store.root / RunFolder.of(run_id), packs)
        merge = parse_document(
            MergeDocument, store.read(RunFolder.of(run_id).integrator.merge) or b""
        )
    except EvidenceError as error:
        result.findings.append(
            Finding("INTEGRATOR_FAILED", {"case": "form", "problem": str(error)})
        )
        _forget(run, result)
        return ()
    except Refusal as refusal:
        result.findings += refusal.findings
        _forget(run, result)
        return ()
    result.merge = merge
    result.findings += [finding_of(record) for record in merge.findings]
    return _check_answer(run, plan, merge, result) if merge.merged_tree else ()


def _forget(run: Run, result: Integrated) -> None:
    result.merge = None
    run.site.store.remove(RunFolder.of(run.id).integrator)


def _check_answer(
    run: Run, plan: PlanDocument, merge: MergeDocument, result: Integrated
) -> tuple[Candidate, ...]:
    """Derive the merged tree here as well; a difference is a finding."""
    objects, store = run.site.objects, run.site.store.below(RunFolder.of(run.id))
    objects.take_in(store.read(INTEGRATOR.objects) or b"")
    candidates = _candidates(run, plan, merge)
    again = role_z.merge_all(plan, candidates, objects)
    if again.tree is None or again.tree.oid != merge.merged_tree:
        due = again.tree.oid if again.tree is not None else "no tree"
        facts = {"case": "tree", "expected": due, "found": merge.merged_tree}
        result.findings.append(Finding("MERGE_DIFFERS", facts))
    named = store.read(INTEGRATOR.patch) or b""
    base = objects.tree_of(plan.base_commit)
    if (
        again.tree is not None
    ):  # merged line by line, two tables that are fit can make one that is not
        result.findings += judge_configuration(objects, "", base, again.tree)
    if again.tree is not None and named:
        patched = objects.apply_patch(base.oid, named)
        if patched != again.tree.oid:
            result.findings.append(Finding("MERGE_DIFFERS", {"case": "patch"}))
    return candidates


def _candidates(run: Run, plan: PlanDocument, merge: MergeDocument) -> tuple[Candidate, ...]:
    """Return what each bundle brings: from the trees that its validation in this run derived, else
    derived now.
    """
    objects, store = run.site.objects, run.site.store.below(RunFolder.of(run.id))
    merged = {entry.path: entry.sha256 for entry in merge.bundles}
    found: dict[str, Candidate] = {}
    for planned in plan.packs:
        derived = run.derived.get(planned.pack)
        manifest = IN_RUN.bundle(planned.pack).manifest
        if derived is not None and derived.manifest == merged.get(manifest):
            trees = map(objects.tree_of, (derived.before, derived.after, derived.patched))
            found[planned.pack] = role_z.candidate_of(planned, *trees)
    others = (planned for planned in plan.packs if planned.pack not in found)
    found |= {one.pack: one for one in role_z.read_candidates(store, objects, others)}
    return tuple(found[planned.pack] for planned in plan.packs)


def _write_logs(run: Run, logs: tuple[tuple[str, LoggedCommand], ...]) -> None:
    folder = RunFolder.of(run.id).integrator
    records = []
    for pack, logged in logs:
        label = f"{pack}.{logged.record.label}"
        path = IN_BUNDLE.log(label)
        run.site.store.write(folder.log(label), logged.log)
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
    run.site.store.write(folder.log_index, format_document(LogIndex(logs=tuple(records))))
