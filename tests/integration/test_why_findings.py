"""`factory why` shows the findings of the pack that is asked for, each with its own remedy: by the
packs that a finding is about, never by a word of its sentence.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.world import World

pytestmark = pytest.mark.linux

WRITES = 'scope: {{allowed_paths: ["docs/**"]}}\nsteps: [{{name: s, run: "{run}"}}]\n'


def writes(path: str, text: str = "x") -> str:
    return WRITES.format(run=f"mkdir -p docs && echo {text} > docs/{path}")


def explained(world: World, pack: str) -> dict[str, str]:
    """Return the remedy of each finding that `why` shows, by id."""
    ended = world.factory("why", pack, "--json")
    assert ended.rc == 0, ended.text
    return {row["id"]: row["remedy"] for row in json.loads(ended.out)["explained"]}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """TASK-1 passes; TASK-10 names a tool that is not there; TASK-2 and TASK-20 overlap."""
    here = World(tmp_path_factory.mktemp("why"))
    here.pack("TASK-1-one", writes("one"))
    here.pack("TASK-10-ten", writes("ten") + "tools: [no-such-tool-for-TASK-1]\n")
    here.commit()
    assert here.doit("oneshot").rc == 2
    return here


def test_a_finding_of_a_longer_id_is_not_that_of_a_shorter_one(world: World) -> None:
    """Defect: packs were searched in sentences, so TASK-1 got what TASK-10 lacks."""
    assert explained(world, "TASK-1") == {}
    assert "TOOL_MISSING" not in world.factory("why", "TASK-1").out
    assert explained(world, "TASK-10") == {
        "TOOL_MISSING": "no change of the contract is needed: install no-such-tool-for-TASK-1 on"
        " this host; or allow it with: tools without no-such-tool-for-TASK-1"
    }


def test_a_pack_with_a_verdict_is_not_said_never_to_have_run(world: World) -> None:
    """Defect: "it never ran" stood above "last verdict BLOCKED"."""
    said = world.factory("why", "TASK-10").out
    assert said.startswith("TASK-10 would run again: its last run left no bundle\n")
    assert "last verdict BLOCKED" in said
    assert "never ran" not in said


def test_both_packs_of_an_overlap_are_told_of_it(tmp_path: Path) -> None:
    world = World(tmp_path)
    for folder in ("TASK-2-two", "TASK-20-twenty"):
        world.pack(folder, writes("same", folder))
    world.pack("TASK-3-three", writes("three"))
    world.commit()
    assert world.doit("oneshot").rc == 2
    remedy = "allow it with: depends_on: [TASK-2] in TASK-20, so that one is built on the other"
    assert explained(world, "TASK-2") == {"OVERLAP": remedy}
    assert explained(world, "TASK-20") == {"OVERLAP": remedy}
    assert explained(world, "TASK-3") == {}


def test_many_files_outside_the_scope_are_few_findings(tmp_path: Path) -> None:
    world = World(tmp_path)
    run = (
        "mkdir -p docs out/deep && echo x > docs/x && cd out/deep"
        " && for i in $(seq 2000); do echo $i > f$i; done"
    )
    world.pack("TASK-1-many", WRITES.format(run=run) + "limits: {changed_lines: 5000}\n")
    world.commit()
    assert world.doit("oneshot").rc == 2
    (found,) = world.status()["findings"]
    assert (found["id"], found["facts"]["count"]) == ("SCOPE_OUTSIDE_ALLOWED", 2000)
    assert found["message"] == (
        "2000 files below out/deep/, such as out/deep/f1, out/deep/f10, out/deep/f100, were"
        " changed; scope allows docs/**"
    )
    named = world.bundle("TASK-1", "FILES_CHANGED.json")["files"]
    assert sum(row["path"].startswith("out/deep/") for row in named) == 2000
    assert explained(world, "TASK-1") == {
        "SCOPE_OUTSIDE_ALLOWED": 'allow it with: scope: {allowed_paths: ["docs/**", "out/deep/"]}'
    }
    assert world.differs() == ""
