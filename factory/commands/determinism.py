"""Answer `determinism`: run a pack twice in two environments, and show the first byte that
differs.
"""

from __future__ import annotations

import sys
from argparse import Namespace

from factory.commands.options import Parser, here
from factory.engine import determinism
from factory.engine.determinism import Again
from factory.model.finding import Finding
from factory.model.layout import shown
from factory.model.verdict import Status
from factory.model.wording import counted
from factory.report.answer import CommandResult
from factory.report.terminal import sanitize, write_lines

HELP = {
    "determinism": (
        """\
usage: factory determinism PACK [OPTION…]

Run a task pack, and what it depends on, twice: in two scratch copies at other paths, with another
umask, time zone, language, home, number of workers and environment, and, where the kernel allows,
on another file system, with another host name, uptime and number of processors. Compare the two
bundles byte for byte and name the first divergence. The repository's own bundles stay as they are.

What was shown is kept with the action key: from then on a run that contains this very bundle of
this very action calls the pack reproducible. Ends with 0 identical, 2 not.

  factory determinism TASK-0101

options
"""
    ),
}


def define(command: str, parser: Parser) -> None:
    """Add the pack."""
    del command
    parser.add_argument("pack", metavar="PACK")


def run(command: str, given: Namespace) -> CommandResult:
    """Run it twice and compare. Raise Refusal, UsageError."""
    del command
    stream = sys.stderr if given.json else sys.stdout

    def print_line(line: str) -> None:
        write_lines(stream, (sanitize(line),))

    rows = determinism.run_twice(here(), given.pack, print_line)
    findings = tuple(_finding(row) for row in rows if row.divergence is not None)
    status = Status.BLOCKED if findings else Status.PASS
    return CommandResult(
        status, tuple(_lines(rows)), findings, details={"packs": [_row(row) for row in rows]}
    )


def _finding(row: Again) -> Finding:
    return Finding("NOT_DETERMINISTIC", {"found": row.record.first}, pack=row.pack)


def _lines(rows: tuple[Again, ...]) -> list[str]:
    last = rows[-1]
    lines = [
        f"varied     {', '.join(last.record.varied)}",
        f"the same   {', '.join(last.record.constant)}",
    ]
    for row in rows:
        if row.divergence is None:
            what = (
                f"{counted(row.files, 'file')}, {row.bytes} bytes, manifest"
                f" {row.record.manifest[:12]}"
            )
            lines.append(f"identical  {row.pack} ({row.status}): {what}")
        else:
            lines += [f"different  {row.pack} ({row.status}): {row.record.first}"]
            lines += [f"           {line}" for line in row.divergence.diff]
    word = (
        "BLOCKED  not deterministic"
        if last.divergence is not None
        else "PASS  deterministic, as far as varied"
    )
    return [*lines, f"{word}, kept in {shown(last.path)}"]


def _row(row: Again) -> dict[str, object]:
    diff = list(row.divergence.diff) if row.divergence is not None else []
    kept = shown(row.path)
    return {
        **row.record.model_dump(mode="json"),
        "status": row.status,
        "diff": diff,
        "record": kept,
    }
