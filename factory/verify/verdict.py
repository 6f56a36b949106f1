"""The status that observations yield: the table as data, evaluated by code of this checker's own.

A test holds the table to the one that runs are decided by. What is missing counts as refused.
"""

from __future__ import annotations

from collections.abc import Iterable

from factory.model.findings.catalogue import CATALOGUE
from factory.verify.documents import CheckRow, FindingRow

# Strongest first.
ROWS = (
    ("crashed", "FAIL"),
    ("finding", "BLOCKED"),
    ("check-not-zero", "BLOCKED"),
    ("check-missing", "BLOCKED"),
    ("nothing-to-accept-by", "BLOCKED"),
    ("all-held", "PASS"),
)
EXIT_CODES = {"PASS": 0, "BLOCKED": 2, "FAIL": 1}
GOOD_OUTCOMES = frozenset({"ok", "as-accepted"})


def status_of_pack(
    required: Iterable[str], checks: Iterable[CheckRow], findings: Iterable[FindingRow]
) -> str:
    """What a pack's evidence yields."""
    wanted, ran = tuple(required), tuple(checks)
    seen = {*of_findings(findings), "all-held"}
    labels = [check.label for check in ran]
    if any(labels.count(label) != 1 for label in wanted):
        seen.add("check-missing")
    if any(check.rc for check in ran):
        seen.add("check-not-zero")
    if not wanted:
        seen.add("nothing-to-accept-by")
    return _first(seen)


def of_findings(findings: Iterable[FindingRow]) -> set[str]:
    """What findings alone observe."""
    errors = {row.id for row in findings if weight_of(row.id) == "error"}
    return {*(["crashed"] if "CRASH" in errors else []), *(["finding"] if errors else [])}


def status_of(seen: Iterable[str]) -> str:
    """The status of observations by name."""
    return _first({*seen, "all-held"})


def weight_of(finding: str) -> str:
    """The catalogue's severity of an id; an unknown one weighs as an error."""
    known = CATALOGUE.get(finding)
    return known.severity.value if known is not None else "error"


def strongest(statuses: Iterable[str]) -> str:
    """FAIL over BLOCKED over PASS; nothing shown is BLOCKED."""
    seen = set(statuses)
    return next((status for status in ("FAIL", "BLOCKED", "PASS") if status in seen), "BLOCKED")


def _first(seen: set[str]) -> str:
    return next(status for row, status in ROWS if row in seen)
