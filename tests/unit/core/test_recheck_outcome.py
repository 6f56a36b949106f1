"""What a check on the merged tree is called, and the sentence that follows."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.judge.recheck_outcome import Outcome, classify, judge_recheck
from factory.model.evidence import RecheckRecord
from factory.verify.documents import RecheckRow
from tests.pack_values import CHECK

LOG = "Its log: factory print-report --log T-1.tests-1"
ROOT = Path(__file__).resolve().parents[3]
SEEN = st.tuples(st.integers(0, 2), st.sampled_from(["one", "two"]))


@pytest.mark.parametrize(
    ("merged", "again", "base", "nothing", "expected"),
    [
        ((0, ""), None, None, False, "ok"),
        ((0, ""), None, (0, ""), False, "ok"),
        ((1, "x"), (0, ""), (1, "x"), False, "flaky"),
        ((1, "x"), (1, "x"), (1, "x"), False, "pre-existing"),
        ((1, "x"), (1, "x"), (1, "y"), False, "broken"),
        ((1, "x"), (1, "x"), (2, "x"), False, "broken"),
        ((1, "x"), (1, "x"), (0, ""), False, "broken"),
        ((1, "x"), None, None, False, "broken"),
        ((5, "x"), (5, "x"), (5, "x"), True, "ran-no-test"),
    ],
)
def test_the_table(merged, again, base, nothing: bool, expected: str) -> None:
    assert classify(merged, again, base, nothing) == expected


def test_every_outcome_has_a_way_to_it_and_is_the_same_word_everywhere() -> None:
    seen = ((0, "x"), (1, "x"), (1, "y"))
    ways = itertools.product(seen, (None, *seen), (None, *seen), (False, True))
    reached = {classify(*way) for way in ways}
    told = {*reached, "as-accepted"}
    table = (ROOT / "docs" / "adr" / "0008-recheck.md").read_text("utf-8")
    assert set(get_args(Outcome)) == told
    assert set(get_args(get_type_hints(RecheckRecord)["outcome"])) == told
    assert set(get_args(get_type_hints(RecheckRow)["outcome"])) == told
    assert {line.split("`")[1] for line in table.splitlines() if line.startswith("| `")} == reached


@given(SEEN, st.none() | SEEN, st.none() | SEEN, st.booleans())
def test_only_a_check_that_ended_with_0_is_well(merged, again, base, nothing: bool) -> None:
    well = classify(merged, again, base, nothing) == "ok"
    assert well is (merged[0] == 0)
    record = RecheckRecord(
        pack="T-1",
        label="tests-1",
        run="run",
        outcome=classify(merged, again, base, nothing),
        rc=merged[0],
    )
    assert any(finding.blocks for finding in judge_recheck(record, CHECK)) is not well


@pytest.mark.parametrize(
    ("outcome", "culprits", "kind", "message", "hint"),
    [
        (
            "broken",
            ("T-2",),
            "MERGE_BROKEN_TOGETHER",
            "of T-1 passes alone and fails on the merged tree together with T-2",
            "Declare depends_on: [T-2] in T-1 and adapt it, or change one of the two. " + LOG,
        ),
        (
            "broken",
            (),
            "MERGE_BROKEN",
            "passes alone and fails on the merged tree",
            "No pair within recheck_budget explains it; look at the merged tree, or raise the"
            " budget. " + LOG,
        ),
        (
            "pre-existing",
            (),
            "MERGE_PRE_EXISTING",
            "fails on the merged tree exactly as it does on the base",
            "Another pack undoes what it fixed.",
        ),
        (
            "flaky",
            (),
            "FLAKY",
            "failed and then passed on the merged tree; a retry proves nothing",
            "Make the check deterministic.",
        ),
        (
            "ran-no-test",
            (),
            "CHECK_RAN_NO_TEST",
            "ran no test on the merged tree",
            "Point it at tests that exist.",
        ),
    ],
)
def test_each_outcome_has_its_sentence(
    outcome: str, culprits: tuple[str, ...], kind: str, message: str, hint: str
) -> None:
    named: Any = outcome
    record = RecheckRecord(
        pack="T-1", label="tests-1", run="run", outcome=named, rc=1, culprits=culprits
    )
    (finding,) = judge_recheck(record, CHECK)
    assert (finding.id, finding.message, finding.hint) == (
        kind,
        f"tests-1 `run` {message}",
        hint,
    )
    assert str(finding.location) == "taskpacks/T-1-x/acceptance.yml:2"
    assert finding.pack == "T-1"


def test_a_culprit_that_builds_on_the_pack_cannot_be_depended_on() -> None:
    record = RecheckRecord(
        pack="T-1", label="tests-1", run="run", outcome="broken", rc=1, culprits=("T-2",)
    )
    (finding,) = judge_recheck(record, CHECK, above=True)
    assert finding.id == "MERGE_BROKEN_TOGETHER"
    assert (
        finding.hint == f"T-2 builds on T-1 and undoes what it checks; change one of the two. {LOG}"
    )


@pytest.mark.parametrize("outcome", ["ok", "as-accepted"])
def test_what_is_well_says_nothing(outcome: str) -> None:
    record = RecheckRecord(pack="T-1", label="tests-1", run="run", outcome=outcome, rc=0)  # type: ignore[arg-type]
    assert judge_recheck(record, CHECK) == ()
