"""What a commit, a copy, a restored cache or another user brings is no memory of this user: nothing
of it stands for work that was not done.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.world import Ended, World

pytestmark = pytest.mark.linux

TASK = """
inputs: [src/]
scope: {allowed_paths: [src/out.txt]}
steps: [{name: w, run: "cp src/a.txt src/out.txt"}]
"""
PACK = "TASK-0001"


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A repository with one pack, at a place that another clone can take."""
    world = World(tmp_path / "repository")
    world.write("src/a.txt", "base\n")
    world.pack(f"{PACK}-x", TASK, 'checks: [{name: ok, run: "test -s src/out.txt"}]')
    world.commit("packs")
    return world


def user(tmp_path: Path, name: str) -> dict[str, str]:
    """The environment of another user of this host, as far as what is remembered goes."""
    folder = tmp_path / name
    folder.mkdir(exist_ok=True)
    return {"XDG_STATE_HOME": str(folder)}


def starts(world: World) -> int:
    """How often the pack was run at this place, by its ledger."""
    return world.executed().count(PACK)


def ended(world: World, **env: str) -> Ended:
    done = world.factory("oneshot", **env)
    assert done.rc == 0, done.text
    return done


def test_a_start_of_the_same_user_at_the_same_place_believes_its_memory(world: World) -> None:
    ended(world)
    assert "nothing was run" in ended(world).out
    assert starts(world) == 1


def test_the_memory_of_another_user_is_not_believed(world: World, tmp_path: Path) -> None:
    ended(world, **user(tmp_path, "one"))
    second = ended(world, **user(tmp_path, "other"))
    assert starts(world) == 2
    assert "STATE_NOT_SEALED" in world.findings()
    assert "without such a seal" in second.text
    assert "nothing was run" in ended(world, **user(tmp_path, "other")).out
    assert starts(world) == 2


def test_a_secret_that_was_removed_costs_time_only(world: World, tmp_path: Path) -> None:
    ended(world, **user(tmp_path, "one"))
    shutil.rmtree(tmp_path / "one")
    ended(world, **user(tmp_path, "one"))
    assert starts(world) == 2


def test_a_copy_of_the_repository_begins_anew(world: World, tmp_path: Path) -> None:
    ended(world)
    copy = World(Path(shutil.copytree(world.root, tmp_path / "copy", symlinks=True)))
    ended(copy)
    assert starts(copy) == 2


def test_a_restored_state_folder_is_not_believed(world: World, tmp_path: Path) -> None:
    """As a cache of CI brings it: made elsewhere, at the same path."""
    ended(world, **user(tmp_path, "attacker"))
    saved = tmp_path / "saved"
    world.state.rename(saved)
    ended(world)
    for name in ("state", "bundles", "cache"):
        shutil.rmtree(world.state / name)
        shutil.copytree(saved / name, world.state / name, symlinks=True)
    ended(world)
    assert starts(world) == 2


def test_a_bundle_put_in_the_place_of_one_that_passed_is_run_again(
    world: World, tmp_path: Path
) -> None:
    ended(world)
    kept = tmp_path / "kept"
    shutil.copytree(world.state / "bundles" / PACK, kept)
    world.write("src/a.txt", "changed\n")
    world.commit("change")
    ended(world)
    shutil.rmtree(world.state / "bundles" / PACK)
    shutil.copytree(kept, world.state / "bundles" / PACK)
    again = ended(world)
    assert starts(world) == 3
    assert "not the one that passed" in again.text
    assert world.bundle(PACK, "FILES_CHANGED.json")["files"]


def test_a_state_folder_that_a_commit_brings_blocks(world: World) -> None:
    ended(world)
    world.git("add", "-f", ".factory/state", ".factory/bundles", ".factory/ledger.jsonl")
    world.git("commit", "-q", "-m", "pull request")
    done = world.factory("oneshot")
    assert done.rc == 2
    assert "STATE_TRACKED" in world.findings()
    assert "git rm -r -q --cached .factory" in done.text


def test_without_a_private_folder_every_start_does_everything_again(world: World) -> None:
    nowhere = {"XDG_STATE_HOME": "/proc/nonexistent"}
    for count in (1, 2):
        ended(world, **nowhere)
        assert starts(world) == count
        assert "SEAL_NOT_KEPT" in world.findings()


def test_a_cached_interpreter_that_was_changed_answers_nothing(world: World) -> None:
    world.write("src/t.py", "raise SystemExit(1)\n")
    world.pack("TASK-0002-y", 'scope: {allowed_paths: ["b"]}', 'tests: "python src/t.py"')
    world.commit("a test that fails")
    real = {"PYTHONHASHSEED": "0"}  # a start of its own, with copies of its own
    assert world.factory("oneshot", **real).rc == 2
    (view,) = world.state.glob("cache/python-*")
    program = view / "bin" / "python"
    program.unlink()
    program.write_text(
        '#!/bin/sh\ncase "$*" in *t.py*) exit 0;; esac\nexec /opt/venv/bin/python3 "$@"\n'
    )
    program.chmod(0o755)
    (etc,) = world.state.glob("cache/etc-[0-9a-f]*")
    (etc / "passwd").write_text("poisoned\n")
    assert world.factory("oneshot", **real).rc == 2
    assert (etc / "passwd").read_text() != "poisoned\n"
    assert program.is_symlink()


def cut_off(world: World) -> None:
    """Leave what a run leaves that is killed after its pack was finished."""
    path = world.state / "ledger.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    last = max(at for at, line in enumerate(lines) if '"event_type":"pack.finished"' in line)
    path.write_text("".join(lines[: last + 1]))
    (run,) = world.runs()
    for name in (f"runs/{run}/{PACK}", f"runs/{run}/Z_integrator", f"runs/{run}/attestations"):
        shutil.rmtree(world.state / name)
    (world.state / f"runs/{run}/RUN_MANIFEST.json").unlink()
    shutil.rmtree(world.state / "state")


def test_a_run_that_somebody_else_cut_off_is_not_carried_on(world: World, tmp_path: Path) -> None:
    ended(world, **user(tmp_path, "attacker"))
    cut_off(world)
    ended(world)
    assert starts(world) == 2


def test_a_run_that_a_clone_brings_is_not_carried_on(world: World, tmp_path: Path) -> None:
    ended(world, **user(tmp_path, "attacker"))
    cut_off(world)
    world.git("add", "-f", ".factory")
    world.git("commit", "-q", "-m", "pull request")
    world.root.rename(tmp_path / "source")
    World(tmp_path / "other").git("clone", "-q", str(tmp_path / "source"), str(world.root))
    world.git("rm", "-r", "-q", "--cached", ".factory")
    world.git("commit", "-q", "-m", "as the finding says")
    ended(world)
    assert starts(world) == 2


def test_a_run_that_somebody_else_prepared_is_not_finished(world: World, tmp_path: Path) -> None:
    """Its end would be signed by this user's key."""
    ended(world, **user(tmp_path, "attacker"))
    path = world.state / "ledger.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    last = max(at for at, line in enumerate(lines) if '"event_type":"integrate.prepared"' in line)
    path.write_text("".join(lines[: last + 1]))
    (run,) = world.runs()
    shutil.rmtree(world.state / f"runs/{run}/attestations")
    (world.state / f"runs/{run}/RUN_MANIFEST.json").unlink()
    shutil.rmtree(world.state / "state")
    done = ended(world)
    assert "RUN_ABANDONED" in world.findings()
    assert "not recorded by this user" in done.text
    assert not (world.state / f"runs/{run}/RUN_MANIFEST.json").exists()
    assert starts(world) == 2


def test_no_branch_is_made_of_a_run_that_somebody_else_recorded(
    world: World, tmp_path: Path
) -> None:
    attacker = user(tmp_path, "attacker")
    ended(world, **attacker)
    made = world.factory("integrate", "--branch", **attacker)
    assert made.rc == 0, made.text
    world.git("branch", "-D", f"codex/{world.runs()[0]}")
    again = world.factory("integrate", "--branch")
    assert again.rc == 0, again.text
    assert len(world.runs()) == 2
    branches = world.git("branch", "--list", "codex/*").split()
    assert branches == [f"codex/{world.runs()[-1]}"]


def test_an_older_ledger_that_is_put_back_blocks(world: World, tmp_path: Path) -> None:
    ended(world)
    shutil.copytree(world.state, tmp_path / "old", symlinks=True)
    world.write("src/a.txt", "changed\n")
    world.commit("change")
    ended(world)
    shutil.rmtree(world.state)
    shutil.copytree(tmp_path / "old", world.state, symlinks=True)
    done = world.factory("oneshot")
    assert done.rc == 2
    assert "LEDGER_ROLLED_BACK" in done.text
    assert "an older one was put back" in done.text


def test_another_ledger_of_the_same_length_blocks(world: World, tmp_path: Path) -> None:
    ended(world, **user(tmp_path, "one"))
    shutil.copytree(world.state, tmp_path / "old", symlinks=True)
    shutil.rmtree(world.state)
    ended(world)
    shutil.rmtree(world.state)
    shutil.copytree(tmp_path / "old", world.state, symlinks=True)
    done = world.factory("oneshot")
    assert done.rc == 2, done.text
    assert "LEDGER_REWRITTEN" in done.text or "LEDGER_ROLLED_BACK" in done.text


def test_a_state_folder_that_was_removed_begins_anew_and_says_so(world: World) -> None:
    ended(world)
    last = world.events()[-1]
    world.git("clean", "-fdxq")
    done = ended(world)
    assert "LEDGER_RESTARTED" in world.findings()
    assert "another one begins" in done.text
    first = world.events()[0]
    assert first["event_type"] == "ledger.restarted"
    assert first["hashes"]["last"] == last["event_id"]
    assert first["file_counts"]["events"] == last["seq"]
    assert starts(world) == 1
    assert "INTACT" in world.factory("verify").out
