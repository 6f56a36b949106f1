"""Run acceptance again over the merged tree: in a fresh sandbox, unless it would see what it
already ran on.

A check that fails is repeated, asked on the base, and then asked on this pack with each
other pack alone, within a stated budget of extra runs, to name the pair that breaks.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import partial

from factory.bundle.make import LoggedCommand
from factory.git.narrowing import apply_differences, between, view_with
from factory.judge.judge import judge_inputs
from factory.judge.old_judge import permits_of
from factory.judge.recheck_outcome import Outcome, classify, judge_recheck
from factory.model.egress_record import ConnectionRecord
from factory.model.event import Entry
from factory.model.events import RecheckFinished, RecheckJudged
from factory.model.evidence import RecheckRecord, StatusDocument
from factory.model.evidence_text import sha256
from factory.model.finding import Finding
from factory.model.judged import MergedJudgeRecord, OutcomeName
from factory.model.layout import IN_RAW
from factory.model.pack import Command
from factory.model.tree import Difference, Tree
from factory.plan.plan import Plan, PlannedPack
from factory.run import attempt
from factory.run.attempt import Machine, Ran, reused_event
from factory.run.egress import Traffic
from factory.run.old_judge import ask_old_judge, judge_files
from factory.run.paid import MadeCheck
from factory.run.running_again import outcome_of


@dataclass(frozen=True, slots=True)
class Rechecked:
    """Describe all outcomes, the findings over them, the commands that asked the judge, and the
    logs of what ran again.

    `raw` are the files that a run keeps besides, by path below its `raw/`; `events` have neither
    run nor parent yet. `error` is what ended it early; all else is what there was up to then.
    `checks` are to be remembered; `foreign` are keys of remembered ones that this user did not
    seal.
    """

    records: tuple[RecheckRecord, ...]
    judge_runs: tuple[MergedJudgeRecord, ...]
    findings: tuple[Finding, ...]
    logs: tuple[tuple[str, LoggedCommand], ...]
    raw: Mapping[str, bytes]
    events: tuple[Entry, ...]
    error: Exception | None = None
    checks: tuple[MadeCheck, ...] = ()
    foreign: frozenset[str] = frozenset()


class Recheck:
    """Check one merged tree again."""

    def __init__(
        self,
        machine: Machine,
        plan: Plan,
        merged: Tree,
        changes: Mapping[str, tuple[Difference, ...]],
        accepted: Mapping[str, StatusDocument],
        together: Callable[[Collection[str]], Tree | None],
        *,
        connections: Mapping[str, tuple[ConnectionRecord, ...]],
    ) -> None:
        """Take the plan and the merged tree. `together` merges some of the packs alone, None where
        that cannot be done; `connections` are those of the run so far.
        """
        self._paid = machine.paid.apart() if machine.paid is not None else None
        self._machine = replace(machine, paid=self._paid)
        self._plan = plan
        self._merged = merged
        self._changes = changes
        self._accepted = accepted
        self._together = together
        self._budget = plan.document.recheck_budget
        self._traffic = {
            pack: Traffic(machine.redactor, plan.planned(pack).pack, connections.get(pack))
            for pack in changes
        }
        self._logs: list[tuple[str, LoggedCommand]] = []
        self._events: list[Entry] = []
        self._raw: dict[str, bytes] = {}
        self._findings: list[Finding] = []
        self._judge_runs: list[MergedJudgeRecord] = []

    def run(self) -> Rechecked:
        """Re-check every pack, in id order."""
        records: list[RecheckRecord] = []
        findings: list[Finding] = []
        met: Exception | None = None
        try:
            self._run(records, findings)
        except Exception as error:  # noqa: BLE001  what ran keeps its evidence; raised later
            met = error
        for traffic in self._traffic.values():
            self._raw |= traffic.raw()
        return Rechecked(
            *(tuple(records), tuple(self._judge_runs), tuple(findings), tuple(self._logs)),
            *(self._raw, tuple(self._events), met),
            tuple(self._paid.made) if self._paid is not None else (),
            frozenset(self._paid.foreign) if self._paid is not None else frozenset(),
        )

    def _run(self, records: list[RecheckRecord], findings: list[Finding]) -> None:
        for pack in sorted(self._changes):
            planned = self._plan.planned(pack)
            others = (c for name in self._changes if name != pack for c in self._changes[name])
            findings += judge_inputs(planned.rules, others)
            for command, record in self._pack(planned):
                records.append(record)
                above = any(
                    pack in self._plan.planned(culprit).needs for culprit in record.culprits
                )
                findings += judge_recheck(record, command, above)
            findings += self._findings
            self._findings = []

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
            self._record(record, one)
        if all(record.outcome == "ok" for _, record in judged):
            words = self._old_judge(planned, view, ran)
            judged = [
                (command, record.model_copy(update={"old_judge": words[command.label]}))
                for command, record in judged
            ]
        return judged

    def _old_judge(
        self, planned: PlannedPack, view: Tree, ran: tuple[Ran, ...]
    ) -> dict[str, OutcomeName]:
        """Ask the judge as it was in the pack's base, with the permissions of all packs; return the
        word for each check.
        """
        objects = self._machine.objects
        base = objects.tree_of(self._accepted[planned.pack.id].base_tree)
        locks = (self._plan.planned(name).lock.judge for name in sorted(self._changes))
        permits = permits_of(locks, planned.judge.may_change)
        judge_set = planned.rules.judge.compiled
        files = judge_files(objects, judge_set, permits, between(base, view))
        on_ran = partial(self._judge_ran, planned.pack.id)
        asked = ask_old_judge(
            *(self._machine, planned, (base, view), files, ran, permits, on_ran), tree="merged"
        )
        self._findings += asked.findings
        return {
            command.label: outcome_of(asked.old[command.label])
            if command.label in asked.old
            else "not-asked"
            for command in planned.pack.acceptance
        }

    def _record(self, record: RecheckRecord, ran: Ran) -> None:
        if ran.reused:
            self._reused(record.pack, ran)
        event = RecheckFinished(
            pack=record.pack,
            label=record.label,
            outcome=record.outcome,
            log=sha256(ran.logged.log),
            duration_ms=ran.duration_ms,
            rc=record.rc,
        )
        self._events.append(event.entry(ts_utc=self._machine.clock.utc()))

    def _judge(self, planned: PlannedPack, command: Command, one: Ran, view: Tree) -> RecheckRecord:
        name = planned.pack.id
        rc = one.logged.record.rc
        if rc == 0:
            return _record(name, command, "ok", 0)
        again = self._one(planned, command, view)
        start = self._plan.overlay_folder(self._plan.base, name)
        base = self._one(planned, command, view_with(start, planned.shows, ()))
        nothing = any(finding.id == "CHECK_RAN_NO_TEST" for finding in one.findings)
        outcome = classify(_signature(one), _signature(again), _signature(base), nothing)
        culprits = self._culprits(planned, command) if outcome in ("broken", "pre-existing") else ()
        if culprits:
            outcome = "broken"
        return replace_culprits(_record(name, command, outcome, rc), culprits)

    def _culprits(self, planned: PlannedPack, command: Command) -> tuple[str, ...]:
        """Return the first other pack, in id order, together with which alone the check fails;
        empty where none is found.
        """
        mine = {planned.pack.id, *planned.needs}
        for other in sorted(self._changes.keys() - mine):
            among = frozenset({*mine, other, *self._plan.planned(other).needs})
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
            for name in (*self._plan.planned(pack).needs, pack):
                if name not in done:
                    done.append(name)
        return done

    def _view(self, planned: PlannedPack, tree: Tree, among: Collection[str]) -> Tree:
        """Return what the pack would see of `tree`, in which the packs `among` are merged.

        A folder that differs from the commit is laid under the changes as it is in the work tree.
        """
        own = self._changes[planned.pack.id]
        whole = tree
        if self._plan.overlay_folder(self._plan.base, planned.pack.id) is not self._plan.base:
            below = planned.pack.folder + "/"
            order = (name for name in self._order() if name in among)
            inside = tuple(
                c for name in order for c in self._changes[name] if c.path.startswith(below)
            )
            whole = apply_differences(self._plan.overlay_folder(tree, planned.pack.id), inside)
        view = view_with(whole, planned.shows, (change.path for change in own))
        self._machine.objects.write_tree(view)
        return view

    def _accept(self, planned: PlannedPack, view: Tree) -> tuple[Ran, ...]:
        budget = attempt.Budget(self._machine.clock, planned.limits)
        on_ran = partial(self._ran, planned.pack.id)
        ran, _ = attempt.accept(self._machine, planned, planned.shared, view, budget, on_ran)
        return ran

    def _ran(self, pack: str, ran: Ran) -> None:
        """Take what a command did over the network; its outcome is recorded once it is judged."""
        for event in self._traffic[pack].add("recheck", 0, ran.connections):
            self._events.append(replace(event, ts_utc=ran.ended_at))
        if ran.defect is not None:
            self._raw[ran.defect.name] = ran.defect.traceback

    def _judge_ran(self, pack: str, ran: Ran) -> None:
        """Take a command that asked the judge: its record, its log and its event."""
        self._ran(pack, ran)
        record = ran.logged.record
        self._logs.append((pack, ran.logged))
        self._raw[IN_RAW.pack(pack).merged(record.label)] = ran.raw
        self._judge_runs.append(
            MergedJudgeRecord(pack=pack, label=record.label, rc=record.rc, ended=record.ended)
        )
        if ran.reused:
            self._reused(pack, ran)
        event = RecheckJudged(
            pack=pack,
            label=record.label,
            ended=record.ended,
            log=sha256(ran.logged.log),
            duration_ms=ran.duration_ms,
            rc=record.rc,
        )
        self._events.append(event.entry(ts_utc=ran.ended_at))

    def _reused(self, pack: str, ran: Ran) -> None:
        self._events.append(replace(reused_event(pack, 0, ran), ts_utc=self._machine.clock.utc()))

    def _one(self, planned: PlannedPack, command: Command, view: Tree) -> Ran:
        """Run one command again, after those that come before it: a check may build on what an
        earlier one left.
        """
        self._machine.objects.write_tree(view)
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
    """Return the same record, naming who broke it."""
    return record.model_copy(update={"culprits": culprits})
