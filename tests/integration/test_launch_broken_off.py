"""A pack that is not let run, or does not come to its end: the bundle of an earlier run beside it
has no part.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from factory.files.clock import SystemClock
from factory.files.locks import FileLocks
from factory.model.verdict import Status
from tests.in_process import oneshot
from tests.world import World

pytestmark = pytest.mark.linux

WRITES = "scope: {allowed_paths: [%s]}\nsteps: [{name: w, run: 'echo x > %s'}]\n"


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Two packs that passed; the first one is another action by now."""
    made = World(tmp_path)
    for name in ("a", "b"):
        made.pack(f"TASK-000{'ab'.index(name) + 1}-{name}", WRITES % (name, name))
    made.commit()
    assert made.doit("oneshot").rc == 0
    made.write("taskpacks/TASK-0001-a/spec.md", "# Spec\n\nAnother one.\n")
    made.commit()
    return made


def nothing_of_the_first(world: World) -> list[str]:
    """The first pack left nothing in the newest run, as all evidence says; the findings of that
    run.
    """
    line = next(each for each in world.status()["packs"] if each["pack"] == "TASK-0001")
    left = ("files_changed", "checks", "checks_ok", "bundle_sha256", "came_from")
    assert {name: line[name] for name in left} == dict(zip(left, (0, 0, 0, "", ""), strict=True))
    assert not (world.last().parent / "TASK-0001").exists()
    told = {
        (event["event_type"], event["details"].get("pack"))
        for event in world.events()
        if event["run_id"] == run(world)
    }
    assert {kind for kind, pack in told if pack == "TASK-0001"} == set()
    checked = world.factory("verify", "--json")
    found = [finding["id"] for finding in json.loads(checked.out)["findings"]]
    assert found == ["VERIFY_UNTRUSTED"], checked.text
    assert "TASK-0001" not in checked.out, "nothing of a bundle that is not there is left to check"
    return world.findings()


def run(world: World) -> str:
    return world.last().parent.name


def test_a_pack_that_another_worker_holds_is_blocked_with_who_and_since_when(world: World) -> None:
    locks = FileLocks(world.state, SystemClock())
    with locks.take("pack-TASK-0001"):
        locks.announce("pack-TASK-0001", "another worker")
        holder = json.loads((world.state / "locks/pack-TASK-0001.json").read_text())
        ended = world.factory("oneshot")
    who = (
        f"another worker (pid {holder['pid']}, started {holder['since']}) has the pack-TASK-0001"
        " lock; expected it to be free"
    )
    assert (ended.rc, "not run: locked" in ended.out) == (2, True), ended.text
    assert f"\nTASK-0001\n  LOCKED  {who}\n" in ended.out
    (found,) = world.status()["findings"]
    assert (found["id"], found["pack"], found["message"]) == ("LOCKED", "TASK-0001", who)
    assert nothing_of_the_first(world) == ["LOCKED"]
    again = world.factory("oneshot")
    assert (again.rc, world.executed()[2:]) == (0, ["TASK-0001"]), again.text


class Stumbles:
    """A sandbox that fails in a way that nobody foresaw when the first pack asks what is in
    force.
    """

    def __init__(self, real: Any) -> None:
        self.real = real
        self.asked = 0

    def measure(self, network: bool) -> Any:
        self.asked += 1
        if self.asked == 2:  # preflight asked before
            raise RuntimeError("unforeseen")
        return self.real.measure(network)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


def test_a_defect_before_a_pack_starts_leaves_nothing_of_its_earlier_bundle_in_the_run(
    world: World,
) -> None:
    status, results = oneshot(world, sandbox=Stumbles)
    assert (status, results["launch:TASK-0001-a"].status) == (Status.FAIL, Status.FAIL)
    assert results["bundle-validate:TASK-0001-a"].headline == "no bundle"
    assert nothing_of_the_first(world) == ["CRASH"]
