"""Launching is a function: the same planned pack and objects give the same value wherever it is
called, and nothing but the value is left.
"""

from __future__ import annotations

import os
import pickle
import shutil
import tempfile
from pathlib import Path
from types import MappingProxyType

import pytest

from factory.engine import wiring
from factory.plan.planner import PlannedPack
from factory.run.attempt import machine_of
from factory.run.launch import Launched, launch
from factory.run.reading import stacked_base
from tests.in_process import close, planner
from tests.world import World, environment

pytestmark = pytest.mark.linux


@pytest.fixture
def world(tmp_path: Path) -> World:
    here = World(tmp_path / "here")
    here.pack(
        "TASK-0001-a",
        'scope: {allowed_paths: ["docs/**"]}\n'
        "artifacts: {optional: [made.txt]}\n"
        'steps: [{name: s, run: "mkdir docs; echo x > docs/x; echo said by the step"}]',
        'checks: [{name: there, run: "cat docs/x; echo y > taskpacks/TASK-0001-a/made.txt"}]\n',
    )
    here.commit()
    here.write("taskpacks/TASK-0001-a/spec.md", "# Spec\n\nOnly in the work tree.\n")
    return here


def launched_at(root: Path, planned: PlannedPack, base: str) -> Launched:
    """Launch with the objects of the repository at `root` alone."""
    site = wiring.site(root, {})
    try:
        tree = site.objects.tree_of(base)
        return launch(planned, tree, machine_of(site, wiring.Silent()))
    finally:
        close(site)


def launched_in_a_process(root: Path, planned: PlannedPack, base: str) -> Launched:
    """Launch in a child of this process, which ends with it."""
    with tempfile.TemporaryFile() as answer:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                os.environ.clear()
                os.environ.update(environment())
                written = pickle.Pickler(answer)
                written.dispatch_table = {MappingProxyType: lambda it: (dict, (dict(it),))}
                written.dump(launched_at(root, planned, base))
                answer.flush()
                code = 0
            finally:
                os._exit(code)
        assert os.waitpid(child, 0)[1] == 0
        answer.seek(0)
        launched = pickle.load(answer)
        assert isinstance(launched, Launched)
        return launched


def planned_here(world: World) -> tuple[PlannedPack, str]:
    """The pack's plan, and the id of the tree that it starts from."""
    with planner(world) as (site, plan):
        planned = plan.planned("TASK-0001")
        return planned, stacked_base(site.store, site.objects, plan, planned).oid


def told(launched: Launched) -> list[tuple[str, object, object]]:
    """What the events say, without what is measured."""
    return [(one.event_type, one.hashes, one.details) for one in launched.events]


def test_another_process_gets_the_same_bytes_from_a_copy_of_the_objects(
    world: World, tmp_path: Path
) -> None:
    planned, base = planned_here(world)
    there = World(tmp_path / "there" / "another name")
    for folder in (".git", ".factory/git"):
        shutil.rmtree(there.root / folder, ignore_errors=True)
        shutil.copytree(world.root / folder, there.root / folder)
    here = launched_at(world.root, planned, base)
    other = launched_in_a_process(there.root, planned, base)
    assert here.status is not None
    assert here.status.status == "PASS"
    assert (other.status, dict(other.files)) == (here.status, dict(here.files))
    assert "ARTIFACTS/taskpacks/TASK-0001-a/made.txt" in here.files
    logs = {path: raw for path, raw in here.raw.items() if path.endswith(".log")}
    assert logs == {path: raw for path, raw in other.raw.items() if path.endswith(".log")}
    assert told(here) == told(other)


def test_launching_records_and_replaces_nothing(world: World) -> None:
    launched = launched_at(world.root, *planned_here(world))
    kinds = [one.event_type for one in launched.events]
    assert kinds == ["step.finished", "check.finished", "attempt.finished", "pack.finished"]
    assert {one.run_id + one.parent for one in launched.events} == {""}
    assert not (world.state / "ledger.jsonl").exists()
    for folder in ("bundles", "runs"):
        assert not list((world.state / folder).glob("*")), folder
