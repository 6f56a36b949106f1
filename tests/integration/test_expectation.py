"""What a pack promises of the repository: a change, none, or either."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.world import World

pytestmark = pytest.mark.linux

SCOPE = 'scope: {allowed_paths: ["docs/", "run.sh"]}\n'
WRITES = 'steps: [{name: s, run: "mkdir -p docs; echo $0 > docs/%s"}]\n'
MODE = 'steps: [{name: s, run: "chmod +x run.sh"}]\n'
NOTHING = 'steps: [{name: s, run: "true"}]\n'
CASES = {
    "TASK-0001": ("change", WRITES % "a", ""),
    "TASK-0002": ("change", NOTHING, "NO_CHANGE"),
    "TASK-0003": ("no_change", WRITES % "c", "CHANGE_UNEXPECTED"),
    "TASK-0004": ("no_change", NOTHING, ""),
    "TASK-0005": ("any", NOTHING, ""),
    "TASK-0006": ("change", "", "NO_CHANGE"),
    "TASK-0007": ("change", MODE, ""),
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    here = World(tmp_path_factory.mktemp("expect") / "repository")
    here.write("run.sh", "true\n")
    for name, (expect, steps, _) in CASES.items():
        here.pack(f"{name}-x", f"{SCOPE}expect: {expect}\n{steps}")
    here.commit()
    assert here.factory("oneshot").rc == 2
    return here


@pytest.mark.parametrize("name", CASES)
def test_a_broken_promise_is_named_at_its_line(world: World, name: str) -> None:
    _, _, expected = CASES[name]
    status = world.bundle(name)
    assert status["status"] == ("BLOCKED" if expected else "PASS")
    assert [finding["id"] for finding in status["findings"]] == ([expected] if expected else [])
    for finding in status["findings"]:
        lines = (world.root / finding["file"]).read_text().splitlines()
        assert lines[finding["line"] - 1].startswith("expect: ")


def test_another_word_is_no_promise(tmp_path: Path) -> None:
    world = World(tmp_path / "repository")
    world.pack("TASK-0001-x", "expect: changes\n")
    world.commit()
    done = world.factory("oneshot")
    assert done.rc == 2
    assert "PACK_INVALID" in done.text
    assert "expect" in done.text


def test_a_branch_is_proposed_only_where_something_changed(tmp_path: Path) -> None:
    world = World(tmp_path / "repository")
    world.pack("TASK-0001-x", SCOPE + WRITES % "a")
    world.pack("TASK-0005-x", SCOPE + NOTHING)
    world.commit()
    same, changed = world.factory("oneshot", "TASK-0005"), world.factory("oneshot", "TASK-0001")
    assert (same.rc, changed.rc) == (0, 0), same.text + changed.text
    assert "Next      factory verify" in same.out
    assert "integrate" not in same.out.partition("\nNext ")[2]
    assert "Next      factory integrate TASK-0001 --branch" in changed.out
