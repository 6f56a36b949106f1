"""`doit list` from kept cards: the same lines, nothing heavy is loaded, and nothing but a list uses
them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from factory.engine.memory import FILE
from factory.files.seals import UserSeal, user_seal
from tests.world import World, run, user_state

pytestmark = pytest.mark.linux

HEAVY = (
    "pydantic",
    "yaml",
    "jsonschema",
    "cryptography",
    "factory.engine.wiring",
    "subprocess.run",
    "filelock",
    "ssl",
    "factory.model.config",
    "factory.model.pack",
    "factory.sandbox.values",
    "factory.trust.grant_store",
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    world = World(tmp_path_factory.mktemp("listed") / "repository")
    world.pack("A-1-first", "steps: []")
    world.pack("B-2-second", "steps: []\ndepends_on: [A-1]")
    world.commit()
    return world


def forged(world: World, seal: Callable[[str, str], str]) -> bytes:
    """The remembered cards without the second pack, under this seal."""
    from hashlib import sha256

    _, line, paths = (world.root / FILE).read_bytes().split(b"\n", 2)
    head = json.loads(line)
    gone = "bundle-validate:B-2-second"
    rows = [
        [[one for one in cell if one != gone] if isinstance(cell, list) else cell for cell in row]
        for row in head["cards"]
        if row[2] != "B-2"
    ]
    rest = json.dumps({**head, "cards": rows}).encode() + b"\n" + paths
    return seal("cache/memory", sha256(rest).hexdigest()).encode() + b"\n" + rest


def test_a_second_list_says_the_same_and_loads_nothing_heavy(world: World) -> None:
    first = world.doit("list", "--all", "--deps")
    kept = (world.root / FILE).read_bytes()
    again = run(
        [sys.executable, "-X", "importtime", "-m", "doit", "list", "--all", "--deps"], world.root
    )
    assert (first.rc, again.rc) == (0, 0), first.text
    assert sorted(again.out.splitlines()) == sorted(
        first.out.splitlines()
    )  # doit's own order of files varies
    loaded = {line.rpartition("|")[2].strip() for line in again.err.splitlines()}
    assert "factory.engine.memory" in loaded
    assert not loaded.intersection(HEAVY)
    assert (world.root / FILE).read_bytes() == kept


def test_a_changed_pack_is_read_again(world: World) -> None:
    world.doit("list")
    spec = world.root / "taskpacks/A-1-first/task.yml"
    before = spec.read_text()
    spec.write_text(before.replace("steps: []", "nonsense: 1"))
    try:
        assert "its contract is not valid" in world.doit("list", "--all").out
    finally:
        spec.write_text(before)
    assert "its contract is not valid" not in world.doit("list", "--all").out


def test_cards_that_another_user_forged_are_not_listed(world: World) -> None:
    world.doit("list")
    place: Path = world.root / FILE
    place.write_bytes(forged(world, UserSeal(bytes(32), str(world.state))))
    assert "B-2-second" in world.doit("list", "--all").out


def test_cards_that_this_user_forged_are_listed_and_nothing_more(world: World) -> None:
    world.doit("list")
    place: Path = world.root / FILE
    honest = place.read_bytes()
    own = user_seal(Path(user_state(), "codex-orchestrator"), world.state)
    place.write_bytes(forged(world, own))
    try:
        assert "B-2-second" not in world.doit("list", "--all").out
        assert "launch:B-2-second" in world.doit("info", "launch:B-2-second").out
    finally:
        place.write_bytes(honest)
