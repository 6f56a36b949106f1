"""Launching is a function: the same planned pack and objects give the same value wherever it is
called, and nothing but the value is left.
"""

from __future__ import annotations

import base64
import doctest
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from factory.engine import wiring
from factory.model.config import Grant, GrantKind
from factory.model.errors import Refusal
from factory.model.evidence_text import format_document
from factory.model.tree import Tree
from factory.plan import plan as plan_module
from factory.plan.plan import Plan
from factory.plan.planner import Planner
from factory.plan.site import Site
from factory.run.attempt import machine_of
from factory.run.launch import Launched, launch
from factory.run.reading import stacked_base
from tests.in_process import planner
from tests.world import World, environment

pytestmark = pytest.mark.linux


# What a worker on another machine does: PLAN.json comes in, objects are at hand, and nothing else
# of the repository is.
WORKER = """\
import base64, json, os, sys
from pathlib import Path
from factory.engine import wiring
from factory.plan.plan import Plan
from factory.run.attempt import machine_of
from factory.run.launch import launch
site = wiring.site(Path(sys.argv[1]), {})
plan = Plan(sys.stdin.buffer.read(), site.objects, os.environ)
base = site.objects.tree_of(sys.argv[2])
launched = launch(plan.planned("TASK-0001"), base, machine_of(site, wiring.Silent()))
def text(files):
    return {path: base64.b64encode(content).decode() for path, content in files.items()}
events = [[one.event_type, dict(one.hashes), dict(one.details)] for one in launched.events]
print(json.dumps([text(launched.files), text(launched.raw), events]))
site.sandbox.close()
"""


@pytest.fixture
def world(tmp_path: Path) -> World:
    here = World(tmp_path / "here")
    here.pack(
        "TASK-0001-a",
        'scope: {allowed_paths: ["docs/**"]}\n'
        "artifacts: {optional: [made.txt]}\n"
        "env: [GREETING]\n"
        'steps: [{name: s, run: "mkdir docs; echo $GREETING > docs/x; echo said by the step"}]',
        'checks: [{name: there, run: "cat docs/x; echo y > taskpacks/TASK-0001-a/made.txt"}]\n',
    )
    here.commit()
    here.write("taskpacks/TASK-0001-a/spec.md", "# Spec\n\nOnly in the work tree.\n")
    return here


@contextmanager
def planned(world: World) -> Iterator[tuple[Site, Plan, Tree]]:
    """The site, the frozen plan, and the tree that the pack starts from."""
    with planner(world) as (built, planning):
        grants = (Grant(GrantKind.VARIABLE, "GREETING", ""),)
        config = replace(built.config, grants=grants)
        site = replace(built, environment={"GREETING": "hello"}, config=config)
        plan = Planner(site, planning.catalogue).freeze()
        yield site, plan, stacked_base(site.store, site.objects, plan, plan.planned("TASK-0001"))


def launched_here(world: World) -> tuple[Launched, bytes, str]:
    """What comes of the pack, the plan, and the id of the tree that it starts from."""
    with planned(world) as (site, plan, base):
        launched = launch(plan.planned("TASK-0001"), base, machine_of(site, wiring.Silent()))
        return launched, plan.content, base.oid


def test_another_process_gets_the_same_bytes_from_a_copy_of_the_objects(
    world: World, tmp_path: Path
) -> None:
    here, content, base = launched_here(world)
    there = World(tmp_path / "there" / "another name")
    for folder in (".git", ".factory/git"):
        shutil.rmtree(there.root / folder, ignore_errors=True)
        shutil.copytree(world.root / folder, there.root / folder)
    done = subprocess.run(
        [sys.executable, "-c", WORKER, str(there.root), base],
        input=content,
        env=environment(GREETING="hello"),
        capture_output=True,
        check=True,
    )
    files, raw, events = json.loads(done.stdout)
    assert here.status is not None
    assert here.status.status == "PASS"
    assert "ARTIFACTS/taskpacks/TASK-0001-a/made.txt" in here.files
    assert {path: base64.b64decode(text) for path, text in files.items()} == dict(here.files)
    logs = {path: content for path, content in here.raw.items() if path.endswith(".log")}
    assert logs == {path: base64.b64decode(raw[path]) for path in logs}
    assert sorted(logs) == sorted(path for path in raw if path.endswith(".log"))
    assert events == [[one.event_type, dict(one.hashes), dict(one.details)] for one in here.events]


def test_the_example_at_the_top_of_the_plan_is_true(world: World) -> None:
    with planned(world) as (site, plan, _):
        given = {"content": plan.content, "objects": site.objects}
        found = doctest.testmod(plan_module, extraglobs=given)
    assert (found.attempted, found.failed) == (6, 0)


def test_a_pack_that_does_not_come_out_as_planned_is_refused(world: World) -> None:
    with planned(world) as (site, plan, _):
        document = plan.document
        elsewhere = Plan(plan.content, site.objects, {"GREETING": "hello"})
        assert elsewhere.planned("TASK-0001") == plan.planned("TASK-0001")
        with pytest.raises(KeyError):
            elsewhere.planned("TASK-0002")
        other = document.packs[0].model_copy(update={"action_key": "0" * 64})
        content = format_document(document.model_copy(update={"packs": (other,)}))
        for given, variables, what in (
            (content, {"GREETING": "hello"}, "action key"),
            (plan.content, {"GREETING": "bye"}, "variables"),
            (plan.content, {}, "variables"),
        ):
            with pytest.raises(Refusal, match="PLAN") as raised:
                Plan(given, site.objects, variables).planned("TASK-0001")
            (found,) = raised.value.findings
            assert (found.id, found.facts["what"]) == ("PLAN_DISAGREES", what)


def test_launching_records_and_replaces_nothing(world: World) -> None:
    launched, _, _ = launched_here(world)
    kinds = [one.event_type for one in launched.events]
    assert kinds == ["step.finished", "check.finished", "attempt.finished", "pack.finished"]
    assert {one.run_id + one.parent for one in launched.events} == {""}
    assert not (world.state / "ledger.jsonl").exists()
    for folder in ("bundles", "runs"):
        assert not list((world.state / folder).glob("*")), folder
