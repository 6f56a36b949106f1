"""Answer `plan`: the frozen plan in canonical order, with action keys, and which packs would
run.
"""

from __future__ import annotations

from argparse import Namespace

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
    lines = (
        *_lines(plan, whys, frozen.digest),
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


def _row(planned: PlannedPackRecord, why: Why) -> dict[str, object]:
    return {**planned.model_dump(mode="json"), "runs": why.runs_again, "why": why.state.value}


def _lines(plan: PlanDocument, whys: dict[str, Why], digest: str) -> list[str]:
    committed = "" if plan.packs_committed else " · task packs differ from it"
    base = f"{plan.base_commit[:12]} ({plan.base_ref}){committed}"
    policy = f" · policy of {plan.policy.commit[:12]}" if plan.policy.commit else ""
    lines = [f"plan {digest[:12]} · {counted(len(plan.packs), 'pack')} on {base}{policy}"]
    width = max((len(planned.pack) for planned in plan.packs), default=0)
    for number, planned in enumerate(plan.packs, 1):
        why = whys[planned.pack]
        what = "up to date" if why.state is NextStep.UP_TO_DATE else f"would run: {why.state.value}"
        after = f"  after {', '.join(planned.depends_on)}" if planned.depends_on else ""
        lines.append(
            f"{number:>3}  {planned.pack:<{width}}  {planned.action_key[:12]}  {what}{after}"
        )
    return lines
