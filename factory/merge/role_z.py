"""Run role Z: read bundles below one run folder and write their merge, below that folder only.

Runs in a process of its own that the operating system confines. It has no ledger, no ref, no
sandbox and no clock; its answer is a function of the plan and the bundles.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from factory.bundle import check as bundle_check
from factory.bundle.make import PackChange, files_changed
from factory.git.narrowing import between
from factory.merge.merging import Candidate, Merged, merge_candidates
from factory.merge.three_way import three_way_of
from factory.model.config import OverlapPolicy
from factory.model.errors import Refusal
from factory.model.evidence import (
    ManifestEntry,
    MergeDocument,
    PlanDocument,
    PlannedPackRecord,
    StatusDocument,
)
from factory.model.evidence_text import finding_record, format_document, parse_document, sha256
from factory.model.finding import Finding
from factory.model.inert import code, markdown
from factory.model.layout import IN_BUNDLE, IN_RUN, INTEGRATOR
from factory.model.tree import MODE_SUBMODULE, Tree
from factory.model.wording import counted

if TYPE_CHECKING:  # the ledger's types come with them, and the integrator's start would wait
    from factory.files.ports import Store
    from factory.git.ports import Objects


def read_candidate(store: Store, objects: Objects, planned: PlannedPackRecord) -> Candidate:
    """Return one bundle as a candidate.

    Raise Refusal if it does not agree with its manifest, its status or the plan.
    """
    pack = planned.pack
    # The large ones are read once: what is compared with the manifest is what is merged.
    carried = store.read(IN_RUN.bundle(pack).objects)
    patch = store.read(IN_RUN.bundle(pack).patch)
    read = {IN_BUNDLE.objects: carried, IN_BUNDLE.patch: patch}
    known = {path: sha256(content) for path, content in read.items() if content is not None}
    digests = {
        path: known[path] if path in known else store.sha256(f"{pack}/{path}")
        for path in store.files(pack)
        if path != IN_BUNDLE.manifest
    }
    found = bundle_check.judge_manifest(
        pack, pack, store.read(IN_RUN.bundle(pack).manifest), digests
    )
    if found:
        raise Refusal(*found)
    status = parse_document(StatusDocument, store.read(IN_RUN.bundle(pack).status) or b"")
    if status.status != "PASS" or status.action_key != planned.action_key:
        facts = {"case": "status", "expected": planned.action_key, "found": status.status}
        raise Refusal(Finding("BUNDLE_STALE", facts, pack=pack))
    objects.take_in(carried or b"", known.get(IN_BUNDLE.objects, ""))
    before, after = objects.tree_of(status.base_tree), objects.tree_of(status.result_tree)
    patched = (
        objects.tree_of(objects.apply_patch(before.oid, patch, known[IN_BUNDLE.patch]))
        if patch
        else before
    )
    return Candidate(
        pack, planned.depends_on, before, between(before, after), between(before, patched)
    )


def merge_all(plan: PlanDocument, candidates: tuple[Candidate, ...], objects: Objects) -> Merged:
    """Return the merge of all candidates of a plan."""
    return merge_candidates(
        objects.tree_of(plan.base_commit),
        candidates,
        OverlapPolicy(plan.policy.rules.overlap),
        three_way_of(objects),
    )


def integrate(plan: PlanDocument, store: Store, objects: Objects) -> MergeDocument:
    """Merge every bundle of `plan`; `store` is rooted at the run folder. Write below Z_integrator/
    only.
    """
    candidates = tuple(read_candidate(store, objects, planned) for planned in plan.packs)
    merged = merge_all(plan, candidates, objects)
    document = MergeDocument(
        base_commit=plan.base_commit,
        base_tree=plan.base_tree,
        merged_tree=merged.tree.oid if merged.tree is not None else "",
        order=merged.order,
        bundles=tuple(_entry(store, pack) for pack in merged.order),
        overlaps=merged.overlaps,
        largest_set=merged.selection.largest,
        smallest_conflict=merged.selection.smallest_conflict,
        exact=merged.selection.exact,
        findings=tuple(finding_record(finding) for finding in merged.findings),
    )
    if merged.tree is not None:
        _write_result(plan, merged.tree, store, objects)
    store.write(INTEGRATOR.merge_plan, _plan_text(plan, document))
    store.write(INTEGRATOR.merge, format_document(document))
    return document


def _entry(store: Store, pack: str) -> ManifestEntry:
    path = IN_RUN.bundle(pack).manifest
    content = store.read(path) or b""
    return ManifestEntry(path=path, sha256=sha256(content), bytes=len(content))


def _write_result(plan: PlanDocument, tree: Tree, store: Store, objects: Objects) -> None:
    base = objects.tree_of(plan.base_commit)
    objects.write_tree(tree)
    differences = between(base, tree)
    oids = {
        leaf.oid
        for difference in differences
        for leaf in (difference.before, difference.after)
        if leaf is not None and leaf.mode != MODE_SUBMODULE
    }
    tip = objects.write_commit(tree.oid, (plan.base_commit,), result_message(plan))
    change = PackChange(
        base_tree=base.oid,
        result_tree=tree.oid,
        differences=differences,
        patch=objects.patch(base.oid, tree.oid) if differences else b"",
        lines=objects.numstat(base.oid, tree.oid) if differences else {},
        digests={oid: one.sha256 for oid, one in objects.measured(oids).items()},
        objects=objects.bundle(
            (tip,), objects.new_objects(tree, base), "refs/codex/result", plan.base_commit
        ),
    )
    store.write(INTEGRATOR.files_changed, format_document(files_changed(change)))
    store.write(INTEGRATOR.patch, change.patch)
    store.write(INTEGRATOR.objects, change.objects)


def result_message(plan: PlanDocument) -> str:
    """Return the message of the result's commit: a function of the plan alone."""
    rows = "".join(f"- {planned.pack} ({planned.action_key[:16]})\n" for planned in plan.packs)
    count = len(plan.packs)
    return f"Integrate {counted(count, 'task pack')}\n\n{rows}"


def _plan_text(plan: PlanDocument, document: MergeDocument) -> bytes:
    lines = [
        "# Merge plan",
        "",
        f"Base commit `{plan.base_commit}`, tree `{plan.base_tree}`.",
        "",
        "Order:",
        "",
    ]
    lines += [f"{number}. {pack}" for number, pack in enumerate(document.order, 1)]
    lines += [
        "",
        (
            f"Result: tree `{document.merged_tree}`."
            if document.merged_tree
            else "Result: nothing was merged."
        ),
    ]
    if document.overlaps:
        lines += ["", "| pack | pack | path | settled by |", "|---|---|---|---|"]
        for o in document.overlaps:
            lines.append(
                markdown(
                    "| {} | {} | {} | {} |",
                    o.first,
                    o.second,
                    code(o.path, cell=True),
                    o.resolved or "—",
                )
            )
        label = "" if document.exact else " (greedy)"
        lines += [
            "",
            f"Largest set that integrates{label}: {', '.join(document.largest_set) or 'none'}.",
        ]
        lines += [f"Smallest set that does not: {', '.join(document.smallest_conflict) or 'none'}."]
    return ("\n".join(lines) + "\n").encode("utf-8")
