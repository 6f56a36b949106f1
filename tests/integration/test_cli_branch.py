"""`factory integrate --branch`: the merged result as a branch that is created, never moved; nothing
else is touched.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import pytest

from factory.engine import wiring
from factory.engine.branch import make_branch
from factory.engine.driver import Driver
from factory.engine.oneshot import run_cards
from factory.engine.pipeline import RepositoryPipeline
from factory.git.objects import GitObjects
from factory.model.errors import Refusal
from factory.model.verdict import Status
from factory.report.progress import PlainProgress
from factory.report.terminal import Palette
from tests import in_process
from tests.sample import sample
from tests.world import World

pytestmark = pytest.mark.linux

PACK = """
    scope: {allowed_paths: ["docs/**", "README.md"]}
    steps: [{name: write, run: "mkdir -p docs && echo one > docs/one.txt && echo more >> README.md"}]
"""


@pytest.fixture(params=sample(["sha1"], ["sha256"]))
def world(tmp_path: Path, request: pytest.FixtureRequest) -> World:
    made = World(tmp_path / "repo", object_format=request.param)
    made.pack("TASK-0101-one", PACK)
    made.commit()
    return made


def git_folder(world: World, run_id: str = "") -> dict[str, str]:
    """Every file of .git but objects and the branch in question, by digest."""
    top = world.root / ".git"
    found = {}
    for path in sorted(top.rglob("*")):
        name = str(path.relative_to(top))
        if (
            path.is_file()
            and not name.startswith("objects/")
            and name != f"refs/heads/codex/{run_id}"
        ):
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def work_tree(world: World) -> dict[str, bytes]:
    return {
        str(path.relative_to(world.root)): path.read_bytes()
        for path in sorted(world.root.rglob("*"))
        if path.is_file() and ".git" not in path.parts and ".factory" not in path.parts
    }


def test_branch_holds_the_merged_tree_and_nothing_else_moved(world: World) -> None:
    world.write("README.md", "# Stashed\n")
    world.git("stash")
    world.write("README.md", "# Local change\n")
    world.write("staged.txt", "staged\n")
    world.git("add", "staged.txt")
    git_before, tree_before = git_folder(world), work_tree(world)
    ended = world.factory("integrate", "--branch")
    assert ended.rc == 0, ended.text
    run_id = world.runs()[0]
    assert f"Branch    codex/{run_id} at " in ended.out
    assert git_folder(world, run_id) == git_before
    assert work_tree(world) == tree_before
    assert (
        world.git("rev-parse", f"codex/{run_id}^{{tree}}").strip() == world.status()["merged_tree"]
    )
    assert world.git("rev-parse", f"codex/{run_id}^").strip() == world.status()["base_commit"]
    assert world.git("show", f"codex/{run_id}:docs/one.txt") == "one\n"
    assert world.git("show", f"codex/{run_id}:README.md") == "# A repository\nmore\n"
    assert "staged.txt" not in world.git("ls-tree", "-r", "--name-only", f"codex/{run_id}")
    world.git("fsck", "--strict", "--full")


def test_twice_is_once_and_the_ledger_tells(world: World) -> None:
    assert world.factory("oneshot").rc == 0
    run_id = world.runs()[0]
    for _ in range(2):
        ended = world.factory("integrate", "--branch", "--json")
        assert ended.rc == 0, ended.text
    document = json.loads(ended.out)
    assert document["run_id"] == run_id
    assert document["branch"]["created"] is False
    effects = [event for event in world.events() if event["event_type"].startswith("branch.")]
    assert [event["event_type"] for event in effects] == ["branch.prepared", "branch.created"]
    for event in effects:
        assert event["run_id"] == run_id
        assert event["details"]["ref"] == f"refs/heads/codex/{run_id}"
        assert event["hashes"]["commit"] == world.git("rev-parse", f"codex/{run_id}").strip()
        assert event["hashes"]["tree"] == world.status()["merged_tree"]
    assert world.executed() == ["TASK-0101"]


def test_branch_that_holds_something_else_stays(world: World) -> None:
    assert world.factory("oneshot").rc == 0
    run_id = world.runs()[0]
    world.git("branch", f"codex/{run_id}", "main")
    ended = world.factory("integrate", "--branch")
    assert ended.rc == 2
    assert ended.err.startswith(
        f"REF_MOVED  expected refs/heads/codex/{run_id} at no commit, found: "
    )
    assert world.git("rev-parse", f"codex/{run_id}") == world.git("rev-parse", "main")
    assert "branch.created" not in {event["event_type"] for event in world.events()}
    world.git("branch", "-D", f"codex/{run_id}")
    assert world.factory("integrate", "--branch").rc == 0


def test_branch_whose_name_is_a_folder_of_the_new_one_is_named(world: World) -> None:
    assert world.factory("oneshot").rc == 0
    run_id = world.runs()[0]
    for name in ("codex", f"codex/{run_id}/more"):
        world.git("branch", name, "main")
        ended = world.factory("integrate", "--branch")
        assert ended.rc == 2
        sentence, hint = ended.err.splitlines()[:2]
        asked = "RUN_ID" if name == "codex" else run_id  # refused before any work
        assert sentence.startswith(
            f"REF_MOVED  expected refs/heads/codex/{asked} at no commit, found: refs/heads/{name},"
        )
        assert f"look at {name}, delete or rename it" in hint
        world.git("branch", "-m", name, "elsewhere")
        world.git("branch", "-D", "elsewhere")
    assert world.factory("integrate", "--branch").rc == 0


def test_branch_is_finished_after_a_crash_between_ref_and_ledger(world: World) -> None:
    assert world.factory("integrate", "--branch").rc == 0
    ledger = world.state / "ledger.jsonl"
    lines = ledger.read_bytes().splitlines(keepends=True)
    assert json.loads(lines[-1])["event_type"] == "branch.created"
    ledger.write_bytes(b"".join(lines[:-1]))
    assert world.factory("integrate", "--branch").rc == 0
    assert world.events()[-1]["event_type"] == "branch.created"


def cut_after_prepared(world: World) -> str:
    """A branch whose process died before the ref was made; the run's id."""
    assert world.factory("integrate", "--branch").rc == 0
    ledger = world.state / "ledger.jsonl"
    lines = ledger.read_bytes().splitlines(keepends=True)
    assert [json.loads(line)["event_type"] for line in lines[-2:]] == [
        "branch.prepared",
        "branch.created",
    ]
    ledger.write_bytes(b"".join(lines[:-1]))
    world.git("branch", "-D", f"codex/{world.runs()[0]}")
    return world.runs()[0]


def test_the_next_start_makes_a_branch_that_was_cut_off(world: World) -> None:
    run_id = cut_after_prepared(world)
    assert world.factory("oneshot").rc == 0
    assert world.events()[-1]["event_type"] == "branch.created"
    assert (
        world.git("rev-parse", f"codex/{run_id}^{{tree}}").strip() == world.status()["merged_tree"]
    )
    assert world.runs() == [run_id]


def test_the_next_start_abandons_a_branch_that_cannot_be_made(world: World) -> None:
    run_id = cut_after_prepared(world)
    world.git("branch", f"codex/{run_id}", "main")
    ended = world.factory("oneshot", "--json")
    assert ended.rc == 0, ended.text
    (found,) = [row for row in json.loads(ended.out)["findings"] if row["id"] == "BRANCH_ABANDONED"]
    begins = f"the branch of run {run_id} was cut off, and cannot be made: expected refs/heads/"
    assert found["message"].startswith(begins)
    assert [event["event_type"] for event in world.events()].count("branch.abandoned") == 1
    assert world.git("rev-parse", f"codex/{run_id}") == world.git("rev-parse", "main")
    assert world.factory("ledger-replay").rc == 0
    assert world.differs("--all") == ""
    assert world.factory("oneshot").rc == 0
    assert [event["event_type"] for event in world.events()].count("branch.abandoned") == 1


def test_no_branch_of_what_did_not_pass(world: World) -> None:
    world.pack(
        "TASK-0102-two", "scope: {allowed_paths: [docs/]}\n", "checks: [{name: no, run: 'false'}]\n"
    )
    world.commit()
    ended = world.factory("integrate", "--branch")
    assert ended.rc == 2
    assert world.git("branch", "--list", "codex/*") == ""


@pytest.mark.parametrize(
    ("at", "runs"), [("Z_integrator/STATUS.json", 2), ("Z_integrator/FINAL_REPORT.md", 1)]
)
def test_what_a_crashed_summary_left_is_no_finding_of_a_branch(
    tmp_path: Path, at: str, runs: int
) -> None:
    world = World(tmp_path / "repo")
    world.pack("TASK-0101-one", PACK)
    world.commit()
    crash_at(world, at)
    ended = world.factory("integrate", "--branch")
    assert ended.rc == 0, ended.text
    assert "CRASH" not in ended.text
    assert (
        len(world.runs()) == runs
    )  # a new one where the end had not begun; else the next start finishes it
    assert f"Branch    codex/{world.runs()[-1]} at " in ended.out
    assert world.status()["status"] == "PASS"
    assert (
        world.git("rev-parse", f"codex/{world.runs()[-1]}^{{tree}}").strip()
        == world.status()["merged_tree"]
    )
    assert "CRASH" not in (world.last() / "FINAL_REPORT.txt").read_text()


def crash_at(world: World, name: str) -> None:
    """The main job with a defect: whoever writes the file `name` raises."""
    site = in_process.site(world, store=lambda store: Defective(store, name))
    pipeline = RepositoryPipeline(site, wiring.Silent(), lambda: ())
    display = PlainProgress(io.StringIO(), Palette(False), lambda: 0.0)
    closing = run_cards(
        Driver(lambda: pipeline), ["oneshot"], 1, display, world.state / "state" / "doit.sqlite3"
    )
    cast("GitObjects", site.objects).close()
    assert closing.status is Status.FAIL
    assert (
        "  CRASH  summary met an error of the orchestrator's own: RuntimeError: a defect"
        in closing.lines
    )


class Defective:
    """A store that raises where one file is written."""

    def __init__(self, store, name: str) -> None:
        self._store, self._name = store, name

    def __getattr__(self, name: str):
        return getattr(self._store, name)

    def write(self, path: str, content: bytes, durable: bool = True) -> None:
        if path.endswith(self._name):
            raise RuntimeError("a defect")
        self._store.write(path, content, durable)

    def write_together(self, files: Mapping[str, bytes]) -> None:
        for path, content in files.items():
            self.write(path, content)


def test_a_pack_that_was_not_asked_for_is_not_told_of(tmp_path: Path) -> None:
    world = World(tmp_path / "repo")
    world.pack("TASK-0101-one", PACK)
    world.pack(
        "TASK-0102-two", "scope: {allowed_paths: [docs/]}\n", "checks: [{name: no, run: 'false'}]\n"
    )
    world.commit()
    assert world.factory("oneshot").rc == 2
    ended = world.factory("launch", "TASK-0101")
    assert ended.rc == 0, ended.text
    assert "TASK-0102" not in ended.text


def test_uncommitted_packs_are_said(world: World) -> None:
    world.write("taskpacks/TASK-0101-one/spec.md", "# Other\n\nText.\n")
    ended = world.factory("integrate", "--branch")
    assert ended.rc == 0
    assert "its task packs differ from the base commit, so the run cannot be published" in ended.out
    branch = world.git("branch", "--list", "codex/*", "--format=%(refname:short)").strip()
    assert (
        world.git("show", f"{branch}:taskpacks/TASK-0101-one/spec.md")
        == "# Spec\n\nDoes one thing.\n"
    )


def test_evidence_that_was_edited_makes_no_branch(world: World) -> None:
    assert world.factory("oneshot").rc == 0
    run_id = world.runs()[0]
    site = in_process.site(world)
    refs = site.refs
    try:
        for name in (
            "Z_integrator/CHANGES.bundle",
            "Z_integrator/STATUS.json",
            "RUN_MANIFEST.json",
        ):
            file = world.state / "runs" / run_id / name
            content = file.read_bytes()
            file.write_bytes(content[:-3] + b" " + content[-3:])
            with pytest.raises(Refusal) as refused:
                make_branch(site, refs, run_id)
            assert {finding.id for finding in refused.value.findings} == {"RUN_DAMAGED"}
            assert name in refused.value.findings[0].message
            file.write_bytes(content)
    finally:
        site.sandbox.close()
        refs.close()
    assert world.git("branch", "--list", "codex/*") == ""


def test_branch_is_of_the_run_that_integrated(world: World) -> None:
    assert world.factory("oneshot").rc == 0
    first = world.runs()[0]
    assert world.doit("forget", "launch").rc == 0
    assert (
        world.factory("launch").rc == 0
    )  # a later run, which merged nothing, from the same bundle
    ended = world.factory("integrate", "--branch", "--json")
    assert ended.rc == 0, ended.text
    assert json.loads(ended.out)["run_id"] in (first, *world.runs()[2:])
    assert world.git("branch", "--list", "codex/*") != ""
