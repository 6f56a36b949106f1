"""`doctor`: one row for each thing looked at, then what blocks or warns."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from factory.commands import errands
from factory.commands.options import Parser, here
from factory.model.verdict import Status
from factory.report.answer import CommandResult, finding_lines
from factory.run.doctor import Mark, lacking, ladder
from factory.sandbox.properties import Enforcement

HELP = {
    "doctor": """\
usage: factory doctor [--backends]

Examine this host: git, Python, doit, the sandbox and how each of its properties was proved by
trying, free disk, locks held, worktrees left behind, your configuration. Ends with 0 where packs
can run, else 2. Works outside a repository too.

options
  --backends            measure also what each other way of confining packs would give here
""",
}


def define(command: str, parser: Parser) -> None:
    """Whether to measure every backend."""
    del command
    parser.add_argument("--backends", action="store_true")


def run(command: str, given: Namespace) -> CommandResult:
    """Examine the host."""
    del command
    checkup = errands.check_up(here())
    width = max(len(row.topic) for row in checkup.rows)
    mark = max(len(each.value) for each in Mark)
    lines = [f"{row.mark.value:<{mark}}  {row.topic:<{width}}  {row.text}" for row in checkup.rows]
    lines += [*(("",) if checkup.findings else ()), *finding_lines(checkup.findings)]
    good = (
        "this host can enforce what is required"
        if checkup.status is Status.PASS
        else "packs cannot run here"
    )
    details: dict[str, Any] = {
        "rows": [
            {"topic": row.topic, "state": row.mark.value, "text": row.text} for row in checkup.rows
        ]
    }
    if given.backends:
        measured = errands.backends_here()
        lines += _ladder(measured)
        details["backends"] = [
            {
                "backend": name,
                "properties": {
                    p.property.value: {"given": p.given, "how": p.how} for p in enforcement.proofs
                },
                "escaped": list(enforcement.escaped),
                "facts": dict(enforcement.facts),
            }
            for name, enforcement in measured
        ]
    return CommandResult(
        checkup.status,
        (*lines, f"{checkup.status.value}  {good}"),
        checkup.findings,
        details=details,
    )


def _ladder(measured: tuple[tuple[str, Enforcement], ...]) -> list[str]:
    rows = ladder(measured)
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    table = [
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return ["", *table, "", *lacking(measured), ""]
