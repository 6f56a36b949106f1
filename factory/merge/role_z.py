"""Run role Z: read bundles below one run folder and write their merge, below that folder only.

Runs in a process of its own that the operating system confines. It has no ledger, no ref, no
sandbox and no clock; its answer is a function of the plan and the bundles.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
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


# Bytes of bundles that are read together: enough that many small ones become one pack.
_AT_ONCE = 1 << 24


@dataclass(frozen=True, slots=True)
class _ReadBundle:
    """Contain a bundle that agrees with its manifest and is a PASS of its action."""

    planned: PlannedPackRecord
    status: StatusDocument
    carried: bytes
    carried_digest: str
    patch: bytes
    patch_digest: str


def read_candidates(
    store: Store, objects: Objects, packs: Iterable[PlannedPackRecord]
) -> tuple[Candidate, ...]:
    """Return the bundle of each pack as a candidate; `store` is rooted at the run folder.

    Raise Refusal if one does not agree with its manifest, its status or the plan.
    """
    found: list[Candidate] = []
    opened: list[_ReadBundle] = []
    size = 0
    for planned in packs:
        opened.append(_open(store, planned))
        size += len(opened[-1].carried) + len(opened[-1].patch)
        if size >= _AT_ONCE:
            found += _derived(objects, opened)
            opened, size = [], 0
    return (*found, *_derived(objects, opened))


def _open(store: Store, planned: PlannedPackRecord) -> _ReadBundle:
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
    return _ReadBundle(
        planned,
        status,
        carried or b"",
        known.get(IN_BUNDLE.objects) or sha256(b""),
        patch or b"",
        known.get(IN_BUNDLE.patch, ""),
    )


def _derived(objects: Objects, opened: Iterable[_ReadBundle]) -> Iterator[Candidate]:
    """Yield a candidate for each bundle, from its objects and its patch."""
    opened = tuple(opened)
    objects.take_in_all({one.carried_digest: one.carried for one in opened})
    for one in opened:
        before = objects.tree_of(one.status.base_tree)
        after = objects.tree_of(one.status.result_tree)
        patched = (
            objects.tree_of(objects.apply_patch(before.oid, one.patch, one.patch_digest))
            if one.patch
            else before
        )
        yield candidate_of(one.planned, before, after, patched)


def candidate_of(planned: PlannedPackRecord, before: Tree, after: Tree, patched: Tree) -> Candidate:
    """Return a candidate from the trees of its bundle, the last as its patch yields it."""
    return Candidate(
        planned.pack,
        planned.depends_on,
        before,
        between(before, after),
        between(before, patched),
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
    candidates = read_candidates(store, objects, plan.packs)
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
