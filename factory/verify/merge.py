"""Make the merged result again: from the base and the bundles' changes, by entry, in one order.

A bundle's change was derived before; here only trees are edited. If packs overlap and the
configuration has them merged, Git merges the lines of what several changed, which needs the
repository.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from factory.verify import paths
from factory.verify.bundle import Bundle, carried_trees, tree_links
from factory.verify.bundle_documents import load
from factory.verify.change import DerivedChange, check_change
from factory.verify.documents import FilesChanged, Merge, RunStatus
from factory.verify.doit_table import tables_touched
from factory.verify.folder import EvidenceFolder
from factory.verify.manifests import FileDigests
from factory.verify.names import in_cell, inert, spell
from factory.verify.objects import (
    Carried,
    Commit,
    ObjectError,
    commit_payload,
    object_id,
    read_bundle,
    unreached,
)
from factory.verify.overlaps import (
    Pair,
    all_needs,
    grown_alike,
    in_order,
    overlapping,
    selection_problem,
)
from factory.verify.repository import RepositoryObjects
from factory.verify.results import Results
from factory.verify.status import check_findings
from factory.verify.three_way import merged
from factory.verify.trees import Clash, Path, TreeEntry, Trees, Unknown, joined

_RESULT = (paths.FILES_CHANGED, paths.PATCH, paths.OBJECTS)


class NotAtHand(LookupError):
    """Report that something a check needs is not available: one clause."""


class MergeCheck:
    """Check one run's integration."""

    def __init__(
        self,
        results: Results,
        run: EvidenceFolder,
        seen: FileDigests,
        bundles: Mapping[str, Bundle],
        repository: RepositoryObjects | None,
        known: Mapping[str, bytes] = MappingProxyType({}),
    ) -> None:
        """Take what there is to check; `known` are trees by id that others than the result have."""
        self.results = results
        self.run = run
        self.seen = seen
        self.bundles = bundles
        self.part = dict(bundles)
        self.repository = repository
        self.needs = all_needs({pack: bundle.needs for pack, bundle in bundles.items()})
        self.met = self._met()
        self.trees: Trees | None = None
        self.known = known

    def _met(self) -> dict[Pair, set[tuple[str, str]]]:
        """Return where the packs that are merged meet."""
        return overlapping(
            {pack: bundle.change.after for pack, bundle in self.part.items()},
            self.needs,
            {
                path
                for bundle in self.part.values()
                for path, entry in bundle.change.before.items()
                if entry is not None
            },
        )

    def check(self, status: RunStatus) -> Merge | None:
        """Compare MERGE.json and the other files of the result with base and bundles."""
        merge = load(self.results, self.run, paths.MERGE, Merge)
        if merge is None:
            return None
        self.part = {pack: self.bundles[pack] for pack in merge.order if pack in self.bundles}
        if self.part.keys() != {line.pack for line in status.packs}:
            self._left_out(status)
            self.met = self._met()
        merged = merge.order if merge.merged_tree else ()
        self.differs(paths.MERGE, "integrated in STATUS.json", merged, status.integrated)
        for what, expected, found in (
            ("the base commit", status.base_commit, merge.base_commit),
            ("the base tree", status.base_tree, merge.base_tree),
            ("the merged tree of STATUS.json", status.merged_tree, merge.merged_tree),
            ("the overlaps of STATUS.json", status.overlaps, merge.overlaps),
            ("the order", in_order({pack: self.needs[pack] for pack in self.part}), merge.order),
            (
                "its bundles",
                self._manifests(merge.order),
                [(r.path, r.sha256, r.bytes) for r in merge.bundles],
            ),
        ):
            self.differs(paths.MERGE, what, expected, found)
        check_findings(self.results, paths.MERGE, merge.findings)
        self._overlaps(merge)
        self._plan(merge)
        if merge.merged_tree:
            self._checked_result(merge, status.status == "PASS")
        else:
            self._no_result()
        return merge

    def _left_out(self, status: RunStatus) -> None:
        """Check that a pack is merged only with those that it needs, and as a PASS; and that one is
        left out only with a reason: its verdict, an error of its own, or a need that is left out.
        """
        lines = {line.pack: line for line in status.packs}
        for pack in self.part:
            lacking = ", ".join(sorted(self.needs[pack] - self.part.keys()))
            self.differs(paths.MERGE, f"what {pack} needs and is not merged", "", lacking)
            line = lines.get(pack)
            found = line.status if line is not None else "no pack of STATUS.json"
            self.differs(paths.MERGE, f"the verdict of {pack}, which is merged", "PASS", found)
        wrong = {row.pack for row in status.findings if row.severity == "error"}
        for pack, line in lines.items():
            if pack in self.part or line.status != "PASS" or pack in wrong:
                continue
            if self.needs.get(pack, frozenset()) <= self.part.keys():
                what = f"why {pack}, a PASS, is not merged"
                self.differs(paths.MERGE, what, "a reason", "none")

    def differs(self, file: str, what: str, expected: object, found: object) -> bool:
        return self.results.differs("VERIFY_MERGE", file, what, expected, found)

    def _manifests(self, order: Iterable[str]) -> list[tuple[str, str, int]]:
        names = [f"{pack}/{paths.BUNDLE_MANIFEST}" for pack in order]
        return [(name, self.seen(name), self.run.sizes.get(name, -1)) for name in names]

    def _overlaps(self, merge: Merge) -> None:
        """Check that every overlap is named and every named one is real.

        Unresolved overlaps must prevent a merge.
        """
        file = paths.MERGE
        named = {(row.first, row.second): row for row in merge.overlaps}
        self.differs(file, "its overlapping pairs", sorted(self.met), sorted(named))
        for pair, row in named.items():
            touched = {(spell(one), spell(two)) for one, two in self.met.get(pair, set())}
            if touched and (row.path, row.other_path) not in touched:
                self.differs(
                    file,
                    f"where {row.first} and {row.second} meet",
                    min(touched),
                    (row.path, row.other_path),
                )
        open_ = sorted(pair for pair, row in named.items() if not row.resolved)
        problem = selection_problem(self.part, open_, self.needs, merge.largest_set, merge.exact)
        if problem:
            self.results.wrong(
                "VERIFY_MERGE",
                file,
                f"largest_set: {problem}, found {', '.join(merge.largest_set)}",
            )
        self.differs(file, "smallest_conflict", open_[0] if open_ else (), merge.smallest_conflict)
        blocked = any(row.severity == "error" for row in merge.findings)
        self.differs(
            file,
            "whether overlaps are open without a finding",
            False,
            bool(open_) and not blocked,
        )
        self.differs(file, "whether something was merged", not blocked, bool(merge.merged_tree))

    def _plan(self, merge: Merge) -> None:
        rows = [
            "# Merge plan",
            "",
            f"Base commit `{merge.base_commit}`, tree `{merge.base_tree}`.",
            "",
            "Order:",
            "",
        ]
        rows += [f"{number}. {pack}" for number, pack in enumerate(merge.order, 1)]
        result = f"tree `{merge.merged_tree}`" if merge.merged_tree else "nothing was merged"
        rows += ["", f"Result: {result}."]
        if merge.overlaps:
            rows += ["", "| pack | pack | path | settled by |", "|---|---|---|---|"]
            rows += [
                f"| {o.first} | {o.second} | {in_cell(o.path)} | {o.resolved or '—'} |"
                for o in merge.overlaps
            ]
            label = "" if merge.exact else " (greedy)"
            rows += [
                "",
                f"Largest set that integrates{label}: {', '.join(merge.largest_set) or 'none'}.",
            ]
            rows += [f"Smallest set that does not: {', '.join(merge.smallest_conflict) or 'none'}."]
        if self.run.read(paths.MERGE_PLAN) != ("\n".join(rows) + "\n").encode("utf-8"):
            self.results.wrong(
                "VERIFY_MERGE",
                paths.MERGE_PLAN,
                "expected what MERGE.json yields, found another text",
            )

    def unmerged(self, status: RunStatus) -> None:
        """Check a run without an answer of the integrator: its plan must say so, and no result may
        exist.
        """
        head = (
            "# Merge plan",
            "",
            f"Base commit `{status.base_commit}`, tree `{status.base_tree}`.",
            "",
        )
        left = [
            f"- {inert(line.pack)} is {line.status}."
            for line in status.packs
            if line.status != "PASS"
        ]
        none = (
            "No pack prevents a merge: integration was not requested, or returned no valid result."
        )
        rows = (*head, "Result: nothing was merged.", "", *(left or [none]))
        if self.run.read(paths.MERGE_PLAN) != ("\n".join(rows) + "\n").encode("utf-8"):
            what = (
                "expected that nothing was merged, and which packs did not PASS; found another text"
                " or none"
            )
            self.results.wrong("VERIFY_MERGE", paths.MERGE_PLAN, what)
        self._no_result()

    def _no_result(self) -> None:
        for name in _RESULT:
            if self.run.read(f"{paths.Z}/{name}") is not None:
                what = "expected no result where nothing was merged, found it"
                self.results.wrong("VERIFY_EXTRA", f"{paths.Z}/{name}", what)

    def _checked_result(self, merge: Merge, passed: bool) -> None:
        file = f"{paths.Z}/{paths.OBJECTS}"
        try:
            self._result(merge, passed)
        except Unknown as unknown:
            self.results.wrong(
                "VERIFY_OBJECTS", file, f"expected the tree {unknown}, found that it is missing"
            )
        except (Clash, ObjectError) as error:
            self.results.wrong("VERIFY_OBJECTS", file, spell(str(error)))

    def _result(self, merge: Merge, passed: bool) -> None:
        """Check paths.Z's own record of the change, then make the tree again."""
        changed = load(self.results, self.run, f"{paths.Z}/{paths.FILES_CHANGED}", FilesChanged)
        patch = self.run.read(f"{paths.Z}/{paths.PATCH}")
        if patch is None:
            self.results.wrong(
                "VERIFY_MISSING", f"{paths.Z}/{paths.PATCH}", "expected this file, found none"
            )
        carried = read_bundle(self.run.read(f"{paths.Z}/{paths.OBJECTS}") or b"")
        self._tip(merge, carried)
        if changed is None or patch is None:
            return
        trees = (merge.base_tree, merge.merged_tree)
        if self.differs(
            f"{paths.Z}/{paths.FILES_CHANGED}",
            "its trees",
            trees,
            (changed.base_tree, changed.result_tree),
        ):
            return
        verified = self._change(carried, changed, patch)
        if verified is not None and self.trees is not None:
            due = self.trees.unshared(merge.merged_tree, merge.base_tree)
            for oid in sorted(due - carried.objects.keys()):
                file = f"{paths.Z}/{paths.OBJECTS}"
                self.results.wrong(
                    "VERIFY_OBJECTS", file, f"expected the object {oid}, found that it is missing"
                )
            for twin in grown_alike(self.trees, merge.merged_tree, merge.base_tree):
                message = (
                    f"expected names of one spelling, found {spell(joined(twin))} and one that"
                    " folds alike"
                )
                self.results.wrong("VERIFY_MERGE", paths.MERGE, message)
            self._again(merge)
        for path, clause in tables_touched(verified) if verified is not None and passed else ():
            self.results.wrong(
                "VERIFY_MERGE",
                f"{paths.Z}/{paths.FILES_CHANGED}",
                f"{path}: {clause}, in a run that says PASS",
            )

    def _tip(self, merge: Merge, carried: Carried) -> None:
        """Make the result's commit again; report objects that it does not lead to."""
        file = f"{paths.Z}/{paths.OBJECTS}"
        self.differs(file, "its base commit", merge.base_commit, carried.prerequisite)
        self.differs(file, "its ref", "refs/codex/result", carried.ref)
        rows = "".join(f"- {pack} ({self._key(pack)[:16]})\n" for pack in merge.order)
        message = (
            f"Integrate {len(merge.order)} task"
            f" pack{'' if len(merge.order) == 1 else 's'}\n\n{rows}"
        )
        payload = commit_payload(Commit(merge.merged_tree, (merge.base_commit,), message))
        due = object_id("commit", payload, carried.hash_name)
        if self.differs(file, "its tip", due, carried.tip):
            return
        for oid in unreached(carried, {due: (merge.merged_tree,), **tree_links(carried)}):
            self.results.wrong(
                "VERIFY_OBJECTS", file, f"expected only what its tip leads to, found {oid} too"
            )

    def _key(self, pack: str) -> str:
        bundle = self.bundles.get(pack)
        return bundle.status.action_key if bundle is not None else ""

    def _change(
        self, carried: Carried, changed: FilesChanged, patch: bytes
    ) -> DerivedChange | None:
        blobs = {oid: payload for oid, (kind, payload) in carried.objects.items() if kind == "blob"}
        repository = self.repository
        if repository is not None:
            for row in changed.files:
                blob = repository.blob(row.oid_after) if row.kind == "mode" else None
                blobs |= {row.oid_after: blob} if blob is not None else {}
        fetch = repository.tree if repository is not None else lambda _: None
        payloads = {**self.known, **carried_trees(carried)}
        self.trees = Trees(carried.hash_name, payloads, fetch)
        return check_change(self.results, f"{paths.Z}/", "", self.trees, blobs, changed, patch)

    def _again(self, merge: Merge) -> None:
        """Make the merged tree again from the base."""
        try:
            found = self.united(merge.base_tree, merge.order)
        except NotAtHand as reason:
            self.results.gap("merged tree", str(reason))
        except Unknown as unknown:
            self.results.gap("merged tree", f"the base's tree {unknown} is not at hand")
        except (Clash, ObjectError) as error:
            self.results.wrong(
                "VERIFY_MERGE",
                paths.MERGE,
                f"base and bundles do not unite: {spell(str(error))}",
            )
        else:
            if not self.differs(
                paths.MERGE, "the tree of base and bundles", found, merge.merged_tree
            ):
                self.results.fact("merged tree", f"{found[:7]} re-made from base and bundles")

    def united(self, base: str, order: Iterable[str]) -> str:
        """Return the tree of the base with the changes of packs.

        Raise NotAtHand, Unknown, Clash, ObjectError.
        """
        trees = self.trees
        if trees is None:
            raise NotAtHand("the trees of the result are not at hand")
        packs = tuple(order)
        asked = set(packs)
        contested = {pack for pair in self.met if asked.issuperset(pair) for pack in pair}
        here = base
        waiting: dict[Path, TreeEntry | None] = {}
        for pack in packs:
            bundle = self.bundles.get(pack)
            if bundle is None:
                raise NotAtHand(f"the bundle of {pack} was not re-derived")
            if pack not in contested:
                waiting |= bundle.change.after
                continue
            here, waiting = trees.edited(here, waiting), {}
            here = self._three_way(base, here, bundle)
        return trees.edited(here, waiting)

    def _three_way(self, base: str, here: str, bundle: Bundle) -> str:
        trees, repository = self.trees, self.repository
        if trees is None or repository is None:
            raise NotAtHand("packs were merged three ways, and the repository is not at hand")
        order = in_order({need: self.needs[need] for need in self.needs[bundle.pack]})
        below = self.united(base, order)
        theirs = trees.edited(below, bundle.change.after)
        contents: dict[str, bytes] = {}
        for other in self.bundles.values():
            contents |= other.change.contents
        try:
            return merged(trees, below, here, theirs, repository, contents)
        except Clash as clash:
            raise Clash(f"{bundle.pack} does not merge cleanly: {clash}") from clash


def pairs_of(merge: Merge | None) -> tuple[Pair, ...]:
    """Return pairs whose overlap is unresolved."""
    return (
        tuple((row.first, row.second) for row in merge.overlaps if not row.resolved)
        if merge is not None
        else ()
    )
