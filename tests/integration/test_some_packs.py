"""Asked for some packs, the answer is about those and what they depend on; and what only looks
writes nothing.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.world import World

FIRST, SECOND, BROKEN = "TASK-0101-first", "TASK-0102-second", "TASK-0103-broken"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    world = World(tmp_path_factory.mktemp("some") / "r")
    for name, more in ((FIRST, ""), (SECOND, "depends_on: [TASK-0101]")):
        number = name[5:9]
        world.pack(
            name,
            f"""
            scope: {{allowed_paths: [docs/]}}
            steps: ["mkdir -p docs && echo {number} > docs/{number}.md"]
            {more}
            """,
        )
    world.pack(BROKEN, "unknown: 1\n")
    world.commit()
    return world


def files_of(root: Path) -> dict[str, tuple[int, bytes]]:
    """Every file below `root`, with its time of change and its bytes."""
    return {
        str(path.relative_to(root)): (path.stat().st_mtime_ns, path.read_bytes())
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def test_a_dry_run_says_what_would_run_and_writes_nothing(world: World) -> None:
    before = files_of(world.root)
    ended = world.factory("oneshot", "--dry-run", PYTHONHASHSEED="0")
    assert ended.rc == 2, ended.text
    assert "dry run of oneshot: 2 packs would run" in ended.out
    assert "TASK-0103  cannot run: its contract" in ended.out
    assert "nothing would be merged: TASK-0103 cannot run" in ended.out
    ended = world.factory("launch", SECOND, "--dry-run", "--json", cwd=world.root / "taskpacks")
    assert ended.rc == 0, ended.text
    assert json.loads(ended.out)["dry_run"]["packs"] == [
        {"pack": "TASK-0101", "runs": True, "why": "it never ran"},
        {"pack": "TASK-0102", "runs": True, "why": "it never ran"},
    ]
    assert files_of(world.root) == before


def test_oneshot_of_a_pack_is_about_it_and_what_it_depends_on(world: World) -> None:
    ended = world.factory("oneshot", "TASK-0102")
    assert ended.rc == 0, ended.text
    assert ended.out.count("TASK-0103") == 1
    assert "factory integrate TASK-0102 --branch" in ended.out
    assert [line["pack"] for line in world.status()["packs"]] == ["TASK-0101", "TASK-0102"]
    assert world.findings() == ["PACK_NEIGHBOUR_BROKEN"]
    assert world.differs() == ""
    again = world.factory("oneshot", SECOND)
    assert (again.rc, len(world.runs())) == (0, 1), again.text
    assert world.factory("launch", FIRST).rc == 0
    assert world.executed() == ["TASK-0101", "TASK-0102"]


def test_summary_and_why_of_all_run_nothing_and_write_nothing(world: World) -> None:
    whole = world.factory("oneshot")
    assert (whole.rc, world.executed()) == (2, ["TASK-0101", "TASK-0102"]), whole.text
    before = files_of(world.root)
    ended = world.factory("summary")
    assert ended.rc == 2, ended.text
    assert f"BLOCKED  {world.ordered()[-1]}, on " in ended.out
    assert "Report    .factory/runs/" in ended.out
    first = world.factory("summary", world.ordered()[0], "--json", cwd=world.root / "taskpacks")
    assert (first.rc, json.loads(first.out)["counts"]) == (0, {"PASS": 2}), first.text
    why = world.factory("why")
    assert why.rc == 0, why.text
    assert "TASK-0101 would not run: nothing changed" in why.out
    assert "TASK-0103 cannot run" in why.out
    assert "PACK_INVALID  unknown key" in why.out
    assert files_of(world.root) == before


def test_the_result_of_some_packs_becomes_a_branch(world: World) -> None:
    ended = world.factory("integrate", "TASK-0102", "--branch")
    assert ended.rc == 0, ended.text
    branch = world.git("branch", "--list", "codex/*", "--format=%(refname:short)").split()
    assert len(branch) == 1
    assert world.git("ls-tree", "--name-only", branch[0], "docs/").split() == [
        "docs/0101.md",
        "docs/0102.md",
    ]


def test_a_name_that_no_pack_has_is_a_wrong_usage(world: World) -> None:
    ended = world.factory("oneshot", "TASK-0109")
    assert ended.rc == 64
    assert "there is no task pack 'TASK-0109'" in ended.err
    assert world.factory("why", "--denied").rc == 64
