"""Run acceptance once more over another tree, to ask what it says there."""

from __future__ import annotations

from dataclasses import replace

from factory.judge.seen_tests import with_counting
from factory.model.judged import OutcomeName
from factory.model.pack import Artifacts, Command
from factory.model.tree import Tree
from factory.plan.plan import PlannedPack
from factory.run import attempt
from factory.run.attempt import Machine, OnRan, Ran


def run_again(
    machine: Machine,
    planned: PlannedPack,
    tree: Tree,
    view: str,
    commands: tuple[Command, ...],
    on_ran: OnRan,
    *,
    counting: bool = False,
) -> tuple[Ran, ...]:
    """Run acceptance commands over `tree`, a part of what the pack sees, under labels that begin
    with `view`. `counting`: runners are asked to name the tests that ran.
    """
    machine.objects.write_tree(tree)
    named = tuple(replace(each, label=f"{view}.{each.label}") for each in commands)
    pack = replace(planned.pack, acceptance=named, artifacts=Artifacts())
    environment = with_counting(planned.environment) if counting else planned.environment
    again = replace(planned, pack=pack, environment=environment)
    budget = attempt.Budget(machine.clock, planned.limits)
    ran, _ = attempt.accept(machine, again, planned.shared, tree, budget, on_ran)
    return ran


def outcome_of(ran: Ran) -> OutcomeName:
    """Return the word for how a command ended: ok, broken, or ran-no-test."""
    if ran.logged.record.rc == 0:
        return "ok"
    nothing = any(finding.id == "CHECK_RAN_NO_TEST" for finding in ran.findings)
    return "ran-no-test" if nothing else "broken"
