"""Answer `why`: what changed for a pack, and which findings keep it from a PASS."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import asdict

from factory.commands.options import Parser, add_refs, flags_of, here
from factory.contract.check import choose
from factory.engine import wiring
from factory.engine.why import Explainer, NextStep, Why
from factory.model.errors import UsageError
from factory.model.verdict import Status
from factory.report.answer import CommandResult, finding_lines, finding_row
from factory.report.terminal import sanitize
from factory.run.denied import Denials, read_denials

HELP = {
    "why": (
        """\
usage: factory why [PACK] [OPTION…]

Without a PACK, say in a line of each pack whether it would run again, and how it ended last.

Say why a pack would run again, part by part of its action key, and why its last verdict is what
it is, each finding with the smallest change of the contract that would allow it, or that none
can. PACK is an id or the name of a folder. Runs nothing; ends with 0 when it has an answer.

Or say what its last run tried and did not get, as far as the host saw it: each with the rule that
denied it and what would allow it.

  factory why
  factory why TASK-0101
  factory why TASK-0101 --denied

options
  --denied              what was tried and denied, instead
  --base-ref REF        the commit that packs start from
  --policy-ref REF      the commit whose configuration and keys are in force: a full name of a ref
"""
    ),
}

_WIDTH = 11


def define(command: str, parser: Parser) -> None:
    """Add the pack, and what to say of it."""
    del command
    parser.add_argument("pack", nargs="?", metavar="PACK")
    parser.add_argument("--denied", action="store_true")
    add_refs(parser)


def run(command: str, given: Namespace) -> CommandResult:
    """Return the answer for one pack, or for all. Raise Refusal, UsageError."""
    del command
    if given.denied and not given.pack:
        raise UsageError("expected a PACK with --denied", "as in: factory why TASK-0101 --denied")
    run = wiring.pipeline(here(), flags_of(given)).run
    if not given.pack:
        explainer = Explainer(run.site, run.catalogue, run.planner, run.cards)
        return _of_all([explainer.why(entry) for entry in run.catalogue.by_id().values()])
    entry = choose(run.catalogue, (given.pack,))[0]
    why = Explainer(run.site, run.catalogue, run.planner, run.cards).why(entry)
    if given.denied:
        read = read_denials(run.site, entry.pack, why.run_id) if entry.pack is not None else None
        return CommandResult(
            Status.PASS,
            tuple(_denied_lines(entry.id, read)),
            run_id=why.run_id,
            details=_denied_row(read),
        )
    details: dict[str, object] = {
        "pack": why.pack,
        "runs": why.runs_again,
        "why": why.words,
        "action_key": {"before": why.before, "now": why.after},
        "changes": [
            {"part": change.part, "what": change.what, "before": change.before, "now": change.after}
            for change in why.changes
        ],
        "same": list(why.same),
        "last_status": why.last.value if why.last is not None else "",
        "explained": [
            {**finding_row(finding), "remedy": finding.remedy} for finding in why.findings
        ],
    }
    return CommandResult(Status.PASS, tuple(_lines(why)), run_id=why.run_id, details=details)


def _of_all(whys: list[Why]) -> CommandResult:
    """Return a line of each pack, what blocks one below it."""
    lines = []
    for why in whys:
        ended = f"; last verdict {why.last.value}" if why.last is not None else ""
        lines.append(f"{_headline(why)}{ended}")
        lines += [f"    {finding.id}  {sanitize(finding.message)}" for finding in why.findings[:1]]
        if len(why.findings) > 1:
            lines.append(f"    and {len(why.findings) - 1} more; see: factory why {why.pack}")
    rows = [
        {
            "pack": why.pack,
            "runs": why.runs_again,
            "why": why.words,
            "last_status": why.last.value if why.last is not None else "",
            "findings": [finding.id for finding in why.findings],
        }
        for why in whys
    ]
    none = "there is no task pack yet; start with: factory init"
    return CommandResult(Status.PASS, tuple(lines or [none]), details={"packs": rows})


def _lines(why: Why) -> list[str]:
    lines = [_headline(why)]
    for change in why.changes:
        lines.append(
            f"  {change.part:<{_WIDTH}}{change.what}  {_short(change.before)} →"
            f" {_short(change.after)}"
        )
    if why.same and why.changes:
        lines.append(f"  {'same':<{_WIDTH}}{', '.join(why.same)}")
    if why.last is not None:
        lines += ["", f"last verdict {why.last.value}" + (f"  {why.run_id}" if why.run_id else "")]
    elif why.findings:
        lines.append("")
    for finding in why.findings:
        lines += (
            *finding_lines((finding,), "  ", owned=False),
            f"      {sanitize(finding.remedy)}",
        )
    return lines


def _denied_lines(pack: str, denials: Denials | None) -> list[str]:
    if denials is None:
        return [
            f"{pack}: nothing is known of what was denied; it never ran here, or the run is gone"
        ]
    lines: list[str] = []
    for each in denials.rows:
        often = "" if each.count == 1 else f", {each.count} times"
        during = f"  ({', '.join(each.during)}{often})" if each.during else ""
        lines.append(f"denied   {each.tried} {each.what}   {each.rule}{during}")
        lines.append(f"         {each.remedy}")
    if denials.more:
        lines.append(f"         and {denials.more} more, which are not listed one by one")
    if "network" not in denials.observed:
        lines.append("note: on this host it could not be seen what a pack tries to reach")
    return lines or [f"{pack}: nothing that the host could see was denied"]


def _denied_row(denials: Denials | None) -> dict[str, object]:
    rows = denials.rows if denials is not None else ()
    rows_shown = [{**asdict(each), "during": list(each.during)} for each in rows]
    observed = list(denials.observed) if denials is not None else []
    return {
        "denied": rows_shown,
        "observed": observed,
        "more": denials.more if denials is not None else 0,
    }


def _headline(why: Why) -> str:
    match why.state:
        case NextStep.BROKEN:
            return f"{why.pack} cannot run: {why.words}"
        case NextStep.NEVER_RAN:
            return f"{why.pack} would run: {why.words}; its action key is {_short(why.after)}"
        case NextStep.UNPREPARED:
            return f"{why.pack} would run: {why.words}"
        case NextStep.CHANGED:
            return (
                f"{why.pack} would run again: {why.words}, {_short(why.before)} →"
                f" {_short(why.after)}"
            )
        case NextStep.BELOW:
            return f"{why.pack} would run again: {why.below}, which it depends on, runs again"
        case NextStep.NO_BUNDLE | NextStep.NOT_PASS | NextStep.ALTERED:
            return f"{why.pack} would run again: {why.words}"
        case NextStep.UP_TO_DATE:
            return f"{why.pack} would not run: nothing changed since action key {_short(why.after)}"


def _short(value: str) -> str:
    if not value:
        return "nothing"
    return f"{value[:12]}…" if len(value) >= 40 and " " not in value else value
