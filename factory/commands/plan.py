"""Answer `plan`: the frozen plan in canonical order, with action keys, and which packs would
run.
"""

from __future__ import annotations

import tempfile
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path

from factory.commands.options import Parser, add_refs, flags_of, here
from factory.engine import wiring
from factory.engine.why import Explainer, NextStep, Why
from factory.judge.status_eval import of_findings
from factory.model.evidence import PlanDocument, PlannedPackRecord
from factory.model.wording import counted
from factory.report.answer import CommandResult, finding_lines

HELP = {
    "plan": """\
usage: factory plan [OPTION…]

Show what would run, in canonical order, with the action key of each pack and why it would run.
Runs nothing. Ends with 2 where the contract of a pack is not valid.

options
  --base-ref REF        the commit that packs start from
  --policy-ref REF      the commit whose configuration and keys are in force: a full name of a ref
""",
}


def define(command: str, parser: Parser) -> None:
    """Add the base."""
    del command
    add_refs(parser)


def run(command: str, given: Namespace) -> CommandResult:
    """Return the plan. Raise Refusal."""
    del command
    run = wiring.pipeline(here(), flags_of(given)).run
    explainer = Explainer(run.site, run.catalogue, run.planner, run.cards)
    frozen = run.plan
    plan = frozen.document
    by_id = run.catalogue.by_id()
    whys = {planned.pack: explainer.why(by_id[planned.pack]) for planned in plan.packs}
    findings = run.catalogue.all_findings()
    waiting = {
        entry.id: found
        for entry in by_id.values()
        if entry.usable and (found := run.planner.why_unplannable(entry.id))
    }
    lines = (
        *_lines(plan, whys, frozen.digest),
        *(f"  -  {pack}  not planned yet: {one.message}" for pack, (one, *_) in waiting.items()),
        *(("",) if findings else ()),
        *finding_lines(findings),
    )
    rows = [_row(planned, whys[planned.pack]) for planned in plan.packs]
    head = plan.model_dump(mode="json", exclude={"packs", "schema_version"})
    return CommandResult(
        of_findings(findings),
        lines,
        findings,
        details={"plan": {**head, "digest": frozen.digest, "packs": rows}},
    )


def dry_run(command: str, flags: Mapping[str, str], packs: tuple[str, ...]) -> CommandResult:
    """Return what `command` would run and why. Write nothing below the repository. Raise Refusal,
    UsageError.
    """
    with tempfile.TemporaryDirectory(prefix="factory-dry-run-") as scratch:
        run = wiring.pipeline(here(), flags, only=packs, scratch=Path(scratch)).run
        explainer = Explainer(run.site, run.catalogue, run.planner, run.cards)
        entries = tuple(run.catalogue.by_id().values())
        whys = {entry.id: explainer.why(entry) for entry in entries}
        base = f"{run.site.repository.commit[:12]} ({run.site.config.base_ref})"
    again = [why for why in whys.values() if why.runs_again]
    broken = [why.pack for why in whys.values() if why.state is NextStep.BROKEN]
    findings = run.catalogue.all_findings()
    width = max((len(pack) for pack in whys), default=0)
    lines = [f"dry run of {command}: {counted(len(again), 'pack')} would run, on {base}"]
    lines += [f"  {why.pack:<{width}}  {_would(why)}" for why in whys.values()]
    lines += _after(command, len(again), broken)
    lines += [*(("",) if findings else ()), *finding_lines(findings), "", "Nothing was run."]
    rows = [{"pack": why.pack, "runs": why.runs_again, "why": why.words} for why in whys.values()]
    return CommandResult(
        of_findings(findings), tuple(lines), findings, details={"dry_run": {"packs": rows}}
    )


def _would(why: Why) -> str:
    if why.state is NextStep.UP_TO_DATE:
        return "would not run: nothing changed"
    if why.state is NextStep.BROKEN:
        return f"cannot run: {why.words}"
    return f"would run: {why.words}{f' ({why.below})' if why.below else ''}"


def _after(command: str, again: int, broken: list[str]) -> list[str]:
    """Return what would follow on the packs."""
    if command == "launch":
        return []
    if broken:
        return ["  nothing would be merged: " + ", ".join(broken) + " cannot run"]
    if again:
        return ["  then their bundles would be checked, and merged with the others"]
    return ["  what was merged last would stay, where it is of these packs"]


def _row(planned: PlannedPackRecord, why: Why) -> dict[str, object]:
    return {**planned.model_dump(mode="json"), "runs": why.runs_again, "why": why.words}


def _lines(plan: PlanDocument, whys: dict[str, Why], digest: str) -> list[str]:
    committed = "" if plan.packs_committed else " · task packs differ from it"
    base = f"{plan.base_commit[:12]} ({plan.base_ref}){committed}"
    policy = f" · policy of {plan.policy.commit[:12]}" if plan.policy.commit else ""
    lines = [f"plan {digest[:12]} · {counted(len(plan.packs), 'pack')} on {base}{policy}"]
    width = max((len(planned.pack) for planned in plan.packs), default=0)
    for number, planned in enumerate(plan.packs, 1):
        why = whys[planned.pack]
        what = "up to date" if why.state is NextStep.UP_TO_DATE else f"would run: {why.words}"
        after = f"  after {', '.join(planned.depends_on)}" if planned.depends_on else ""
        lines.append(
            f"{number:>3}  {planned.pack:<{width}}  {planned.action_key[:12]}  {what}{after}"
        )
    return lines
