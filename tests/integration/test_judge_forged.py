"""What a bundle says of its judge follows from its change, the plan and what ran: a forger who
recomputes all else is found.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from factory.model.evidence import RecheckRecord
from factory.strict.document import with_tuples
from tests.verify_kit import Memory, around, check, forged, load
from tests.world import World

pytestmark = pytest.mark.linux

BUNDLE = "TASK-0001/STATUS.json"
RUNS = "for file in tests/*.sh; do sh $file || exit 1; done"
STEP = "echo two > a.txt; rm tests/one.sh; echo true > tests/new.sh"


def made(root: Any, acceptance: str) -> Memory:
    world = World(root)
    world.write("a.txt", "one\n")
    world.write("tests/one.sh", "grep -q one a.txt\n")
    world.write("tests/two.sh", "true\n")
    task = f"scope: {{allowed_paths: [a.txt, tests/]}}\nsteps: [{json.dumps(STEP)}]\n"
    world.pack("TASK-0001-alpha", task, f"tests: [{json.dumps(RUNS)}]\n{acceptance}")
    world.commit()
    world.factory("oneshot")
    return load(world.state / "runs" / world.runs()[-1])


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory) -> Memory:
    """A run that is BLOCKED because its pack removed the test that its change breaks."""
    return made(tmp_path_factory.mktemp("judge") / "refused", "")


@pytest.fixture(scope="module")
def permitted(tmp_path_factory: pytest.TempPathFactory) -> Memory:
    """The same, where the contract lets it do that."""
    return made(tmp_path_factory.mktemp("judge") / "permitted", "may_change: [tests/one.sh]\n")


DOCTEST = 'def one():\n    """\n    >>> one()\n    1\n    """\n    return 1\n'


@pytest.fixture(scope="module")
def inline(tmp_path_factory: pytest.TempPathFactory) -> Memory:
    """A run whose pack changed a file with tests inside code."""
    world = World(tmp_path_factory.mktemp("judge") / "inline")
    world.write("src/m.py", DOCTEST)
    task = "scope: {allowed_paths: [src/]}\nsteps: ['echo \"# done\" >> src/m.py']\n"
    world.pack("TASK-0001-alpha", task, "checks: ['python -m doctest src/m.py']\n")
    world.commit()
    world.factory("oneshot")
    return load(world.state / "runs" / world.runs()[-1])


def changed(run: Memory, change: Callable[[Any], object]) -> dict[str, bytes]:
    value = json.loads(run.files[BUNDLE])
    change(value)
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False)
    return {BUNDLE: text.encode() + b"\n"}


def verified(run: Memory, changes: dict[str, bytes]) -> list[tuple[str, str]]:
    evidence, ledger = forged(run, changes)
    result = check(evidence, around(ledger, sizes={len(ledger.splitlines())}))
    return [(finding.id, finding.message) for finding in result.findings]


def passes(status: Any) -> None:
    status["status"] = "PASS"
    status["findings"] = [row for row in status["findings"] if row["id"] != "JUDGE_CHANGED"]
    status["attempts"][-1]["status"] = "PASS"


def says_that_it_may(status: Any) -> None:
    passes(status)
    for row in status["judged"]["files"]:
        row["permitted"] = True


def says_ok(status: Any) -> None:
    passes(status)
    status["judged"]["checks"][0]["old_judge"] = "ok"


def says_that_no_file_changed(status: Any) -> None:
    passes(status)
    status["judged"]["files"] = []


def was_not_asked(status: Any) -> None:
    passes(status)
    status["judged"]["runs"] = []
    status["judged"]["checks"][0]["old_judge"] = "not-asked"


def ended_otherwise(status: Any) -> None:
    says_ok(status)
    status["judged"]["runs"][0]["rc"] = 0


FORGED = {
    "it passes": (passes, "checks that pass only with changes of it: expected ['tests-1']"),
    "it may": (says_that_it_may, "the changed files of its judge: expected"),
    "it was ok": (says_ok, "tests-1 under the old judge: expected broken, found ok"),
    "no file of the judge changed": (says_that_no_file_changed, "the changed files of its judge"),
    "the old judge was not asked": (
        was_not_asked,
        "tests-1 under the old judge, in a PASS: expected 0, found None",
    ),
}


def test_the_honest_runs_are_whole(refused: Memory, permitted: Memory) -> None:
    assert json.loads(refused.files[BUNDLE])["status"] == "BLOCKED"
    assert json.loads(permitted.files[BUNDLE])["status"] == "PASS"
    assert verified(refused, {}) == []
    assert verified(permitted, {}) == []


@pytest.mark.parametrize("what", FORGED)
def test_an_outcome_that_was_edited_is_refused(refused: Memory, what: str) -> None:
    change, sentence = FORGED[what]
    found = verified(refused, changed(refused, change))
    told = [message for name, message in found if name == "VERIFY_JUDGE"]
    assert any(sentence in message for message in told), found


def test_another_code_is_not_that_of_its_log(refused: Memory) -> None:
    found = verified(refused, changed(refused, ended_otherwise))
    assert "VERIFY_LOGS" in {name for name, _ in found}


def test_a_permitted_change_was_compared_with_the_base(permitted: Memory) -> None:
    def forget(status: Any) -> None:
        status["judged"]["runs"] = [
            row for row in status["judged"]["runs"] if not row["label"].startswith("base.")
        ]

    found = verified(permitted, changed(permitted, forget))
    sentence = "whether tests-1 ran over the base, in a PASS: expected True, found False"
    assert any(sentence in message for _, message in found), found


def test_tests_inside_code_were_counted_over_the_base(inline: Memory) -> None:
    assert verified(inline, {}) == []

    def forget(status: Any) -> None:
        status["judged"]["runs"] = []

    found = verified(inline, changed(inline, forget))
    sentence = "whether check-1 ran over the base, in a PASS: expected True, found False"
    assert any(sentence in message for _, message in found), found


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Memory:
    """A run that is PASS, whose second pack was checked again under the old judge: the first one
    added a test.
    """
    world = World(tmp_path_factory.mktemp("judge") / "two")
    world.write("tests/one.sh", "true\n")
    for name, path in (("TASK-0001", "tests/new.sh"), ("TASK-0002", "b.txt")):
        task = f"scope: {{allowed_paths: [{path}]}}\nsteps: ['echo true > {path}']\n"
        world.pack(f"{name}-alpha", task, f"tests: [{json.dumps(RUNS)}]\n")
    world.commit()
    world.factory("oneshot")
    return load(world.state / "runs" / world.runs()[-1])


def test_the_merged_tree_was_asked_too(two: Memory) -> None:
    status = json.loads(two.files["Z_integrator/STATUS.json"])
    assert status["status"] == "PASS"
    assert [row["old_judge"] for row in status["rechecks"]] == ["ok", "ok"]
    assert verified(two, {}) == []
    rows = tuple(
        RecheckRecord.model_validate(with_tuples({**row, "old_judge": "not-asked"}))
        for row in status["rechecks"]
    )
    evidence, ledger = forged(two, {}, rechecks=rows)
    found = check(evidence, around(ledger, sizes={len(ledger.splitlines())})).findings
    sentence = "TASK-0002 tests-1 on the merged tree under the old judge, in a PASS"
    assert any(sentence in finding.message for finding in found), found
