"""`.factory/last/`: stable copies of the latest PASS, for a project's own tasks to depend on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.disks import on_a_disk
from tests.world import World

pytestmark = pytest.mark.linux

DODO = """\
from factory.dodo import DOIT_CONFIG, task_factory

def task_patch():
    return {"actions": ["cp .factory/last/DIFF.patch theirs.patch"],
            "file_dep": [".factory/last/DIFF.patch"], "targets": ["theirs.patch"]}

def task_verdict():
    return {"actions": ["cp .factory/last/CURRENT.json theirs.json"],
            "file_dep": [".factory/last/CURRENT.json"]}
"""
PACK = """\
scope: {allowed_paths: ["docs/**"]}
artifacts: [made/notes.txt]
steps: [{name: s, run: "mkdir -p docs taskpacks/TASK-0001-a/made; echo WORD > docs/x; echo note > taskpacks/TASK-0001-a/made/notes.txt"}]
"""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with on_a_disk(tmp_path) as place:
        world = World(place / "repository")
        world.pack("TASK-0001-a", PACK.replace("WORD", "one"))
        world.write("dodo.py", DODO)
        world.commit()
        yield world


def stamps(world: World) -> dict[str, tuple[int, int]]:
    found = sorted(path for path in (world.state / "last").rglob("*") if path.is_file())
    return {
        path.relative_to(world.state / "last").as_posix(): (
            path.stat().st_ino,
            path.stat().st_mtime_ns,
        )
        for path in found
    }


def changed(before: dict[str, tuple[int, int]], after: dict[str, tuple[int, int]]) -> set[str]:
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


def current(world: World) -> dict[str, object]:
    found: dict[str, object] = json.loads((world.state / "last" / "CURRENT.json").read_bytes())
    return found


def test_what_a_pass_leaves_and_when_it_changes(world: World) -> None:
    ended = world.doit("patch", "verdict")
    assert ended.rc == 0, ended.text
    assert "+one" in (world.root / "theirs.patch").read_text("utf-8"), "ours ran before theirs"
    first, run_id = stamps(world), current(world)["run_id"]
    pack = "TASK-0001"
    artifact = f"{pack}/ARTIFACTS/taskpacks/TASK-0001-a/made/notes.txt"
    assert set(first) == {
        *("CURRENT.json", "DIFF.patch", "FINAL_REPORT.md", "STATUS.json", "TREE"),
        *(f"{pack}/STATUS.json", f"{pack}/DIFF.patch", f"{pack}/manifest.json", artifact),
    }
    assert (world.state / "last" / "TREE").read_text("ascii").strip() == current(world)[
        "merged_tree"
    ]
    again = world.doit("patch", "verdict")
    assert "-- patch\n-- verdict\n" in again.out, again.text
    assert "nothing was run" in world.doit("oneshot").out
    by_path = world.doit(".factory/last/TREE")
    assert (by_path.rc, "is up to date" in by_path.out) == (0, True), by_path.text
    assert stamps(world) == first

    # The same result in a new run: only what names the run changes.
    world.write("taskpacks/TASK-0001-a/README.md", "more words\n")
    world.commit()
    ended = world.doit("-v", "2", "patch", "verdict")
    assert ended.rc == 0, ended.text
    assert {"CURRENT.json", "FINAL_REPORT.md", "STATUS.json"} <= changed(first, stamps(world))
    assert not changed(first, stamps(world)) & {
        "DIFF.patch",
        f"{pack}/DIFF.patch",
        artifact,
    }
    assert (".  verdict" in ended.out, "-- patch" in ended.out) == (True, True)
    assert current(world)["run_id"] != run_id

    # A run that is not PASS changes the verdict, and nothing of the latest PASS.
    second = stamps(world)
    world.write("taskpacks/TASK-0001-a/task.yml", "id: TASK-0001\n")
    ended = world.doit("verdict", "patch")
    assert ended.rc == 2, ended.text
    assert ".  verdict" in ended.out
    assert changed(second, stamps(world)) == {"CURRENT.json"}
    assert (current(world)["status"], current(world)["packs"]) == ("BLOCKED", {pack: "BLOCKED"})


def test_what_was_removed_comes_back_without_a_run_and_what_is_gone_goes(world: World) -> None:
    assert world.doit("oneshot").rc == 0
    runs = sorted(path.name for path in (world.state / "runs").iterdir())
    (world.state / "last" / "TREE").unlink()
    (world.state / "last" / "TASK-0001" / "DIFF.patch").unlink()
    ended = world.doit("oneshot")
    assert ended.rc == 0, ended.text
    assert (world.state / "last" / "TREE").exists()
    assert (world.state / "last" / "TASK-0001" / "DIFF.patch").exists()
    assert sorted(path.name for path in (world.state / "runs").iterdir()) == runs
    assert "nothing was run" in world.doit("oneshot").out
    assert world.doit("clean", "summary").rc == 0
    assert not (world.state / "last" / "TREE").exists()

    # A pack that is gone is gone from the copies.
    world.git("mv", "taskpacks/TASK-0001-a", "taskpacks/TASK-0002-b")
    world.write(
        "taskpacks/TASK-0002-b/task.yml",
        (world.root / "taskpacks/TASK-0002-b/task.yml").read_text("utf-8")
        .replace("TASK-0001-a", "TASK-0002-b").replace("TASK-0001", "TASK-0002"),
    )  # fmt: skip
    world.commit()
    ended = world.doit("oneshot")
    assert ended.rc == 0, ended.text
    assert {name.partition("/")[0] for name in stamps(world) if "/" in name} == {"TASK-0002"}
