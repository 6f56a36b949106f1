"""What a run says of the repository is what is so when it closes, also where preflight holds from
an earlier day.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.world import Ended, World

pytestmark = pytest.mark.linux

FAILS = 'checks: [{name: never, run: "false"}]\n'


def dirt(path: str) -> str:
    return f"expected no local change outside the task packs, found 1: '{path}'"


def ran(world: World) -> Ended:
    """A run in which the pack was executed again, while preflight held."""
    executed = len(world.executed())
    ended = world.factory("oneshot")
    assert (ended.rc, world.executed()[executed:]) == (2, ["TASK-0101"]), ended.text
    return ended


def told(world: World, ended: Ended) -> tuple[list[str], int, int]:
    """Findings about the repository in the verdict; how often report and terminal speak of local
    changes.
    """
    found = [
        each["message"] for each in world.status()["findings"] if each["id"].startswith("REPO_")
    ]
    report = (world.last() / "FINAL_REPORT.md").read_text()
    return found, report.count("REPO_DIRTY"), ended.out.count("REPO_DIRTY")


def preflights(world: World) -> int:
    return sum(event["event_type"] == "preflight.finished" for event in world.events())


def test_a_run_under_a_preflight_that_holds_says_what_is_so_now(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.pack("TASK-0101-one", "scope: {allowed_paths: [docs/]}\n", FAILS)
    world.commit()
    world.write("README.md", "# Local\n")
    assert told(world, ran(world)) == ([dirt("README.md")], 1, 1)
    world.git("checkout", "-q", "README.md")
    assert told(world, ran(world)) == ([], 0, 0)
    world.write("other.txt", "local\n")
    assert told(world, ran(world)) == ([dirt("other.txt")], 1, 1)
    world.git("checkout", "-q", "--detach")
    (world.root / "other.txt").unlink()
    (found,), dirty, _ = told(world, ran(world))
    assert (found.partition(",")[0], dirty) == ("expected HEAD on a branch", 0)
    assert preflights(world) == 1, "it held in every run but the first"
    assert world.differs() == ""


def test_preflight_by_itself_says_it_and_a_dirty_file_alone_makes_no_run(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.pack("TASK-0101-one", "scope: {allowed_paths: [docs/]}\n")
    world.commit()
    assert world.factory("oneshot").rc == 0
    (run,) = world.runs()
    world.write("README.md", "# Local\n")
    for face in (world.factory, world.doit):
        alone = face("preflight")
        assert (alone.rc, alone.out.count(dirt("README.md"))) == (0, 1), alone.text
        assert alone.said.endswith("PASS  preflight is up to date, nothing was run\n")
    whole = world.factory("oneshot")
    assert (whole.rc, whole.said) == (
        0,
        f"PASS  {run} is up to date: 1 pack unchanged, nothing was run\n",
    ), whole.text
    document = json.loads(world.factory("preflight", "--json").out)
    assert [each["id"] for each in document["findings"]] == ["REPO_DIRTY"]
    assert (document["status"], document["run_id"], document["report"]) == ("PASS", "", "")
    world.git("checkout", "-q", "README.md")
    assert world.factory("preflight").said == "PASS  preflight is up to date, nothing was run\n"
    assert (world.runs(), world.executed()) == ([run], ["TASK-0101"])


def test_preflight_that_holds_names_no_run_that_is_blocked(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.pack("TASK-0101-one", "scope: {allowed_paths: [docs/]}\n", FAILS)
    world.commit()
    assert world.factory("oneshot").rc == 2
    alone = world.factory("preflight")
    assert (alone.rc, alone.said) == (0, "PASS  preflight is up to date, nothing was run\n"), (
        alone.text
    )
    document = json.loads(world.factory("preflight", "--json").out)
    assert (document["status"], document["run_id"], document["report"]) == ("PASS", "", "")
