"""Decide the status that a set of observations yields. Command line, doit and integrator call this.

The table below is data; `verify` re-evaluates it with code of its own. Policies are monotonic: a
missing observation counts as refused, never as passed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from factory.model.verdict import Status

if TYPE_CHECKING:
    from factory.model.finding import Finding

# Strongest first: the first row that applies decides.
TABLE: tuple[tuple[str, Status], ...] = (
    ("crashed", Status.FAIL),
    ("finding", Status.BLOCKED),
    ("check-not-zero", Status.BLOCKED),
    ("check-missing", Status.BLOCKED),
    ("nothing-to-accept-by", Status.BLOCKED),
    ("all-passed", Status.PASS),
)


@dataclass(frozen=True, slots=True)
class Check:
    """Describe one required check; `rc` None means that it has no record."""

    label: str
    rc: int | None


def evaluate(
    required: Iterable[str], checks: Iterable[Check], findings: Iterable[Finding]
) -> Status:
    """Return the status of a pack, by the table.

    `required` are labels of the checks that must have exactly one record, with rc 0.
    """
    return _first_row(_observations(tuple(required), tuple(checks), tuple(findings)))


def _observations(
    wanted: tuple[str, ...], checks: tuple[Check, ...], findings: tuple[Finding, ...]
) -> frozenset[str]:
    seen = {"all-passed"}
    if any(finding.id == "CRASH" for finding in findings):
        seen.add("crashed")
    if any(finding.blocks for finding in findings):
        seen.add("finding")
    recorded = Counter(check.label for check in checks if check.rc is not None)
    if any(recorded[label] != 1 for label in wanted):
        seen.add("check-missing")  # two records of one check count as none
    if any(check.rc not in (0, None) for check in checks):
        seen.add("check-not-zero")
    if not wanted:
        seen.add("nothing-to-accept-by")
    return frozenset(seen)


def _first_row(seen: frozenset[str]) -> Status:
    return next(status for observation, status in TABLE if observation in seen)


def of_findings(findings: Iterable[Finding]) -> Status:
    """Return the status of a phase that is judged by findings alone (preflight, validation)."""
    return evaluate(("phase",), (Check("phase", 0),), findings)


def combine(statuses: Iterable[Status]) -> Status:
    """Return the worst status: FAIL, then BLOCKED, then PASS; BLOCKED for none, since nothing was
    shown.
    """
    seen = frozenset(statuses)
    for status in (Status.FAIL, Status.BLOCKED, Status.PASS):
        if status in seen:
            return status
    return Status.BLOCKED
