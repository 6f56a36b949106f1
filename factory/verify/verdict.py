"""Evaluate the status that observations yield: the table as data, by code of this checker's own.

A test compares the table with the one that decides runs. A missing observation counts as refused.
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
    ("all-passed", "PASS"),
)
EXIT_CODES = {"PASS": 0, "BLOCKED": 2, "FAIL": 1}
GOOD_OUTCOMES = frozenset({"ok", "as-accepted"})


def status_of_pack(
    required: Iterable[str], checks: Iterable[CheckRow], findings: Iterable[FindingRow]
) -> str:
    """Return the status that a pack's evidence yields."""
    wanted, ran = tuple(required), tuple(checks)
    seen = {*of_findings(findings), "all-passed"}
    labels = [check.label for check in ran]
    if any(labels.count(label) != 1 for label in wanted):
        seen.add("check-missing")
    if any(check.rc for check in ran):
        seen.add("check-not-zero")
    if not wanted:
        seen.add("nothing-to-accept-by")
    return _first(seen)


def of_findings(findings: Iterable[FindingRow]) -> set[str]:
    """Return the observations that findings alone yield."""
    errors = {row.id for row in findings if weight_of(row.id) == "error"}
    return {*(["crashed"] if "CRASH" in errors else []), *(["finding"] if errors else [])}


def status_of(seen: Iterable[str]) -> str:
    """Return the status that observations yield, by their names."""
    return _first({*seen, "all-passed"})


def weight_of(finding: str) -> str:
    """Return the catalogue's severity of an id; an unknown one counts as an error."""
    known = CATALOGUE.get(finding)
    return known.severity.value if known is not None else "error"


def strongest(statuses: Iterable[str]) -> str:
    """Return FAIL over BLOCKED over PASS; BLOCKED if there is none."""
    seen = set(statuses)
    return next((status for status in ("FAIL", "BLOCKED", "PASS") if status in seen), "BLOCKED")


def _first(seen: set[str]) -> str:
    return next(status for row, status in ROWS if row in seen)
