"""A pack that provokes a defect of the orchestrator leaves no less evidence than one that does
not.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from factory.model.errors import Refusal
from factory.model.finding import Finding
from factory.model.verdict import Status
from factory.run import attempt
from tests.in_process import oneshot
from tests.world import World

pytestmark = pytest.mark.linux


@pytest.fixture
def world(tmp_path: Path) -> World:
    here = World(tmp_path / "repository")
    steps = 'steps: [{name: s, run: "mkdir docs; echo x > docs/x; echo said by the step"}]'
    here.pack(
        "TASK-0001-a",
        f'scope: {{allowed_paths: ["docs/**"]}}\n{steps}',
        "tests: [echo said by the test]\n",
    )
    here.commit()
    return here


class Breaks:
    """The object store, which fails once it is asked for lines: after every command has ended."""

    def __init__(self, real: Any, error: Exception) -> None:
        self.real = real
        self.error = error

    def patch(self, *_: object) -> None:
        raise self.error

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


@pytest.mark.parametrize(
    ("error", "verdict", "reason"),
    [
        (RuntimeError("unforeseen \x1b"), Status.FAIL, "RuntimeError: unforeseen \\u001b"),
        (
            Refusal(
                Finding("REPO_UNREADABLE", {"case": "status", "place": "x", "found": "nothing"})
            ),
            Status.BLOCKED,
            "expected git status of 'x', found: nothing",
        ),
    ],
)
def test_what_ran_before_a_defect_keeps_its_logs_and_an_event(
    world: World, error: Exception, verdict: Status, reason: str
) -> None:
    status, _ = oneshot(world, objects=lambda real: Breaks(real, error))
    assert status is verdict
    assert not (world.state / "bundles" / "TASK-0001").exists()
    kept = world.last().parent / "raw" / "TASK-0001" / "attempt-1"
    assert (kept / "step-1.log").read_text() == "said by the step\n"
    assert (kept / "tests-1.log").read_text() == "said by the test\n"
    (told,) = [event for event in world.events() if event["event_type"] == "pack.abandoned"]
    assert (told["details"], told["rc"]) == (
        {"pack": "TASK-0001", "reason": reason},
        verdict.exit_code,
    )
    types = {event["event_type"] for event in world.events()}
    assert {"step.finished", "check.finished"} <= types
    assert "pack.finished" not in types
    assert world.factory("ledger-replay").rc == 0
    assert world.differs() == ""


def test_a_defect_of_the_judge_leaves_a_whole_bundle(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def judge(*_: object) -> None:
        raise ValueError("no such number")

    monkeypatch.setattr(attempt, "judge_command", judge)
    status, _ = oneshot(world)
    assert status is Status.FAIL
    bundle = world.bundle("TASK-0001")
    assert (bundle["status"], [check["rc"] for check in bundle["checks"]]) == ("FAIL", [1])
    (finding,) = bundle["findings"]
    message = (
        "judge:TASK-0001:step-1 met an error of the orchestrator's own: ValueError: no such number"
    )
    assert (finding["id"], finding["message"]) == ("CRASH", message)
    log = world.state / "bundles" / "TASK-0001" / "LOGS" / "step-1.log"
    assert log.read_text() == "said by the step\n"
    assert (
        "Traceback"
        in (world.last().parent / "raw" / "crash-judge-TASK-0001-step-1.txt").read_text()
    )
    assert world.differs() == ""
    why = json.loads(world.factory("why", "TASK-0001", "--json").out)
    assert "no change of the contract would help: report it" in json.dumps(why)
