"""Check paths.PLAN.json: the ledger must name it, and everything that was done must follow from it.

Each pack of the plan has the key of its action; each bundle is of the action, the scope and the
commands that were planned; the merge has the planned packs in the planned order on the planned
base. What the commands did is `bundle`'s, what the trees yield is `stack`'s and `merge`'s.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import suppress

from factory.verify import paths
from factory.verify.bundle import Bundle
from factory.verify.bundle_documents import load
from factory.verify.documents import GrantRow, Merge, Plan, PlannedPack, Policy, RunStatus
from factory.verify.event_forms import STARTED
from factory.verify.events import RunEvents
from factory.verify.folder import EvidenceFolder
from factory.verify.form import canonical, plain
from factory.verify.judged import JudgedPart, MergedJudge
from factory.verify.manifests import FileDigests
from factory.verify.merge import MergeCheck
from factory.verify.objects import ObjectError
from factory.verify.overlaps import all_needs, in_order
from factory.verify.results import Results
from factory.verify.stack import packs_tree
from factory.verify.trees import Clash, Trees, Unknown, parts

_HASH_NAMES = {40: "sha1", 64: "sha256"}


class PlanCheck:
    """Check one run against its plan."""

    def __init__(
        self, results: Results, run: EvidenceFolder, seen: FileDigests, status: RunStatus
    ) -> None:
        self.results = results
        self.run = run
        self.seen = seen
        self.status = status

    def check(
        self,
        bundles: Mapping[str, Bundle],
        merge: Merge | None,
        merging: MergeCheck,
        own: RunEvents,
        policy: Policy | None,
    ) -> None:
        """Check all of it. A run that could not be planned has no plan, no bundle and no merge."""
        named = [event.hashes.get("plan", "") for event in own.of(STARTED)]
        there = paths.PLAN in self.run.sizes
        if not there and not any(named):
            self.differs("packs that were run without a plan", "", ", ".join(sorted(bundles)))
            self.differs("whether something was merged without a plan", False, merge is not None)
            return
        plan = load(self.results, self.run, paths.PLAN, Plan)
        if plan is None:
            return
        self.seen(paths.PLAN)
        if paths.PLAN in self.results.spoilt:
            return
        before = len(self.results.findings)
        self._head(plan, policy)
        self._entries(plan, merging)
        self._order(plan)
        for planned in plan.packs:
            self._pack(plan, planned)
            self._started(planned, own)
            if planned.pack in bundles:
                self._bundle(planned, bundles[planned.pack], merging)
                JudgedPart(self.results, plan.judge, bundles[planned.pack]).check()
        MergedJudge(self.results, plan.judge, bundles, self.status).check()
        names = {planned.pack for planned in plan.packs}
        self.differs("bundles that were not planned", "", ", ".join(sorted(set(bundles) - names)))
        if merge is not None:
            whole = self.status.status == "PASS"
            names = {planned.pack for planned in plan.packs if whole or planned.pack in merge.order}
            order = tuple(planned.pack for planned in plan.packs if planned.pack in names)
            self.differs("what was merged, in order", order, merge.order)
        if len(self.results.findings) == before:
            count = len(plan.packs)
            self.results.fact(
                "plan", f"{count} pack{'' if count == 1 else 's'}, bundles and merge follow from it"
            )

    def differs(self, what: str, expected: object, found: object, pack: str = "") -> bool:
        return self.results.differs("VERIFY_PLAN", paths.PLAN, what, expected, found, pack)

    def _head(self, plan: Plan, policy: Policy | None) -> None:
        """Compare base and policy with the verdict and the attestations."""
        status = self.status
        for what, expected, found in (
            ("the base ref", status.base_ref, plan.base_ref),
            ("the base commit", status.base_commit, plan.base_commit),
            ("the base tree", status.base_tree, plan.base_tree),
            ("whether packs are committed", status.packs_committed, plan.packs_committed),
            ("the kind of its ids", _HASH_NAMES.get(len(plan.base_commit)), plan.hash_name),
        ):
            self.differs(what, expected, found)
        folders = {planned.folder.rpartition("/")[0] for planned in plan.packs}
        others = sorted(folders - {plan.packs_folder})
        self.differs("packs that are not in the packs folder", "", ", ".join(others))
        if policy is not None and paths.POLICY not in self.results.spoilt:
            self.differs("the digest of the policy", self.seen(paths.POLICY), plan.policy.sha256)
            self.differs("the policy", policy, plan.policy.rules)
        self.differs("the commit of the policy", plan.policy.commit, status.policy.commit)
        self._judge(plan)
        lines = {line.pack for line in status.packs}
        beyond = sorted({planned.pack for planned in plan.packs} - lines)
        self.differs("packs that the verdict does not name", "", ", ".join(beyond))

    def _judge(self, plan: Plan) -> None:
        """Compare the judge of every pack with the policy."""
        judge, rules = plan.judge, plan.policy.rules.judge
        self.differs("what the judge requires", rules.require, judge.require)
        self.differs("what of the judge may change", rules.may_change, judge.may_change)
        self.differs("what a pass after a failed attempt is", rules.retry, judge.retry)
        self.differs("whether contracts are pinned", rules.contracts, judge.contracts)
        beyond = sorted(set(rules.patterns) - set(judge.patterns))
        self.differs("patterns that are not of the judge", "", ", ".join(beyond))

    def _entries(self, plan: Plan, merging: MergeCheck) -> None:
        """Compare what the packs folder has with the base, as far as that is known: `base commit`
        is a gap where it is not.
        """
        trees = merging.trees
        if trees is None:
            return
        with suppress(Unknown, ObjectError):
            found = trees.at(self.status.base_tree, parts(plan.packs_folder))
            self.differs("the packs folder of the base", found, packs_tree(trees, plan))

    def _order(self, plan: Plan) -> None:
        """Check that each pack is there once, after all that it needs, and otherwise by id."""
        depends = {planned.pack: frozenset(planned.depends_on) for planned in plan.packs}
        needs = all_needs({name: tuple(sorted(needed)) for name, needed in depends.items()})
        names = tuple(planned.pack for planned in plan.packs)
        self.differs("its order", in_order(needs), names)
        keys = {planned.pack: planned.action_key for planned in plan.packs}
        for planned in plan.packs:
            due = in_order({need: needs.get(need, frozenset()) for need in needs[planned.pack]})
            self.differs("its needs", due, planned.needs, planned.pack)
            rows = tuple((need, keys.get(need, "")) for need in sorted(planned.needs))
            recorded = tuple((row.pack, row.key) for row in planned.action.depends_on)
            self.differs("the keys of what it needs", rows, recorded, planned.pack)

    def _pack(self, plan: Plan, planned: PlannedPack) -> None:
        """Check one pack in itself: key, action and scope are of the same pack and under one
        policy.
        """
        action, scope, rules = planned.action, planned.scope, plan.policy.rules
        key = _digest(action)
        for what, expected, found in (
            ("the key of its action", key, planned.action_key),
            ("the pack of its action", planned.pack, action.pack),
            ("the pack of its scope", planned.pack, scope.pack),
            ("the limits of its action", action.limits, scope.limits),
            ("the protected paths of its action", action.protected, scope.protected),
            ("the properties of its action", action.properties, scope.required_properties),
            ("the properties of the policy", rules.properties_required, action.properties),
            ("the judge of its action", (_digest(plan.judge), *scope.judge.patterns), action.judge),
            ("what its action requires", scope.judge.require, action.require),
        ):
            self.differs(what, expected, found, planned.pack)
        lacking = sorted(set(plan.judge.require) - set(scope.judge.require))
        self.differs("what policy requires of it", "", ", ".join(lacking), planned.pack)
        known = {(each.name, each.sha256) for each in plan.environments}
        unknown = sorted(name for name, sha in action.environments if (name, sha) not in known)
        self.differs("environments that are not planned", "", ", ".join(unknown), planned.pack)
        beyond = sorted(set(action.grants) - set(plan.policy.grants))
        self.differs("grants that are not planned", "", ", ".join(beyond), planned.pack)
        over = [
            f"{name} {value}"
            for name, value in plain(scope.limits).items()
            if value > max(getattr(rules.ceilings, name), _raised(rules, name, planned.pack))
        ]
        self.differs("limits over a ceiling, without a grant", "", ", ".join(over), planned.pack)

    def _started(self, planned: PlannedPack, own: RunEvents) -> None:
        for event in own.of("pack.started", planned.pack):
            found = event.hashes.get("action_key", "")
            self.differs("the action that was begun", planned.action_key, found, planned.pack)

    def _bundle(self, planned: PlannedPack, bundle: Bundle, merging: MergeCheck) -> None:
        """Compare a bundle with the pack that was planned."""
        pack = planned.pack
        commands = {row.label: (row.kind, row.name, row.run) for row in planned.commands}
        for what, expected, found in (
            (paths.ACTION, planned.action, bundle.action),
            (paths.SCOPE_LOCK, planned.scope, bundle.lock),
            ("the action key of STATUS.json", planned.action_key, bundle.status.action_key),
            ("the pack's folder", planned.folder, bundle.folder),
            ("the tree of the pack's folder", planned.folder_tree, bundle.tree.oid),
            ("its title", planned.title, bundle.contract.title),
        ):
            self.differs(what, expected, found, pack)
        due = tuple(commands)
        accepted = any(row.kind != "step" for row in planned.commands)
        self.differs("required commands", due if accepted else (), bundle.status.required, pack)
        ran = [
            row.label
            for row in bundle.status.checks
            if commands.get(row.label) != (row.kind, row.name, row.run)
        ]
        self.differs("commands that were not planned", "", ", ".join(ran), pack)
        fetch = merging.repository.tree if merging.repository is not None else lambda _: None
        trees = Trees(bundle.trees.hash_name, {**merging.known, **bundle.trees.payloads}, fetch)
        self._own_tree(planned, bundle, trees)

    def _own_tree(self, planned: PlannedPack, bundle: Bundle, trees: Trees) -> None:
        """Check the tree of the base with the pack's own folder in it."""
        pack = planned.pack
        try:
            own = trees.placed(self.status.base_tree, parts(planned.folder), bundle.tree)
        except Unknown as unknown:
            self.results.gap(f"the own tree of {pack}", f"the base's tree {unknown} is not at hand")
        except (Clash, ObjectError) as error:
            what = f"its own tree: expected base and folder, found {error}"
            self.results.wrong("VERIFY_PLAN", paths.PLAN, what, pack)
        else:
            self.differs("the own tree", own, planned.own_tree, pack)


def _digest(document: object) -> str:
    return hashlib.sha256(canonical(plain(document))).hexdigest()


def _raised(rules: Policy, name: str, pack: str) -> int:
    """Return the highest bound that a grant lets a pack have; 0 for none."""
    rows = (row.thing.partition("=") for row in rules.grants if _is_bound_of(row, pack))
    return max(
        (int(most) for limit, _, most in rows if limit == name and most.isdecimal()), default=0
    )


def _is_bound_of(row: GrantRow, pack: str) -> bool:
    return row.kind == "bound" and row.pack in ("", pack)
