"""Check that a pack saw what it should: base, dependencies, its own folder, and only its inputs.

Needs the base's trees as far as a pack's view reaches; if they are not available, it reports a gap.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress

from factory.verify import paths
from factory.verify.bundle import Bundle
from factory.verify.documents import Plan
from factory.verify.merge import MergeCheck, NotAtHand
from factory.verify.names import unspell
from factory.verify.objects import ObjectError
from factory.verify.overlaps import in_order
from factory.verify.patterns import PatternReach
from factory.verify.results import Results
from factory.verify.trees import FOLDER, Clash, TreeEntry, Trees, Unknown, joined, parts


def check_base(
    results: Results, merging: MergeCheck, bundle: Bundle, base: str, committed: bool
) -> None:
    """Compare a bundle's base tree with the base commit's tree `base` and the packs below it."""
    part = f"what {bundle.pack} started from"
    missing = [need for need in bundle.needs if need not in merging.bundles]
    if missing:
        results.gap(part, f"the bundle of {missing[0]}, which it depends on, was not re-derived")
        return
    if merging.trees is None:
        fetch = merging.repository.tree if merging.repository is not None else lambda _: None
        merging.trees = Trees(bundle.trees.hash_name, merging.known, fetch)
    merging.trees.take(bundle.trees.payloads)
    try:
        _compare(results, merging, merging.trees, bundle, base, committed)
    except NotAtHand as reason:
        results.gap(part, str(reason))
    except Unknown as unknown:
        results.gap(part, f"the base's tree {unknown} is not at hand")
    except (Clash, ObjectError) as error:
        results.wrong(
            "VERIFY_BASE",
            f"{bundle.pack}/{paths.STATUS}",
            f"base and needs do not unite: {error}",
            bundle.pack,
        )


def known_trees(plan: Plan | None, bundles: Mapping[str, Bundle]) -> Mapping[str, bytes]:
    """Return trees by id that plan and bundles yield without the base: those of bundles, the packs
    folder as PLAN.json lists it, and each pack's view with that folder in its place. A tree is what
    its id says, whoever lists it.
    """
    found: dict[str, bytes] = {}
    for bundle in bundles.values():
        found |= bundle.trees.payloads
    if plan is None:
        return found
    trees = Trees(plan.hash_name, found)
    folder = packs_tree(trees, plan)
    for bundle in bundles.values():
        with suppress(Unknown, Clash, ObjectError):
            trees.placed(bundle.status.base_tree, parts(plan.packs_folder), folder)
    return trees.payloads


def packs_tree(trees: Trees, plan: Plan) -> TreeEntry | None:
    """Return the packs folder of the base commit as the plan lists it; None where it has none."""
    entries = {
        os.fsencode(unspell(row.name) or row.name): TreeEntry(int(row.mode or "0", 8), row.oid)
        for row in plan.packs_entries
    }
    return TreeEntry(FOLDER, trees.made(entries)) if entries else None


def unnarrowed(trees: Trees, whole: str, bundle: Bundle, merging: MergeCheck) -> str:
    """Return what a pack without inputs sees of a tree: all but the folders of other packs, which
    it does not build on. Raise Unknown, Clash, ObjectError.
    """
    needs = (merging.bundles.get(need) for need in merging.needs.get(bundle.pack, ()))
    needed = (other.folder for other in needs if other is not None)
    *above, _ = parts(bundle.folder)
    names = (parts(folder)[-1] for folder in (bundle.folder, *needed))
    return trees.without_packs(whole, tuple(above), names)


def _compare(
    results: Results, merging: MergeCheck, trees: Trees, bundle: Bundle, base: str, committed: bool
) -> None:
    file = f"{bundle.pack}/{paths.STATUS}"
    whole = merging.united(
        base, in_order({need: merging.needs[need] for need in merging.needs[bundle.pack]})
    )
    place = parts(bundle.folder)
    if committed:
        found = trees.at(base, place)
        results.differs(
            "VERIFY_BASE",
            file,
            "the pack's folder in the base commit",
            found,
            bundle.tree,
            bundle.pack,
        )
    whole = trees.placed(whole, place, bundle.tree)
    inputs = bundle.lock.inputs
    if inputs is None:
        due = unnarrowed(trees, whole, bundle, merging)
    else:
        kept = (*inputs, f"{bundle.folder}/")
        due = trees.narrowed(whole, PatternReach.of(kept))
        for path, (before, _) in bundle.change.edits.items():
            if (
                before is None
                and trees.at(whole, path) is not None
                and bundle.status.status == "PASS"
            ):
                what = (
                    f"{joined(path)}: expected a path that the pack could see, found one that the"
                    " base hides"
                )
                results.wrong("VERIFY_SCOPE", file, what, bundle.pack)
    results.differs(
        "VERIFY_BASE",
        file,
        "what base, needs and inputs yield",
        due,
        bundle.status.base_tree,
        bundle.pack,
    )
