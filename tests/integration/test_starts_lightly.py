"""What a start does not load: a run never waits for pydantic, and one with nothing to do for little."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.disks import on_a_disk
from tests.world import World, run

pytestmark = pytest.mark.linux

NEVER = {"pydantic", "pydantic_core", "jsonschema"}
NOT_IF_UNCHANGED = NEVER | {
    "yaml",
    "cryptography",
    "filelock",
    "ssl",
    "factory.engine.wiring",
    "factory.engine.pipeline",
    "factory.model.evidence",
    "factory.contract.contract",
    "factory.sandbox.host_sandbox",
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with on_a_disk(tmp_path_factory.mktemp("light")) as place:
        world = World(place / "repository")
        world.pack(
            "TASK-0001-a",
            'scope: {allowed_paths: ["docs/**"]}\n'
            'steps: [{name: s, run: "mkdir docs; touch docs/x"}]\n',
        )
        world.commit()
        yield world


def loaded(world: World, *words: str) -> tuple[set[str], str]:
    """The modules that a command imports, and what it prints; Python itself lists them."""
    ended = run([sys.executable, "-X", "importtime", "-m", *words], world.root)
    assert ended.rc == 0, ended.text
    return set(re.findall(r"\|\s+([\w.]+)$", ended.err, re.MULTILINE)), ended.out


def test_a_whole_run_loads_no_builder_of_models(world: World) -> None:
    modules, said = loaded(world, "factory", "oneshot")
    assert "summary          PASS" in said
    assert "factory.engine.wiring" in modules, "the list of modules is one"
    assert modules & NEVER == set()


@pytest.mark.parametrize("program", ["factory", "doit"])
def test_nothing_changed_opens_nothing(world: World, program: str) -> None:
    world.doit("oneshot")
    modules, said = loaded(world, program, "oneshot")
    assert re.fullmatch(
        r"PASS  \S+ is up to date: 1 pack unchanged, nothing was run\nPolicy    .*\nNext .*\n", said
    )
    assert modules & NOT_IF_UNCHANGED == set()
    assert "factory.engine.memory" in modules


def test_nothing_changed_says_the_same_to_machines(world: World, tmp_path: Path) -> None:
    world.doit("oneshot")
    told = run([sys.executable, "-m", "factory", "oneshot", "--json"], world.root)
    assert '"base_commit"' in told.out
    assert '"cards"' in told.out
    kept = tmp_path / "out.json"
    words = [sys.executable, "-m", "factory", "oneshot", "--json-out", str(kept)]
    assert run(words, world.root).rc == 0
    assert '"base_commit"' in kept.read_text("utf-8")


def test_a_changed_pack_is_run_although_the_last_run_is_remembered(world: World) -> None:
    world.doit("oneshot")
    world.write("taskpacks/TASK-0001-a/spec.md", "# Another\n\nOf the same length, or not.\n")
    modules, said = loaded(world, "factory", "oneshot")
    assert "factory.run.launch" in modules
    assert "launch           TASK-0001  PASS" in said


def test_local_changes_that_no_pack_sees_are_one_line_of_an_unchanged_start(world: World) -> None:
    assert world.doit("oneshot").rc == 0
    clean = world.doit("oneshot").out
    world.write("notes.txt", "mine\n")
    warned = "REPO_DIRTY  notes.txt  expected no local change outside the task packs, found 1: 'notes.txt'"
    remembered = world.doit("oneshot")
    (world.state / "cache" / "memory").unlink()
    opened = world.doit("oneshot")
    (world.root / "notes.txt").unlink()
    assert opened.out.splitlines()[0] == clean.splitlines()[0] == remembered.out.splitlines()[0]
    for ended in (remembered, opened):
        assert (ended.rc, ended.out.count("REPO_DIRTY")) == (0, 1), ended.text
        assert ended.out.splitlines()[-1].startswith(warned)
    assert world.doit("oneshot").out == clean
