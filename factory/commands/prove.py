"""Show what a pack's change proves: what its checks say before it, under the old judge, and without
each hunk of it.
"""

from __future__ import annotations

from argparse import Namespace
from dataclasses import replace

from factory.commands.options import Parser, add_refs, flags_of
from factory.commands.shell import opened_apart
from factory.contract.check import choose
from factory.model.errors import Refusal
from factory.model.evidence import StatusDocument
from factory.model.evidence_text import finding_of
from factory.model.judged import JudgedRecord
from factory.model.pack import Requirement
from factory.model.verdict import Status
from factory.plan.plan import PlannedPack
from factory.report.answer import CommandResult, finding_lines
from factory.report.terminal import sanitize
from factory.run.attempt import machine_of
from factory.run.launch import launch
from factory.run.reading import stacked_base
from factory.run.shell import admit

HELP = {
    "prove": (
        """\
usage: factory prove PACK [OPTION…]

Run one pack and show what its change proves: what each check says on the base's code under the
result's judge (fixed: it failed before and passes now), what it says of the result under the judge
as it was, and with --hunks whether some check fails without each hunk. Nothing stays: no bundle,
no verdict, no change. Ends with 0 where the pack passes and a check shows a repair, else with 2.

  factory prove TASK-0101
  factory prove TASK-0101 --hunks

options
  --hunks               leave out one hunk after the other, too
  --base-ref REF        the commit that packs start from
  --policy-ref REF      the commit whose configuration and keys are in force: a full name of a ref
"""
    ),
}
_WIDTH = 14


def define(command: str, parser: Parser) -> None:
    """Add the pack, and if hunks are left out."""
    del command
    parser.add_argument("pack", metavar="PACK")
    parser.add_argument("--hunks", action="store_true")
    add_refs(parser)


def run(command: str, given: Namespace) -> CommandResult:
    """Run the pack apart and return what it shows. Raise Refusal, UsageError."""
    del command
    with opened_apart(flags_of(given), "prove") as (pipeline, _):
        site, planner = pipeline.site, pipeline.run.planner
        entry = choose(pipeline.run.catalogue, (given.pack,))[0]
        planned, _ = admit(site, planner, entry)
        plan = planner.freeze()
        base = stacked_base(site.store, site.objects, plan, planned)
        more: tuple[Requirement, ...] = ("fixed", "every-hunk") if given.hunks else ("fixed",)
        launched = launch(_requiring(planned, more), base, machine_of(site, pipeline.run.progress))
    if launched.status is None:
        raise Refusal(*launched.findings)
    return _answer(launched.status)


def _requiring(planned: PlannedPack, more: tuple[Requirement, ...]) -> PlannedPack:
    """Return the pack with more required of it; its change is the same."""
    judge = planned.lock.judge
    require = tuple(dict.fromkeys((*judge.require, *more)))
    judge = judge.model_copy(update={"require": require})
    return replace(planned, lock=planned.lock.model_copy(update={"judge": judge}))


def _answer(status: StatusDocument) -> CommandResult:
    findings = tuple(map(finding_of, status.findings))
    verdict = Status(status.status)
    lines = [f"{status.pack}  {verdict.value}", *_lines(status.judged)]
    lines += finding_lines(findings, "  ")
    details: dict[str, object] = {
        "pack": status.pack,
        "judged": status.judged.model_dump(mode="json"),
    }
    return CommandResult(verdict, tuple(lines), findings=findings, details=details)


def _lines(judged: JudgedRecord) -> list[str]:
    lines = [f"  {'check':<{_WIDTH}}{'before':<{_WIDTH}}under the old judge"]
    lines += [
        f"  {row.label:<{_WIDTH}}{row.before:<{_WIDTH}}{row.old_judge}" for row in judged.checks
    ]
    for row in judged.files:
        leave = "permitted" if row.permitted else "not permitted"
        lines.append(sanitize(f"  judge       {row.path}  {row.change}, {leave}"))
    for hunk in judged.hunks:
        needed = f"{hunk.failed} fails without it" if hunk.failed else "no check needs it"
        lines.append(sanitize(f"  hunk        {hunk.path}:{hunk.line}  {needed}"))
    return lines
