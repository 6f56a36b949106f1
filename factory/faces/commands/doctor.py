"""`doctor`: one row for each thing looked at, then what blocks or warns."""

from __future__ import annotations

from argparse import Namespace

from factory import errands
from factory.faces.answer import Answer, finding_lines
from factory.faces.options import Parser, here
from factory.model.verdict import Status
from factory.phases.doctor import Mark

HELP = {
    "doctor": """\
usage: factory doctor

Examine this host: git, Python, doit, the sandbox and how each of its properties was proved by
trying, free disk, locks held, worktrees left behind, your configuration. Ends with 0 where packs
can run, else 2. Works outside a repository too.

options
""",
}


def define(command: str, parser: Parser) -> None:
    """Nothing to choose."""
    del command, parser


def run(command: str, given: Namespace) -> Answer:
    """Examine the host."""
    del command, given
    checkup = errands.check_up(here())
    width = max(len(row.topic) for row in checkup.rows)
    mark = max(len(each.value) for each in Mark)
    lines = [f"{row.mark.value:<{mark}}  {row.topic:<{width}}  {row.text}" for row in checkup.rows]
    lines += [*(("",) if checkup.findings else ()), *finding_lines(checkup.findings)]
    good = "this host can enforce what is required" if checkup.status is Status.PASS else "packs cannot run here"
    details = {"rows": [{"topic": row.topic, "state": row.mark.value, "text": row.text} for row in checkup.rows]}
    return Answer(checkup.status, (*lines, f"{checkup.status.value}  {good}"), checkup.findings, details=details)
