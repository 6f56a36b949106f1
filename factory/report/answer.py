"""Render the result of a command: as lines for a person, or as one JSON document for a program.

Rule: both say the same; text that a pack could have written is made inert here. The document is
ASCII, so that no terminal's encoding can damage it. Does not know any command.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from factory.model.finding import Finding, last_line_of
from factory.model.findings.entry import Fact
from factory.model.verdict import Status
from factory.report.terminal import Shown, sanitize

SCHEMA_VERSION = 2

_OWN_KEYS = ("schema_version", "command", "status", "exit_code", "run_id", "findings")


@dataclass(frozen=True, slots=True)
class CommandResult:
    """Describe the end of a command: `lines` for people, `details` as more keys of the JSON
    document. `verbatim`: the lines are of a file, and are not wrapped.
    """

    status: Status
    lines: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    run_id: str = ""
    details: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    verbatim: bool = False


def document_of(command: str, answer: CommandResult, exit_code: int) -> str:
    """Return the JSON document of an answer, without a line feed at its end.

    Raise ValueError if `details` has a key that every document has, such as `status`.
    """
    taken = [name for name in answer.details if name in _OWN_KEYS]
    if taken:
        raise ValueError(f"{command} gives {taken[0]!r} twice")
    own = {
        "schema_version": SCHEMA_VERSION,
        "command": command,
        "status": answer.status.value,
        "exit_code": exit_code,
        "run_id": answer.run_id,
        "findings": [finding_row(finding) for finding in answer.findings],
    }
    return json.dumps({**own, **answer.details}, indent=2, sort_keys=True)


def finding_row(finding: Finding) -> dict[str, Any]:
    """Return a finding as the document's mapping; the keys are those of evidence."""
    place = finding.location
    return {
        "id": finding.id,
        "severity": finding.severity.value,
        "message": finding.message,
        "hint": finding.hint,
        "facts": {name: _plain(fact) for name, fact in finding.facts.items()},
        "file": place.file if place else "",
        "line": place.line if place else 0,
        "column": place.column if place else 0,
        "pack": finding.pack,
    }


def _plain(fact: Fact) -> str | int | list[str]:
    return list(fact) if isinstance(fact, tuple) else fact


def finding_lines(
    findings: Iterable[Finding], indent: str = "", owned: bool = True
) -> tuple[Shown, ...]:
    """Return the lines of findings for a terminal: id and sentence, then place, what a log ends
    with, and hint. Without `owned` their pack is not named, as where a heading names it.
    """
    lines: list[str] = []
    for finding in findings:
        lines.append(f"{indent}{finding.id}  {finding.attributed if owned else finding.message}")
        if finding.location is not None:
            lines.append(f"{indent}    {finding.location}")
        last = last_line_of(finding.facts)
        if last:
            lines.append(f"{indent}      {last}")
        if finding.hint:
            lines.append(f"{indent}    {finding.hint}")
    return tuple(map(sanitize, lines))
