"""A start with nothing to do that need not look at everything again, in real runs: quick, and as
wary as a whole look.

What counts as a change is in tests/unit/test_standstill.py, one by one.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from factory.engine import standstill
from factory.files.remains import OPEN_FOLDERS
from factory.model.layout import STANDSTILL, shown
from tests.disks import on_a_disk
from tests.world import World, run

pytestmark = pytest.mark.linux

WRITES = (
    'scope: {allowed_paths: ["docs/%s.md"]}\nsteps: [{name: w, run: "mkdir -p docs; echo %s >'
    ' docs/%s.md"}]\n'
)
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
    """That world, at a standstill that is remembered. Tests put back what they change, or ask for
    `anew`.
    """
    return at_rest(template)


def at_rest(world: World) -> World:
    for _ in range(50):  # what was written within the clock's last tick is not believed yet
        ended = world.doit("oneshot")
        assert ended.rc == 0, ended.text
        if (world.root / shown(STANDSTILL)).exists() and UNCHANGED in ended.out:
            return world
    pytest.fail(f"expected a standstill to be remembered, found none: {ended.text}")


def test_a_second_start_with_nothing_to_do_looks_at_no_content_and_says_the_same(
    world: World,
) -> None:
    before = (world.root / shown(STANDSTILL)).read_bytes()
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
    assert (world.root / shown(STANDSTILL)).read_bytes() == before


def test_a_part_that_holds_names_no_run(world: World) -> None:
    for phase, packs in (
        ("preflight", ""),
        ("launch", ": 2 packs unchanged"),
        ("bundle-validate", ": 2 packs unchanged"),
    ):
        ended = world.doit(phase)
        assert (ended.rc, ended.out) == (
            0,
            f"PASS  {phase} is up to date{packs}, nothing was run\n",
        ), ended.text
    whole = world.doit("integrate")
    assert (whole.rc, whole.out) == (0, f"PASS  {world.runs()[-1]} {UNCHANGED}\n"), whole.text


def test_every_file_that_a_whole_look_reads_is_remembered(world: World) -> None:
    (world.root / shown(STANDSTILL)).unlink()
    ended = watched(world, "oneshot")
    assert (ended.rc, "WHOLE" in ended.err, UNCHANGED in ended.out) == (0, True, True), ended.text
    told = [
        line.partition(" ")
        for line in ended.err.splitlines()
        if line.startswith(("OPENED", "LISTED"))
    ]
    content = (world.root / shown(STANDSTILL)).read_bytes()
    known = standstill._parsed(content)
    kept = {os.fsdecode(path) for path in (*known.packs.paths, *known.state.paths)}
    # settings and ignore rules are the ground; doit's database and locks are asked anew; caches
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
