"""Decide the integration: bundles in, merged tree and findings out, in one canonical order.

Disjoint changes are united entry by entry; a three-way merge is used only if the configuration says
so. The same set of bundles gives the same answer whatever order they arrive in. Does not store
objects and does not know where bundles come from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from factory.git.narrowing import apply_differences
from factory.judge.path_guard import display, fold, new_collisions
from factory.merge.overlap import Overlap, Selection, Touch, find_overlaps, select
from factory.model.config import OverlapPolicy
from factory.model.evidence import OverlapRecord
from factory.model.finding import Finding
from factory.model.findings.entry import Facts
from factory.model.tree import Difference, Tree
from factory.plan.order import all_needs, canonical_order

_ONE_SPELLING = "Spell it one way in every pack."

Merge = Callable[[Tree, Tree, Tree], tuple[Tree, tuple[str, ...]]]


@dataclass(frozen=True, slots=True)
class Candidate:
    """Describe one validated bundle as the integrator reads it.

    `changes` are as FILES_CHANGED names them, `patched` as its patch yields them; `base` is the
    tree they were measured against.
    """

    pack: str
    depends_on: tuple[str, ...]
    base: Tree
    changes: tuple[Difference, ...]
    patched: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class Merged:
    """Describe the result of a merge. `tree` is None if nothing may be merged."""

    order: tuple[str, ...]
    tree: Tree | None
    overlaps: tuple[OverlapRecord, ...]
    selection: Selection
    findings: tuple[Finding, ...]


def merge_candidates(
    base: Tree, candidates: Iterable[Candidate], policy: OverlapPolicy, merge: Merge
) -> Merged:
    """Merge all `candidates` onto `base`, or report which of them conflict."""
    known = {candidate.pack: candidate for candidate in candidates}
    depends = {pack: candidate.depends_on for pack, candidate in known.items()}
    order = canonical_order(depends)
    needs = all_needs(depends)
    plain, hidden = _overlaps(known, needs)
    records, findings = _resolve(base, known, plain, policy, merge)
    for overlap in hidden:
        records.append(_record(overlap, hidden=True))
        findings.append(_overlap_finding("HIDDEN_OVERLAP", overlap))
    conflicts = [(record.first, record.second) for record in records if not record.resolved]
    selection = select(known, conflicts, needs)
    if findings:
        return Merged(order, None, tuple(records), selection, tuple(findings))
    contested = frozenset(pack for record in records for pack in (record.first, record.second))
    tree, findings = _unite(base, known, order, contested, policy, merge)
    if tree is not None:
        findings = [
            _collision_finding(known, order, *twins) for twins in sorted(new_collisions(base, tree))
        ]
        tree = None if findings else tree
    return Merged(order, tree, tuple(records), selection, tuple(findings))


def _overlaps(
    known: Mapping[str, Candidate], needs: Mapping[str, frozenset[str]]
) -> tuple[tuple[Overlap, ...], tuple[Overlap, ...]]:
    stacked = frozenset((pack, need) for pack, wanted in needs.items() for need in wanted)
    plain = find_overlaps({pack: _touches(c.changes) for pack, c in known.items()}, stacked)
    patched = find_overlaps({pack: _touches(c.patched) for pack, c in known.items()}, stacked)
    named = {(overlap.first, overlap.second) for overlap in plain}
    return plain, tuple(
        overlap for overlap in patched if (overlap.first, overlap.second) not in named
    )


def _touches(changes: Iterable[Difference]) -> tuple[Touch, ...]:
    return tuple(Touch(change.path, change.after, change.before is not None) for change in changes)


def _resolve(
    base: Tree,
    known: Mapping[str, Candidate],
    overlaps: Iterable[Overlap],
    policy: OverlapPolicy,
    merge: Merge,
) -> tuple[list[OverlapRecord], list[Finding]]:
    records: list[OverlapRecord] = []
    findings: list[Finding] = []
    for overlap in overlaps:
        if policy is OverlapPolicy.BLOCK:
            records.append(_record(overlap))
            findings.append(_overlap_finding("OVERLAP", overlap))
            continue
        ours, theirs = (
            apply_differences(base, known[pack].changes) for pack in (overlap.first, overlap.second)
        )
        tree, conflicting = merge(base, ours, theirs)
        twins = () if conflicting else sorted(new_collisions(base, tree))
        records.append(_record(overlap, resolved="" if conflicting or twins else "three-way merge"))
        if conflicting:
            findings.append(_conflict_finding(overlap, conflicting))
        elif twins:
            told = bool(_twins(overlap.path, overlap.other_path))
            met = overlap if told else Overlap(overlap.first, overlap.second, *twins[0])
            findings.append(_overlap_finding("OVERLAP", met))
    return records, findings


def _unite(
    base: Tree,
    known: Mapping[str, Candidate],
    order: tuple[str, ...],
    contested: frozenset[str],
    policy: OverlapPolicy,
    merge: Merge,
) -> tuple[Tree | None, list[Finding]]:
    tree = base
    for pack in order:
        candidate = known[pack]
        if pack not in contested:
            tree = apply_differences(tree, candidate.changes)
            continue
        needs = all_needs({name: one.depends_on for name, one in known.items()})[pack]
        below = merge_candidates(base, (known[need] for need in needs), policy, merge)
        if below.tree is None:
            return None, list(below.findings)
        tree, conflicting = merge(
            below.tree, tree, apply_differences(below.tree, candidate.changes)
        )
        if conflicting:
            facts: Facts = {"case": "before", "paths": tuple(map(display, conflicting))}
            return None, [Finding("MERGE_CONFLICT", facts, pack=pack)]
    return tree, []


def _record(overlap: Overlap, hidden: bool = False, resolved: str = "") -> OverlapRecord:
    return OverlapRecord(
        first=overlap.first,
        second=overlap.second,
        path=display(overlap.path),
        other_path=display(overlap.other_path),
        hidden=hidden,
        resolved=resolved,
    )


def _overlap_finding(kind: str, overlap: Overlap) -> Finding:
    paths = tuple(dict.fromkeys((overlap.path, overlap.other_path)))
    twins = _twins(overlap.path, overlap.other_path)
    case = "names" if twins else "path" if len(paths) == 1 else "paths"
    facts: Facts = {
        "case": case,
        "packs": (overlap.first, overlap.second),
        "paths": tuple(map(display, paths)),
        "names": tuple(map(display, twins)),
    }
    return Finding(kind, facts, pack=overlap.second)


def _twins(path: str, other: str) -> tuple[str, ...]:
    """Return the first pair of folders or paths that fold alike but are spelled differently; () if
    none.
    """
    names, others = path.split("/"), other.split("/")
    for depth, (one, two) in enumerate(zip(names, others, strict=False), 1):
        if one != two:
            both = ("/".join(names[:depth]), "/".join(others[:depth]))
            return both if fold(one) == fold(two) else ()
    return ()


def _collision_finding(
    known: Mapping[str, Candidate], order: Iterable[str], path: str, other: str
) -> Finding:
    """Return the finding about two names of the merged tree that fold alike and that no overlap
    reported.
    """
    places = (f"{path}/", f"{other}/")
    changes = {pack: known[pack].changes for pack in order}
    packs = [
        pack
        for pack in changes
        if any(
            change.after is not None and f"{change.path}/".startswith(places)
            for change in changes[pack]
        )
    ]
    facts: Facts = {
        "case": "merged",
        "packs": tuple(packs),
        "names": (display(path), display(other)),
    }
    return Finding("OVERLAP", facts, pack=packs[-1] if packs else "")


def _conflict_finding(overlap: Overlap, paths: tuple[str, ...]) -> Finding:
    facts: Facts = {
        "case": "pair",
        "packs": (overlap.first, overlap.second),
        "paths": tuple(map(display, paths)),
    }
    return Finding("MERGE_CONFLICT", facts, pack=overlap.second)
