"""The one decision: its table, its order, and that leaving something out never makes a PASS."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.judge.status_eval import TABLE, Check, combine, evaluate, of_findings
from factory.model.finding import Finding
from factory.model.findings.catalogue import CATALOGUE
from factory.model.verdict import Status

STRENGTH = (Status.PASS, Status.BLOCKED, Status.FAIL)
LABELS = st.sampled_from(["step-1", "tests-1", "check-1"])
CHECKS = st.lists(st.builds(Check, LABELS, st.sampled_from([0, 0, 0, 1, 137, None])), max_size=5)
FINDINGS = st.lists(st.sampled_from(sorted(CATALOGUE)).map(Finding), max_size=3)


@pytest.mark.parametrize(
    ("required", "checks", "findings", "expected"),
    [
        (["a"], [Check("a", 0)], [], Status.PASS),
        (["a"], [Check("a", 0)], ["REPO_DIRTY"], Status.PASS),
        (["a"], [Check("a", 1)], [], Status.BLOCKED),
        (["a"], [Check("a", None)], [], Status.BLOCKED),
        (["a"], [], [], Status.BLOCKED),
        ([], [], [], Status.BLOCKED),
        ([], [Check("a", 0)], [], Status.BLOCKED),
        (["a"], [Check("a", 0), Check("b", 1)], [], Status.BLOCKED),
        (["a"], [Check("a", 1), Check("a", 0)], [], Status.BLOCKED),
        (["a"], [Check("a", 0), Check("a", 0)], [], Status.BLOCKED),
        (["a"], [Check("a", 0)], ["SCOPE_DENIED"], Status.BLOCKED),
        (["a"], [Check("a", 0)], ["CRASH"], Status.FAIL),
        (["a"], [Check("a", 1)], ["CRASH", "SCOPE_DENIED"], Status.FAIL),
    ],
)
def test_the_table(
    required: list[str], checks: list[Check], findings: list[str], expected: Status
) -> None:
    assert evaluate(required, checks, [Finding(kind) for kind in findings]) is expected


def test_the_table_is_strongest_first() -> None:
    order = [STRENGTH.index(status) for _, status in TABLE]
    assert order == sorted(order, reverse=True)
    assert TABLE[-1] == ("all-passed", Status.PASS)


@given(st.lists(LABELS, max_size=3, unique=True), CHECKS, FINDINGS)
def test_a_pass_needs_every_record_and_nothing_against_it(
    required: list[str], checks: list[Check], findings: list[Finding]
) -> None:
    passed = evaluate(required, checks, findings) is Status.PASS
    due = bool(required) and all(
        [c.rc for c in checks if c.label == label].count(0) == 1 for label in required
    )
    held = all(check.rc in (0, None) for check in checks) and not any(
        finding.blocks for finding in findings
    )
    assert passed is (due and held)


@given(st.lists(LABELS, min_size=1, max_size=3, unique=True), CHECKS, FINDINGS, st.data())
def test_taking_a_record_of_a_required_check_away_never_makes_a_pass(
    required: list[str], checks: list[Check], findings: list[Finding], data: st.DataObject
) -> None:
    once = [
        c for c in checks if c.label in required and sum(o.label == c.label for o in checks) == 1
    ]
    for check in once:
        rest = [other for other in checks if other is not check]
        assert evaluate(required, rest, findings) is not Status.PASS
    more = data.draw(FINDINGS)
    before, after = (
        evaluate(required, checks, findings),
        evaluate(required, checks, [*findings, *more]),
    )
    assert STRENGTH.index(after) >= STRENGTH.index(before)


@given(st.lists(LABELS, max_size=3, unique=True), CHECKS, FINDINGS, st.randoms())
def test_order_decides_nothing(
    required: list[str], checks: list[Check], findings: list[Finding], random
) -> None:
    expected = evaluate(required, checks, findings)
    for some in (required, checks, findings):
        random.shuffle(some)
    assert evaluate(required, checks, findings) is expected


@given(st.lists(st.sampled_from(Status), max_size=6))
def test_the_strongest_of_many_decides_and_none_is_blocked(statuses: list[Status]) -> None:
    expected = max(statuses, key=STRENGTH.index) if statuses else Status.BLOCKED
    assert combine(statuses) is expected


def test_a_phase_is_judged_by_its_findings() -> None:
    assert of_findings(()) is Status.PASS
    assert of_findings((Finding("REPO_DIRTY"),)) is Status.PASS
    assert of_findings((Finding("OVERLAP"),)) is Status.BLOCKED
    assert of_findings((Finding("CRASH"),)) is Status.FAIL
