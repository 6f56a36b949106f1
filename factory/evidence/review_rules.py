"""Define the objective checks of a review, and what their outcomes mean together. Pure.

Ids are stable: one never changes its meaning and is never reused. Advisory mode reports and does
not block; strict mode blocks on every error. What was not judged is reported as such, never as
good. Does not know how a check is made.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from factory.judge.status_eval import of_findings
from factory.model.evidence_text import finding_record
from factory.model.finding import Finding
from factory.model.findings.entry import Severity
from factory.model.index import ReviewCheck, ReviewReport
from factory.model.verdict import Status


class Mode(enum.Enum):
    """Choose whether an error blocks."""

    ADVISORY = "advisory"
    STRICT = "strict"


CHECKS: Mapping[str, str] = MappingProxyType(
    {
        "RV-CONTRACTS": "configuration and every task pack satisfy their schemas and rules",
        "RV-PACK-FILES": "every task pack has its five files",
        "RV-DOCS": "every file under docs.required exists, or its pack may write it",
        "RV-SCHEMAS": "the schemas are those of the models",
        "RV-WORKFLOW-PINS": "every action of a workflow is named by a full digest",
        "RV-WORKFLOW-PERMISSIONS": (
            "every workflow states its permissions, and none for all jobs beyond reading"
        ),
        "RV-STATE-IGNORED": "Git ignores the state folder",
        "RV-LEDGER": "the ledger's chain is intact, and replay agrees with the run folders",
        "RV-RUNS": "the files of every finished run are those of its manifest",
        "RV-INDEX": "the evidence index is what the runs on disk yield",
    }
)


@dataclass(frozen=True, slots=True)
class CheckResult:
    """Contain one check's outcome: how many things it looked at (0: there was nothing), and its
    findings.
    """

    id: str
    count: int
    findings: tuple[Finding, ...] = ()


def report(mode: Mode, commit: str, judged: Iterable[CheckResult]) -> ReviewReport:
    """Return the report over all checks, in the order of `CHECKS`.

    Raise ValueError where one is missing or unknown.
    """
    found = {one.id: one for one in judged}
    if found.keys() != CHECKS.keys():
        raise ValueError(f"expected each check of the review once, found {sorted(found)}")
    checks = tuple(_record(found[name]) for name in CHECKS)
    findings = [finding for one in found.values() for finding in one.findings]
    return ReviewReport(
        mode=mode.value,
        status=_status(mode, findings).value,
        commit=commit,
        checks=checks,
        errors=sum(finding.severity is Severity.ERROR for finding in findings),
        warnings=sum(finding.severity is Severity.WARNING for finding in findings),
    )


def _record(one: CheckResult) -> ReviewCheck:
    found = tuple(finding_record(finding) for finding in sorted(set(one.findings), key=_order))
    return ReviewCheck(
        id=one.id,
        title=CHECKS[one.id],
        outcome="findings" if found else "ok" if one.count else "not-applicable",
        judged=one.count,
        findings=found,
    )


def _order(finding: Finding) -> tuple[str, int, int, str, str, str]:
    place = finding.location
    where = (place.file, place.line, place.column) if place is not None else ("", 0, 0)
    return (*where, finding.id, finding.message, finding.pack)


def _status(mode: Mode, findings: Iterable[Finding]) -> Status:
    status = of_findings(findings)
    return Status.PASS if mode is Mode.ADVISORY and status is Status.BLOCKED else status
