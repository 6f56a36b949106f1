"""Answer `review`: the objective checks of a whole repository. Advisory reports; strict blocks
on every error.
"""

from __future__ import annotations

import os
from argparse import Namespace
from pathlib import Path

from factory.commands.options import Parser, here, new_file
from factory.engine import wiring
from factory.evidence.review import review
from factory.evidence.review_rules import Mode
from factory.files.fs_guard import write_atomic
from factory.model.evidence_text import finding_of, format_document
from factory.model.index import ReviewReport
from factory.model.verdict import Status
from factory.model.wording import counted
from factory.report.answer import CommandResult, finding_lines

HELP = {
    "review": """\
usage: factory review [--mode MODE] [--report-path FILE] [OPTION…]

Check the whole repository: contracts, pack files, docs, schemas, workflows, the state folder, the
ledger, the files of every run, the evidence index. Nothing is run and nothing is changed; twice
makes the same report. advisory ends with 0 whatever is found, strict with 2 on any error; both
end with 1 where the review itself fails.

  factory review
  factory review --mode strict --report-path review.json

options
  --mode MODE           advisory (without it) or strict
  --report-path FILE    write the report (schema review_report, version 1) to FILE
""",
}


def define(command: str, parser: Parser) -> None:
    """Add how findings weigh, and where the report goes."""
    del command
    parser.add_argument(
        "--mode", choices=[mode.value for mode in Mode], default=Mode.ADVISORY.value, metavar="MODE"
    )
    parser.add_argument("--report-path", type=new_file, metavar="FILE")


def run(command: str, given: Namespace) -> CommandResult:
    """Make every check. Raise Refusal."""
    del command
    start = here()
    site = wiring.site(start, {})
    _, config_findings = wiring.load_config(site.repository.root, {})
    made = review(site, Mode(given.mode), config_findings)
    if given.report_path is not None:
        write_atomic(Path(os.path.realpath(given.report_path)), format_document(made))
    findings = tuple(finding_of(record) for check in made.checks for record in check.findings)
    return CommandResult(
        Status(made.status),
        _lines(made),
        findings,
        details={"review": made.model_dump(mode="json")},
    )


def _lines(made: ReviewReport) -> tuple[str, ...]:
    lines: list[str] = []
    for check in made.checks:
        outcome = (
            "-"
            if check.outcome == "not-applicable"
            else "ok"
            if check.outcome == "ok"
            else str(len(check.findings))
        )
        lines.append(f"{outcome:>4}  {check.id:<24}  {check.title}")
        lines += finding_lines(map(finding_of, check.findings), "        ")
    count = f"{counted(made.errors, 'error')}, {counted(made.warnings, 'warning')}"
    return (*lines, f"{made.status}  {count} ({made.mode})")
