"""Reading bundles back: from bytes to what other phases decide on. Reads only; believes nothing
unchecked.
"""

from __future__ import annotations

from dataclasses import replace

from factory.git.narrowing import between
from factory.merge.merging import Candidate, merge_candidates
from factory.merge.three_way import three_way_of
from factory.model.errors import Refusal
from factory.model.evidence import StatusDocument
from factory.model.evidence_text import EvidenceError, parse_document
from factory.model.finding import Finding
from factory.model.tree import Difference, Tree
from factory.model.verdict import Status
from factory.plan.planner import PlannedPack, Planner
from factory.plan.site import Site


def load_status(site: Site, pack_id: str, folder: str = "bundles") -> StatusDocument | None:
    """STATUS.json of a pack's bundle; None where there is none or it does not hold its form."""
    content = site.store.read(f"{folder}/{pack_id}/STATUS.json")
    if content is None:
        return None
    try:
        return parse_document(StatusDocument, content)
    except EvidenceError:
        return None


def bundle_differences(
    site: Site, pack_id: str, status: StatusDocument, folder: str = "bundles"
) -> tuple[Difference, ...]:
    """What the bundle changed, from its trees. Takes in the objects that it carries. Raises
    Refusal.
    """
    carried = site.store.read(f"{folder}/{pack_id}/CHANGES.bundle")
    if carried is None:
        raise Refusal(
            Finding(
                "BUNDLE_MISSING",
                f"the bundle of {pack_id} has no CHANGES.bundle",
                "Run it again.",
                pack=pack_id,
            )
        )
    site.objects.take_in(carried)
    return between(site.objects.tree_of(status.base_tree), site.objects.tree_of(status.result_tree))


def stacked_base(site: Site, planner: Planner, planned: PlannedPack) -> Tree:
    """The whole tree that the pack starts from: base and what it depends on, merged, with its own
    folder laid over.

    Raises Refusal DEPENDS_NOT_PASS, or with what keeps the packs below from being merged.
    """
    below = []
    for need in planned.needs:
        status = load_status(site, need)
        if (
            status is None
            or status.status != Status.PASS.value
            or status.action_key != planner.planned(need).key
        ):
            message = f"{planned.pack.id} depends on {need}, which did not PASS"
            place = planned.pack.place("/depends_on")
            raise Refusal(
                Finding("DEPENDS_NOT_PASS", message, f"Fix {need} first.", place, planned.pack.id)
            )
        changes = bundle_differences(site, need, status)
        needs = planner.planned(need).needs
        below.append(
            Candidate(need, needs, site.objects.tree_of(status.base_tree), changes, changes)
        )
    merged = merge_candidates(planner.base, below, site.config.overlap, three_way_of(site.objects))
    if merged.tree is None:
        raise Refusal(*(replace(finding, pack=planned.pack.id) for finding in merged.findings))
    base = planner.lay_over(merged.tree, planned.pack.id)
    site.objects.write_tree(base)
    return base
