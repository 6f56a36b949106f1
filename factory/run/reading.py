"""Read bundles back: from bytes to what other phases decide on. Reads only; believes nothing
unchecked.
"""

from __future__ import annotations

from dataclasses import replace

from factory.files.ports import Store
from factory.git.narrowing import between
from factory.git.ports import Objects
from factory.merge.merging import Candidate, merge_candidates
from factory.merge.three_way import three_way_of
from factory.model.errors import Refusal
from factory.model.evidence import StatusDocument
from factory.model.evidence_text import EvidenceError, parse_document
from factory.model.finding import Finding
from factory.model.layout import BUNDLES, IN_BUNDLE, BundleFolder, Folder
from factory.model.tree import Difference, Tree
from factory.model.verdict import Status
from factory.plan.plan import Plan, PlannedPack


def load_status(store: Store, pack_id: str, folder: Folder = BUNDLES) -> StatusDocument | None:
    """Return STATUS.json of a pack's bundle; None where there is none or its form is another."""
    content = store.read(BundleFolder(folder.at(pack_id)).status)
    if content is None:
        return None
    try:
        return parse_document(StatusDocument, content)
    except EvidenceError:
        return None


def bundle_differences(
    store: Store, objects: Objects, pack_id: str, status: StatusDocument, folder: Folder = BUNDLES
) -> tuple[Difference, ...]:
    """Return what the bundle changed, from its trees. Takes in the objects that it carries. Raises
    Refusal.
    """
    carried = store.read(BundleFolder(folder.at(pack_id)).objects)
    if carried is None:
        raise Refusal(Finding("BUNDLE_MISSING", {"path": IN_BUNDLE.objects}, pack=pack_id))
    objects.take_in(carried)
    return between(objects.tree_of(status.base_tree), objects.tree_of(status.result_tree))


def stacked_base(store: Store, objects: Objects, plan: Plan, planned: PlannedPack) -> Tree:
    """Return the whole tree that the pack starts from: base and what it depends on, merged, with
    its own folder laid over.

    Raises Refusal DEPENDS_NOT_PASS, or with what keeps the packs below from being merged.
    """
    below = []
    for need in planned.needs:
        status = load_status(store, need)
        if (
            status is None
            or status.status != Status.PASS.value
            or status.action_key != plan.planned(need).key
        ):
            facts = {"case": "not-pass", "need": need}
            place = planned.pack.place("/depends_on")
            raise Refusal(Finding("DEPENDS_NOT_PASS", facts, pack=planned.pack.id, location=place))
        changes = bundle_differences(store, objects, need, status)
        needs = plan.planned(need).needs
        below.append(Candidate(need, needs, objects.tree_of(status.base_tree), changes, changes))
    merged = merge_candidates(plan.base, below, plan.overlap, three_way_of(objects))
    if merged.tree is None:
        raise Refusal(*(replace(finding, pack=planned.pack.id) for finding in merged.findings))
    base = plan.overlay_folder(merged.tree, planned.pack.id)
    objects.write_tree(base)
    return base
