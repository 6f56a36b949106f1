"""A repository with packs in the shapes of earlier versions: they run, and the run verifies."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.world import World

WHOLE = "TASK-0101-whole-name"
NEEDS = "TASK-0102-needs"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    world = World(tmp_path_factory.mktemp("others") / "r")
    world.write("build/out.txt", "old\n")
    world.pack(
        WHOLE,
        f"""
        id: {WHOLE}
        pillar: security
        solution: {{kind: BAS}}
        scope: {{allowed_paths: [docs/]}}
        steps: ["mkdir -p docs && echo a > docs/a.md && echo b > taskpacks/{WHOLE}/out.json"]
        artifacts: [taskpacks/{WHOLE}/out.json]
        outputs: [docs/a.md]
        execution: {{timeout_minutes: 5, mode: safe}}
        """,
    )
    world.pack(
        NEEDS,
        f"""
        id: TASK-0102
        depends_on: [{WHOLE}]
        scope: {{allowed_paths: [docs/b.md]}}
        steps: ["cp docs/a.md docs/b.md && echo 1 > taskpacks/{NEEDS}/rows.csv"]
        outputs: {{evidence: [{{path: rows.csv, description: all rows}}], reports: {{a: b}}}}
        """,
    )
    world.write("taskpacks/templates/web/task.yml", "id: TASK-XXXX\n")
    world.commit()
    return world


def test_packs_of_earlier_shapes_pass_and_verify(world: World) -> None:
    ended = world.factory("oneshot", TASKPACK_PATH=f"taskpacks/{NEEDS}", PYTHONHASHSEED="0")
    assert ended.rc == 0, ended.text
    assert world.findings() == ["VARIABLE_WITHOUT_EFFECT", "PACK_FOLDER_STRAY"], ended.text
    assert [row["pack"] for row in world.status()["packs"]] == [WHOLE, "TASK-0102"]
    assert (
        world.state / "bundles" / WHOLE / "ARTIFACTS" / "taskpacks" / WHOLE / "out.json"
    ).exists()
    assert world.differs() == ""
    assert f"{WHOLE}" in world.factory("why", WHOLE).out


def test_work_for_another_repository_is_not_done_here(world: World, tmp_path: Path) -> None:
    before = len(world.runs())
    ended = world.factory("oneshot", ORCH_WORKSPACE=str(tmp_path))
    assert ended.rc == 2
    assert "VARIABLE_FOR_ANOTHER" in ended.text
    assert "Start it in that repository, and unset ORCH_WORKSPACE." in ended.text
    assert world.executed().count(WHOLE) == before
