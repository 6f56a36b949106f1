"""Acceptance again, over the merged tree: in a fresh sandbox, unless it would see what it already
ran on.

A check that fails is repeated, asked on the base, and then asked on this pack with each
other pack alone, within a stated budget of extra runs, to name the pair that breaks.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

from factory.bundle.make import LoggedCommand
from factory.git.narrowing import apply_differences, view_with
from factory.model.evidence import RecheckRecord, StatusDocument
from factory.model.evidence_text import sha256
from factory.model.finding import Finding
from factory.model.pack import Command, TaskPack
from factory.model.tree import Difference, Tree
from factory.plan.action_key import bounded_limits
from factory.plan.planner import PlannedPack, Planner
from factory.plan.site import Session
from factory.run import attempt, egress
from factory.run.attempt import Ran
from factory.run.rechecking import Outcome, classify, judge_recheck


@dataclass(frozen=True, slots=True)
class Rechecked:
    """All outcomes, the findings over them, and the logs of what ran again."""

    records: tuple[RecheckRecord, ...]
    findings: tuple[Finding, ...]
    logs: tuple[tuple[str, LoggedCommand], ...]


class Recheck:
    """One re-check of one merged tree."""

    def __init__(
        self,
        session: Session,
        planner: Planner,
        merged: Tree,
        changes: Mapping[str, tuple[Difference, ...]],
        accepted: Mapping[str, StatusDocument],
        together: Callable[[Collection[str]], Tree | None],
        cause: str = "",
    ) -> None:
        """`together` merges some of the packs alone, None where that cannot be done; `cause` is the
        merge's event.
        """
        self._session = session
        self._planner = planner
        self._merged = merged
        self._changes = changes
        self._accepted = accepted
        self._together = together
        self._cause = cause
        self._budget = session.site.config.recheck_budget
        self._logs: list[tuple[str, LoggedCommand]] = []

    def run(self) -> Rechecked:
        """Re-check every pack, in id order."""
        records: list[RecheckRecord] = []
        findings: list[Finding] = []
        for pack in sorted(self._changes):
            planned = self._planner.planned(pack)
            for command, record in self._pack(planned):
                records.append(record)
                above = any(
                    pack in self._planner.planned(culprit).needs for culprit in record.culprits
                )
                findings += judge_recheck(record, command, above)
        return Rechecked(tuple(records), tuple(findings), tuple(self._logs))

    def _pack(self, planned: PlannedPack) -> list[tuple[Command, RecheckRecord]]:
        pack = planned.pack
        view = self._view(planned, self._merged, self._changes)
        if view.oid == self._accepted[pack.id].result_tree:
            return [
                (command, _record(pack.id, command, "as-accepted", 0))
                for command in pack.acceptance
            ]
        ran = self._accept(planned, view)
        self._logs += [(pack.id, one.logged) for one in ran]
        judged = [
            (command, self._judge(planned, command, one, view))
            for command, one in zip(pack.acceptance, ran, strict=True)
        ]
        for (_, record), one in zip(judged, ran, strict=True):
            self._tell(record, one)
        return judged

    def _tell(self, record: RecheckRecord, ran: Ran) -> None:
        self._session.record_soon(
            "recheck.finished",
            parent=self._cause,
            duration_ms=ran.duration_ms,
            rc=record.rc,
            hashes={"log": sha256(ran.logged.log)},
            details={"pack": record.pack, "label": record.label, "outcome": record.outcome},
        )

    def _judge(self, planned: PlannedPack, command: Command, one: Ran, view: Tree) -> RecheckRecord:
        name = planned.pack.id
        rc = one.logged.record.rc
        if rc == 0:
            return _record(name, command, "ok", 0)
        again = self._one(planned, command, view)
        start = self._planner.lay_over(self._planner.base, name)
        base = self._one(planned, command, view_with(start, planned.visible_patterns, ()))
        nothing = any(finding.id == "CHECK_RAN_NO_TEST" for finding in one.findings)
        outcome = classify(_signature(one), _signature(again), _signature(base), nothing)
        culprits = self._culprits(planned, command) if outcome in ("broken", "pre-existing") else ()
        if culprits:
            outcome = "broken"
        return replace_culprits(_record(name, command, outcome, rc), culprits)

    def _culprits(self, planned: PlannedPack, command: Command) -> tuple[str, ...]:
        """The first other pack, in id order, together with which alone the check fails; empty where
        none is found.
        """
        mine = {planned.pack.id, *planned.needs}
        for other in sorted(self._changes.keys() - mine):
            among = frozenset({*mine, other, *self._planner.planned(other).needs})
            tree = self._together(among)
            if tree is None:
                continue
            if self._budget <= 0:
                return ()
            self._budget -= 1
            ran = self._one(planned, command, self._view(planned, tree, among))
            if ran.logged.record.rc != 0:
                return (other,)
        return ()

    def _order(self) -> list[str]:
        done: list[str] = []
        for pack in sorted(self._changes):
            for name in (*self._planner.planned(pack).needs, pack):
                if name not in done:
                    done.append(name)
        return done

    def _view(self, planned: PlannedPack, tree: Tree, among: Collection[str]) -> Tree:
        """What the pack would see of `tree`, in which the packs `among` are merged.

        A folder that differs from the commit is laid under the changes as it is in the work tree.
        """
        own = self._changes[planned.pack.id]
        whole = tree
        if self._planner.lay_over(self._planner.base, planned.pack.id) is not self._planner.base:
            below = planned.pack.folder + "/"
            order = (name for name in self._order() if name in among)
            inside = tuple(
                c for name in order for c in self._changes[name] if c.path.startswith(below)
            )
            whole = apply_differences(self._planner.lay_over(tree, planned.pack.id), inside)
        view = view_with(whole, planned.visible_patterns, (change.path for change in own))
        self._session.site.objects.write_tree(view)
        return view

    def _accept(self, planned: PlannedPack, view: Tree) -> tuple[Ran, ...]:
        limits = bounded_limits(planned.pack.limits, self._session.site.config.ceilings)
        budget = attempt.Budget(self._session, limits)
        ran, _ = attempt.accept(
            self._session, planned, planned.shared, view, budget, self._recorder(planned.pack)
        )
        return ran

    def _recorder(self, pack: TaskPack) -> attempt.Heard:
        """Records what each command does over the network; what it came to is told once it is
        judged.
        """

        def heard(ran: Ran) -> None:
            egress.keep(self._session, pack, "recheck", 0, self._cause, ran.connections)

        return heard

    def _one(self, planned: PlannedPack, command: Command, view: Tree) -> Ran:
        """Run one command again, after those that come before it: a check may build on what an
        earlier one left.
        """
        self._session.site.objects.write_tree(view)
        upto = planned.pack.acceptance.index(command) + 1
        only = replace(
            planned, pack=replace(planned.pack, acceptance=planned.pack.acceptance[:upto])
        )
        return self._accept(only, view)[-1]


def _signature(ran: Ran) -> tuple[int, str]:
    return ran.logged.record.rc, sha256(ran.logged.log)


def _record(pack: str, command: Command, outcome: Outcome, rc: int) -> RecheckRecord:
    return RecheckRecord(pack=pack, label=command.label, run=command.run, outcome=outcome, rc=rc)


def replace_culprits(record: RecheckRecord, culprits: tuple[str, ...]) -> RecheckRecord:
    """The same record, naming who broke it."""
    return record.model_copy(update={"culprits": culprits})
