"""Checks are paid once: what passed over the same files does not run again, and nothing else is
believed.

In one process, with a sandbox that plays a script and counts what ran.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from factory.model.config import Config
from factory.model.pack import Requirement
from factory.model.verdict import Status
from factory.sandbox.properties import Property
from factory.sandbox.values import CommandSpec, ConnectAttempt
from tests.fakes.stage import Play, playing
from tests.in_process import oneshot
from tests.world import World

pytestmark = pytest.mark.linux

CHECKS = "checks: ['check one', 'check two']\n"
OUT = 'artifacts: {optional: ["/out/*.txt"]}\n'


@dataclass
class Script:
    """Count commands by what they run; each prints its own words and ends with 0."""

    plays: dict[str, Play] = field(default_factory=dict)
    ran: Counter[str] = field(default_factory=Counter)

    def __call__(self, command: CommandSpec) -> Play:
        self.ran[command.run] += 1
        if command.run in self.plays:
            return self.plays[command.run]
        writes: dict[str, str | bytes | None] = {}
        if command.run.startswith("write "):
            writes = {f"docs/{command.run.removeprefix('write ')}": "x\n"}
        return Play(says=f"{command.run}\n".encode(), writes=writes)


@dataclass
class Again:
    """One run: its verdict, what ran, and its STATUS.json."""

    status: Status
    ran: Counter[str]
    said: dict[str, Any]

    @property
    def reused(self) -> list[tuple[str, int, str]]:
        return [(row["pack"], row["attempt"], row["label"]) for row in self.said["reused"]]


def required(*require: Requirement) -> Callable[[Config], Config]:
    """A policy under which packs are made again over the same files."""
    return lambda config: replace(config, judge_require=require)


def fresh(config: Config) -> Config:
    return replace(config, fresh=True)


def run(world: World, plays: dict[str, Play] | None = None, **doors: Any) -> Again:
    script = Script(plays or {})
    lacks: tuple[Property, ...] = doors.pop("lacks", ())
    status, _ = oneshot(world, **playing(script, lacks), **doors)
    said = json.loads(
        (world.state / "runs" / world.runs()[-1] / "Z_integrator/STATUS.json").read_text()
    )
    return Again(status, script.ran, said)


def pack(world: World, number: int, more: str = "", checks: str = CHECKS) -> None:
    scope = "scope: {allowed_paths: [docs/]}\n"
    world.pack(f"TASK-000{number}-p", f"{scope}{more}steps: ['write {number}']\n", checks)


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path / "repo")
    pack(made, 1, OUT)
    pack(made, 2)
    made.commit()
    return made


def entries(world: World) -> list[Path]:
    return sorted((world.state / "cache/checks").iterdir())


def test_a_blank_line_in_one_pack_repeats_no_check_on_the_same_tree(world: World) -> None:
    first = run(world)
    assert (first.status, first.ran["check one"], first.reused) == (Status.PASS, 4, [])
    world.write("taskpacks/TASK-0002-p/spec.md", "# Spec\n\nDoes one thing.\n\n")
    world.commit()
    second = run(world)
    assert second.status is Status.PASS
    # Those of the second pack: it sees its own folder.
    assert second.ran == {"write 1": 1, "write 2": 1, "check one": 2, "check two": 2}
    assert second.reused == [
        ("TASK-0001", at, label) for at in (0, 1) for label in ("check-1", "check-2")
    ]
    log = Path("Z_integrator/LOGS/TASK-0001.check-1.log")
    runs = [world.state / "runs" / name for name in world.runs()]
    assert (runs[0] / log).read_bytes() == (runs[1] / log).read_bytes() == b"check one\n"
    report = (runs[1] / "Z_integrator/FINAL_REPORT.md").read_text("utf-8")
    due = f"- TASK-0001 check-1 on the merged tree: reused from {world.runs()[0]}"
    assert due in report.splitlines()
    verified = world.factory("verify")
    assert "INTACT" in verified.out, verified.text


def test_acceptance_of_a_pack_that_is_made_again_is_reused_with_its_artifacts(
    world: World,
) -> None:
    leaves = {"check two": Play(says=b"made\n", writes={"out/a.txt": "a\n"})}
    first = run(world, leaves)
    again = run(world, leaves, config=required("change"))
    assert again.ran == {"write 1": 1, "write 2": 1}
    assert {("TASK-0001", 1, "check-1"), ("TASK-0001", 0, "check-2")} <= {*again.reused}
    assert first.said["packs"][0]["artifacts"] == again.said["packs"][0]["artifacts"] != []
    assert "INTACT" in world.factory("verify").out
    assert run(world, leaves, config=lambda c: fresh(required("judge")(c))).reused == []


def damage(world: World) -> None:
    for place in entries(world):
        content = bytearray(place.read_bytes())
        content[-2] ^= 1
        place.write_bytes(content)


def shorten(world: World) -> None:
    """Truncate each log."""
    for place in entries(world):
        place.write_bytes(place.read_bytes()[:-3])


def exchange(world: World) -> None:
    """Put each entry in the place of the next."""
    places = entries(world)
    contents = [place.read_bytes() for place in places]
    for place, content in zip(places, [*contents[1:], contents[0]], strict=True):
        place.write_bytes(content)


def from_another_repository(world: World) -> None:
    other = World(world.root.parent / "other")
    for folder in ("taskpacks", "README.md", "dodo.py", ".gitignore"):
        copy = shutil.copytree if (world.root / folder).is_dir() else shutil.copy
        copy(world.root / folder, other.root / folder)
    other.commit()
    run(other)
    shutil.rmtree(world.state / "cache/checks")
    shutil.copytree(other.state / "cache/checks", world.state / "cache/checks")


@pytest.mark.parametrize("forge", [damage, shorten, exchange, from_another_repository])
def test_what_this_user_did_not_seal_here_is_not_believed(
    world: World, forge: Callable[[World], None]
) -> None:
    run(world)
    forge(world)
    again = run(world, config=required("change"))
    assert (again.ran["check one"], again.reused) == (4, [])
    found = [row for row in again.said["findings"] if row["id"] == "STATE_NOT_SEALED"]
    assert [row["facts"]["case"] for row in found] == ["checks"]
    assert "INTACT" in world.factory("verify").out


def test_a_check_that_ever_failed_is_never_believed(world: World) -> None:
    passes = run(world)
    assert passes.status is Status.PASS
    broken = {"check two": Play(says=b"no\n", rc=1)}
    assert (
        run(world, broken, config=lambda c: fresh(required("change")(c))).status is not Status.PASS
    )
    lucky = run(world, config=required("judge"))  # it passes again: nothing says that it is sound
    assert (lucky.status, lucky.ran["check two"]) == (Status.PASS, 2)
    assert {attempt for _, attempt, _ in lucky.reused} == {0}  # nothing failed on the merged tree
    assert run(world, config=required("change", "judge")).ran["check two"] == 2


TRIED = (ConnectAttempt("connect", "inet", "192.0.2.1", 80, 1),)


@pytest.mark.parametrize(
    ("change", "plays", "lacks"),
    [
        (lambda c: replace(c, ceilings=replace(c.ceilings, memory=1 << 30)), {}, ()),
        (lambda c: c, {}, (Property.DISK_BOUNDED,)),
        (lambda c: c, {"check one": Play(says=b"check one\n", tried=TRIED)}, ()),
    ],
    ids=["limits", "properties", "tried the network"],
)
def test_other_limits_and_properties_are_another_check(
    world: World,
    change: Callable[[Config], Config],
    plays: dict[str, Play],
    lacks: tuple[Property, ...],
) -> None:
    run(world, plays)
    accepted = frozenset({*lacks})
    again = run(
        world,
        plays,
        config=lambda c: replace(change(required("change")(c)), accepted_missing=accepted),
        lacks=lacks,
    )
    assert (again.status, again.ran["check one"], again.reused) == (Status.PASS, 4, [])


def test_a_run_that_is_gone_is_no_origin(world: World) -> None:
    run(world)
    shutil.rmtree(world.state / "runs" / world.runs()[0])
    assert run(world, config=required("change")).reused == []
