"""`factory prove` shows what a change proves, and leaves nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.world import World

pytestmark = pytest.mark.linux

RUNS = "for file in tests/*.sh; do sh $file || exit 1; done"


def test_a_repair_and_what_nothing_needs(tmp_path: Path) -> None:
    world = World(tmp_path / "repository")
    world.write("a.txt", "one\n")
    world.write("tests/two.sh", "grep -q two a.txt\n")
    steps = json.dumps(["echo two > a.txt; echo x > x.txt"])
    task = f"scope: {{allowed_paths: [a.txt, x.txt]}}\nsteps: {steps}\n"
    world.pack("TASK-0001-repairs", task, f"tests: [{json.dumps(RUNS)}]\n")
    world.pack("TASK-0002-nothing", "steps: ['true']\n", "tests: ['true']\n")
    world.commit()
    shown = world.factory("prove", "TASK-0001")
    assert shown.rc == 0, shown.text
    assert shown.out == (
        "TASK-0001  PASS\n"
        "  check         before        under the old judge\n"
        "  tests-1       fixed         not-asked\n"
    )
    shown = world.factory("prove", "TASK-0001", "--hunks", "--json")
    assert shown.rc == 2
    said = json.loads(shown.out)
    assert [(row["path"], row["failed"]) for row in said["judged"]["hunks"]] == [
        ("a.txt", "tests-1"),
        ("x.txt", ""),
    ]
    assert "HUNK_UNPROVED" in [row["id"] for row in said["findings"]]
    shown = world.factory("prove", "TASK-0002")
    assert shown.rc == 2
    assert "NOT_FIXED" in shown.out
    left = {path.name for path in world.state.iterdir()}
    assert not {name for name in left if name.startswith("prove-")}
    assert not {"runs", "bundles"} & left
