"""No pack rewrites what it, or another pack, is accepted by."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.world import World

pytestmark = pytest.mark.linux

FIRST = "taskpacks/TASK-0001-a"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "repository")


def test_a_step_that_rewrites_its_own_check_is_blocked(world: World) -> None:
    step = f"steps: [{{name: cheat, run: 'echo exit 0 > {FIRST}/check.sh'}}]"
    check = "echo strict check; exit 1\n"
    world.pack("TASK-0001-a", step, f"tests: 'sh {FIRST}/check.sh'", **{"check.sh": check})
    world.commit()
    done = world.factory("oneshot")
    assert done.rc == 2
    assert "PACK_FILE_CHANGED" in world.findings()
    assert f"{FIRST}/check.sh was changed; what a pack is accepted by may depend on it" in done.text


def test_another_packs_check_is_not_rewritten_either(world: World) -> None:
    step = f"scope: {{allowed_paths: ['**']}}\nsteps: [{{name: c, run: 'rm {FIRST}/check.sh'}}]"
    world.pack(
        "TASK-0001-a",
        "",
        f"checks: [{{name: ok, run: 'sh {FIRST}/check.sh'}}]",
        **{"check.sh": "exit 0\n"},
    )
    world.pack("TASK-0002-b", f"inputs: [taskpacks/]\n{step}")
    world.commit()
    assert world.factory("oneshot").rc == 2
    (found,) = [one for one in world.status()["findings"] if one["id"] == "PACK_FILE_CHANGED"]
    assert found["pack"] == "TASK-0002"


def test_a_pack_writes_its_committed_output_again(world: World) -> None:
    task = (
        "artifacts: {required: [out/index.json]}\n"
        f"steps: [{{name: make, run: 'date +%s%N > {FIRST}/out/index.json'}}]"
    )
    world.pack("TASK-0001-a", task, **{"out/index.json": "{}\n"})
    world.commit()
    done = world.factory("oneshot")
    assert done.rc == 0, done.text
    (changed,) = world.bundle("TASK-0001", "FILES_CHANGED.json")["files"]
    assert (changed["path"], changed["kind"]) == (f"{FIRST}/out/index.json", "modified")
    assert "INTACT" in world.factory("verify").out
