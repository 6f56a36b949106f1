"""Print findings as annotations of a GitHub job, on standard error and only inside such a job.

Does not know what was run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TextIO

from factory.model.inert import annotation
from factory.report.streams import write_commands

if TYPE_CHECKING:
    from factory.model.finding import Finding

MOST = 50  # GitHub shows at most 50 annotations of a job


def annotate(stream: TextIO, environ: Mapping[str, str], findings: Sequence[Finding]) -> None:
    """Print an annotation for each of at most MOST findings, errors first, if GITHUB_ACTIONS is
    "true".
    """
    if environ.get("GITHUB_ACTIONS") != "true" or not findings:
        return
    from factory.model.finding import (
        Location,
        last_line_of,
    )  # late: its catalogue costs a start without findings

    ordered = sorted(findings, key=lambda finding: not finding.blocks)
    commands = []
    for finding in ordered[:MOST]:
        place = finding.location or Location("")
        last = last_line_of(finding.facts)
        ends = f": {last}." if last else ""
        text = f"{finding.attributed}{ends} {finding.hint}".rstrip()
        commands.append(
            annotation(
                finding.severity.value, finding.id, text, place.file, place.line, place.column
            )
        )
    write_commands(stream, commands)
