"""The whole in a minute, for a newcomer and for whoever changes a machine: the main job on a scratch
repository, a hostile pack that is held, evidence that verifies, and one changed byte that is found.

`nox -s smoke` runs just this.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.hostile.declared import LIBRARY, program
from tests.world import Ended, World

pytestmark = pytest.mark.linux

HELD = program("supervisor_binary")
MAIN = """\
scope: {allowed_paths: ["docs/list.md"]}
steps: [{name: list, run: "ls src >docs/list.md"}]
"""
CHECKS = 'checks: [{name: listed, run: "grep -qx area.py docs/list.md"}]\n'
LEAVES_ITS_SCOPE = f"""\
scope: {{allowed_paths: ["docs/hostile.md"]}}
steps:
  - {{name: attack, run: "PYTHONPATH=. python -S {HELD.file.name}"}}
  - {{name: leave, run: "echo mine >src/area.py"}}
"""


@dataclass(frozen=True)
class Played:
    """A scratch repository, and what its first two starts said."""

    world: World
    first: Ended
    again: Ended


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    world = World(tmp_path_factory.mktemp("smoke") / "repository")
    world.write("src/area.py", "def area(side):\n    return side * side\n")
    world.write("docs/index.md", "# Docs\n")
    world.pack("TASK-0001-list", MAIN, CHECKS)
    world.commit()
    return Played(world, world.doit("oneshot"), world.doit("oneshot"))


def test_the_main_job_is_done_and_not_done_again(played: Played) -> None:
    assert played.first.rc == 0, played.first.text
    assert "TASK-0001" in played.first.out
    assert "+ docs/list.md  +1 −0" in played.first.out
    assert (played.again.rc, "is up to date: 1 pack unchanged" in played.again.out) == (0, True)
    assert not (played.world.root / "docs/list.md").exists()  # the result is in the run's folder
    branch = played.world.factory("integrate", "--branch")
    assert branch.rc == 0, branch.text
    (name,) = played.world.git("branch", "--list", "codex/*", "--format=%(refname)").split()
    assert played.world.git("show", f"{name}:docs/list.md") == "area.py\n"


def test_one_changed_byte_is_found(played: Played) -> None:
    assert played.world.differs() == ""
    report = played.world.last() / "FINAL_REPORT.md"
    content = report.read_bytes()
    report.write_bytes(bytes((content[0] ^ 1,)) + content[1:])
    changed = played.world.factory("verify")
    assert changed.out.splitlines()[-1].startswith("NOT VERIFIED")
    report.write_bytes(content)
    assert "FINAL_REPORT.md" in changed.text
    assert played.world.differs() == ""


def test_a_hostile_pack_is_held(played: Played) -> None:
    world = played.world
    hostile = {HELD.file.name: HELD.file.read_text("utf-8")}
    world.write("hostile.py", LIBRARY.read_bytes())
    world.write(HELD.file.name, hostile[HELD.file.name])
    world.write("canaries.json", json.dumps({}))
    world.pack("TASK-0002-hostile", LEAVES_ITS_SCOPE)
    world.commit()
    ended = world.doit("oneshot")
    assert ended.rc == 2, ended.text
    logs = "".join(
        path.read_text() for path in Path(world.state / "bundles/TASK-0002/LOGS").glob("*.log")
    )
    assert "HELD" in logs
    assert "ESCAPED" not in logs
    assert "SCOPE_OUTSIDE_ALLOWED" in world.findings()
    assert (world.root / "src/area.py").read_text() != "mine\n"
    assert world.differs() == ""
