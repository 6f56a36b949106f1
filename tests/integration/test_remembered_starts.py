"""A start with nothing to do that need not look at everything again, in real runs: quick from the
first one on, and as wary as a whole look.

What counts as a change is in tests/unit/test_memory.py, one by one.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from factory.engine import memory
from factory.engine.memory import FILE
from factory.engine.pipeline import RepositoryPipeline
from factory.engine.remember import remember_up_to_date
from factory.engine.run import Run
from factory.engine.wiring import Silent
from factory.files.remains import OPEN_FOLDERS
from factory.files.seals import user_seal
from factory.model.card import Closing
from factory.model.verdict import Status
from tests import in_process
from tests.disks import on_a_disk
from tests.sample import sample
from tests.world import World, run, user_state

pytestmark = pytest.mark.linux

WRITES = (
    'scope: {allowed_paths: ["docs/%s.md"]}\nsteps: [{name: w, run: "mkdir -p docs; echo %s >'
    ' docs/%s.md"}]\n'
)
NAMES = ("TASK-0001-a", "TASK-0002-b")
UNCHANGED = "is up to date: 2 packs unchanged, nothing was run"
# Tells on the error stream whether the real pipeline was made, and every file below this folder
# that was opened.
WATCHED = """\
import os, runpy, sys

here = os.getcwd() + "/"

def hook(event, args):
    if event in ("open", "os.listdir", "os.scandir") and isinstance(args[0], (str, bytes)):
        path = os.path.abspath(os.fsdecode(args[0]))
        if path.startswith(here) and event == "open":
            print("OPENED", path.removeprefix(here), file=sys.__stderr__)
        elif path.startswith(here):
            print("LISTED", path.removeprefix(here), file=sys.__stderr__)

sys.addaudithook(hook)
sys.argv[:] = ["doit", *sys.argv[1:]]
try:
    runpy.run_module("doit", run_name="__main__")
finally:
    print("WHOLE" if "factory.engine.pipeline" in sys.modules else "QUICK", file=sys.__stderr__)
"""


def watched(world: World, *words: str, **env: str):
    return run([sys.executable, "-c", WATCHED, *words], world.root, **env)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A run that ended PASS, on a disk whose change times are believed."""
    with on_a_disk(tmp_path_factory.mktemp("still")) as place:
        world = World(place / "repository")
        for name in ("a", "b"):
            world.pack(f"TASK-000{'ab'.index(name) + 1}-{name}", WRITES % (name, name, name))
        world.commit()
        assert world.doit("oneshot").rc == 0
        yield world


@pytest.fixture
def world(template: World) -> World:
    """That world, up to date and remembered so."""
    return remembered(template)


def remembered(world: World) -> World:
    for _ in range(50):  # what was written within the clock's last tick is not believed yet
        ended = world.doit("oneshot")
        assert ended.rc == 0, ended.text
        if (world.root / FILE).exists() and UNCHANGED in ended.out:
            return world
    pytest.fail(f"expected an up-to-date start to be remembered, found none: {ended.text}")


def test_a_second_start_with_nothing_to_do_looks_at_no_content_and_says_the_same(
    world: World,
) -> None:
    before = (world.root / FILE).read_bytes()
    for words in (("oneshot",), ("-n", "2", "oneshot"), ("summary",)):
        ended = watched(world, *words)
        assert (ended.rc, UNCHANGED in ended.out) == (0, True), ended.text
        assert "QUICK" in ended.err, ended.err
    read = {
        line.removeprefix("OPENED ") for line in ended.err.splitlines() if line.startswith("OPENED")
    }
    assert not [
        path
        for path in read
        if path.startswith(("taskpacks/", ".factory/bundles", ".factory/runs"))
    ]
    assert (world.root / FILE).read_bytes() == before


def test_a_part_that_is_up_to_date_names_no_run(world: World) -> None:
    for phase, packs in (
        ("preflight", ""),
        ("launch", ": 2 packs unchanged"),
        ("bundle-validate", ": 2 packs unchanged"),
    ):
        ended = world.doit(phase)
        assert (ended.rc, ended.said) == (
            0,
            f"PASS  {phase} is up to date{packs}, nothing was run\n",
        ), ended.text
    whole = world.doit("integrate")
    assert (whole.rc, whole.said) == (0, f"PASS  {world.runs()[-1]} {UNCHANGED}\n"), whole.text


def test_every_file_that_a_whole_look_reads_is_remembered(world: World) -> None:
    (world.root / FILE).unlink()
    ended = watched(world, "oneshot")
    assert (ended.rc, "WHOLE" in ended.err, UNCHANGED in ended.out) == (0, True, True), ended.text
    told = [
        line.partition(" ")
        for line in ended.err.splitlines()
        if line.startswith(("OPENED", "LISTED"))
    ]
    content = (world.root / FILE).read_bytes()
    seal = user_seal(Path(user_state(), "codex-orchestrator"), world.state)
    known = memory._parsed(world.root, content, seal)
    assert known.up_to_date is not None
    kept = {os.fsdecode(path) for path in (*known.packs.paths, *known.up_to_date.state.paths)}
    # settings and ignore rules are compared by content; doit's database and locks are asked anew; caches
    # prove nothing; objects are those of a commit
    asked = (".factory/state/doit.sqlite3", ".factory/locks")
    own = (*asked, ".factory/cache", ".factory/state/ledger.json", ".factory/git", ".git/")
    around = {"factory.toml", ".gitignore", "dodo.py", ".factory/.gitignore"}
    # cleared of half-made files only
    swept = {".factory/state", "", ".", *(f".factory/{name}".rstrip("/") for name in OPEN_FOLDERS)}
    unknown = {
        path
        for _, _, path in told
        if path not in kept | around | swept and not path.startswith(own)
    }
    assert unknown == {path for path in unknown if "__pycache__" in path}
    assert {"taskpacks/TASK-0001-a/task.yml", ".factory/ledger.jsonl"} <= kept


def rewrite(path: Path, old: bytes, new: bytes) -> None:
    """Other bytes of the same length, and the times that were there before."""
    before = path.stat()
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_a_byte_of_a_pack_with_its_time_put_back_runs_that_pack(world: World) -> None:
    started = len(world.executed())
    rewrite(world.root / "taskpacks/TASK-0001-a/spec.md", b"one", b"two")
    ended = world.doit("oneshot")
    assert (ended.rc, world.executed()[started:]) == (0, ["TASK-0001"]), ended.text


def test_a_byte_of_a_bundle_with_its_time_put_back_runs_that_pack(world: World) -> None:
    started = len(world.executed())
    rewrite(world.state / "bundles/TASK-0002/SUMMARY.md", b"TASK", b"task")
    ended = world.doit("oneshot")
    assert (ended.rc, world.executed()[started:]) == (0, ["TASK-0002"]), ended.text


def test_the_first_start_after_a_run_looks_at_no_content(world: World) -> None:
    rewrite(world.root / "taskpacks/TASK-0001-a/risk.md", b"e", b"E")
    time.sleep(0.1)  # what changed just before a process began is not believed
    started = len(world.executed())
    assert world.doit("oneshot").rc == 0
    assert world.executed()[started:] == ["TASK-0001"]
    first = watched(world, "oneshot")
    assert (first.rc, "QUICK" in first.err) == (0, True), first.text
    assert first.said == f"PASS  {world.runs()[-1]} {UNCHANGED}\n"


def test_a_change_behind_the_back_of_what_a_run_left_is_seen(world: World) -> None:
    rewrite(world.root / "taskpacks/TASK-0001-a/risk.md", b"N", b"n")
    time.sleep(0.1)
    assert world.doit("oneshot").rc == 0
    started = len(world.executed())
    rewrite(world.state / "bundles/TASK-0001/SUMMARY.md", b"TASK", b"task")
    ended = world.doit("oneshot")
    assert (ended.rc, world.executed()[started:]) == (0, ["TASK-0001"]), ended.text


def test_what_doit_forgot_is_run_again_and_nothing_else(world: World) -> None:
    started = len(world.executed())
    assert world.doit("forget", "launch:TASK-0002-b").rc == 0
    ended = world.doit("oneshot")
    assert (ended.rc, world.executed()[started:]) == (0, ["TASK-0002"]), ended.text


def test_another_setting_and_another_commit_are_looked_at_whole(world: World) -> None:
    assert "WHOLE" in watched(world, "list", "--status", FACTORY_OVERLAP="merge").err
    world.git("commit", "-q", "--allow-empty", "-m", "more")
    ended = world.doit("oneshot")
    assert (ended.rc, UNCHANGED in ended.out) == (0, False), ended.text


ALL = frozenset(
    ("preflight", "integrate", "summary")
    + tuple(f"{phase}:{name}" for phase in ("launch", "bundle-validate") for name in NAMES)
)
TAMPERED: dict[str, str] = {
    "a bundle of a pack that ran": ".factory/bundles/TASK-0001/SUMMARY.md",
    "a file of the run": ".factory/runs/*/Z_integrator/FINAL_REPORT.md",
    "a marker": ".factory/state/launch/TASK-0002-b.json",
    "a pack": "taskpacks/TASK-0001-a/spec.md",
}


def left_by_a_run(world: World, executed: frozenset[str], before: Callable[[], object]) -> bool:
    """Run every card in this process, do something, let the run leave its memory; whether it
    did. `executed` is what it is told to have run.
    """
    began = time.time_ns()
    time.sleep(0.1)  # what a process reads is older than its start
    built = in_process.site(world)
    left: list[bool] = []

    def leave(run: Run, closing: Closing, _executed: frozenset[str]) -> None:
        before()
        (world.root / FILE).unlink(missing_ok=True)
        remember_up_to_date(run, closing, executed, "settings", began, {})
        left.append((world.root / FILE).exists())

    pipeline = RepositoryPipeline(built, Silent(), lambda: (), remember=leave)
    pipeline.begin(Silent())
    results = {card.name: pipeline.execute(card) for card in pipeline.cards()}
    verdicts = {name: result.status for name, result in results.items()}
    assert pipeline.close(verdicts, frozenset(results)).status is Status.PASS
    in_process.close_objects(built)
    return left == [True]


def test_a_run_leaves_what_it_read_once_more(world: World) -> None:
    assert left_by_a_run(world, ALL, lambda: None)


@pytest.mark.parametrize("what", sample([*TAMPERED][::3], [*TAMPERED][1:3]))
def test_what_is_not_as_the_run_wrote_or_read_it_is_not_left(world: World, what: str) -> None:
    undo: list[Callable[[], object]] = []

    def tamper() -> None:
        found = max(world.root.glob(TAMPERED[what]))  # of runs, the latest
        content = found.read_bytes()
        undo.append(lambda: found.write_bytes(content))
        found.write_bytes(content + b" ")

    try:
        assert not left_by_a_run(world, ALL, tamper)
    finally:
        for put_back in undo:
            put_back()


@pytest.mark.parametrize("card", ["launch:TASK-0002-b", "integrate"])
def test_what_is_young_and_no_work_of_the_run_is_not_left(world: World, card: str) -> None:
    """As if another process had written the bundle or the marker of a card that did not run."""
    assert not left_by_a_run(world, ALL - {card, "summary", "preflight"}, lambda: None)


def test_under_policy_ref_too_until_its_commit_is_another(world: World) -> None:
    ref = "refs/remotes/origin/main"
    env = {"FACTORY_POLICY_REF": ref}
    world.git("update-ref", ref, "HEAD")
    for _ in range(50):  # as in `remembered`
        ended = world.doit("oneshot", **env)
        assert ended.rc == 0, ended.text
        if UNCHANGED in ended.out:
            break
    assert "QUICK" in watched(world, "oneshot", **env).err
    tree = world.git("write-tree").strip()
    world.git("update-ref", ref, world.git("commit-tree", "-m", "policy", tree).strip())
    assert "WHOLE" in watched(world, "oneshot", **env).err
