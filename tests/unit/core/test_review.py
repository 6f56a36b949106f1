"""The review's report: every check once, in one order, and the verdict by mode."""

from __future__ import annotations

import pytest

from factory.evidence.review_rules import CHECKS, CheckResult, Mode, report
from factory.model.evidence_text import format_document, parse_document
from factory.model.finding import Finding, Location
from factory.model.index import ReviewReport

ERROR = Finding("DOCS_MISSING", {"path": "b"}, location=Location("b"))
OTHER = Finding("DOCS_MISSING", {"path": "a"}, location=Location("a"))
WARNING = Finding("RUN_GONE", {"run": "gone"})
CRASH = Finding("CRASH", {"case": "error", "found": "it broke", "advice": ""})


def judged(**found: tuple[Finding, ...]) -> list[CheckResult]:
    return [CheckResult(name, 1, found.get(name.replace("-", "_"), ())) for name in CHECKS]


@pytest.mark.parametrize(
    ("findings", "advisory", "strict"),
    [
        ((), "PASS", "PASS"),
        ((WARNING,), "PASS", "PASS"),
        ((ERROR, OTHER), "PASS", "BLOCKED"),
        ((CRASH,), "FAIL", "FAIL"),
    ],
)
def test_verdict_by_mode(findings: tuple[Finding, ...], advisory: str, strict: str) -> None:
    found = judged(RV_DOCS=findings)
    assert report(Mode.ADVISORY, "c", found).status == advisory
    assert report(Mode.STRICT, "c", found).status == strict


def test_order_is_that_of_the_checks_and_of_places() -> None:
    found = judged(RV_DOCS=(ERROR, OTHER, ERROR))
    made = report(Mode.STRICT, "c", reversed(found))
    assert [check.id for check in made.checks] == [*CHECKS]
    (docs,) = [check for check in made.checks if check.findings]
    assert [record.file for record in docs.findings] == ["a", "b"]
    assert made == report(Mode.STRICT, "c", found)
    assert parse_document(ReviewReport, format_document(made)) == made


def test_nothing_to_look_at_is_told_as_such() -> None:
    found = [CheckResult(name, 0) for name in CHECKS]
    assert {check.outcome for check in report(Mode.STRICT, "", found).checks} == {"not-applicable"}


def test_missing_check_is_no_report() -> None:
    with pytest.raises(ValueError, match="each check of the review once"):
        report(Mode.STRICT, "c", judged()[1:])
