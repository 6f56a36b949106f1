"""A configuration that is there and cannot be read as a plain file is a refusal, never "none"."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from factory.files.config_files import LARGEST
from tests.world import World

pytestmark = pytest.mark.linux

PACK = 'scope: {allowed_paths: [src/]}\nsteps: [{run: "mkdir -p src; echo x > src/b.txt"}]\n'
TEXT = 'version = 1\n[safety]\nprotected = ["src/"]\n'


def link(place: Path) -> None:
    (place.parent / "real.toml").write_text(TEXT)
    place.symlink_to("real.toml")


def link_to_nothing(place: Path) -> None:
    place.symlink_to("nowhere")


def unreadable(place: Path) -> None:
    place.write_text(TEXT)
    place.chmod(0)
    if os.access(place, os.R_OK):  # root reads everything
        place.chmod(0o644)
        place.write_text("#" * (LARGEST + 1))


KINDS: dict[str, tuple[Callable[[Path], None], str]] = {
    "link": (link, "found a symbolic link"),
    "link to nothing": (link_to_nothing, "found a symbolic link"),
    "folder": (Path.mkdir, "found a folder"),
    "pipe": (os.mkfifo, "found something else"),
    "unreadable": (unreadable, "found "),
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    made = World(tmp_path_factory.mktemp("world") / "repository")
    made.pack("TASK-0001-a", PACK)
    made.commit()
    assert made.factory("oneshot").rc == 0
    return made


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_refused_by_every_command_that_reads_it(world: World, kind: str) -> None:
    make, found = KINDS[kind]
    place = world.root / "factory.toml"
    make(place)
    runs = world.runs()
    try:
        for words in ("oneshot", "plan", "why TASK-0001", "contract", "config", "preflight"):
            ended = world.factory(*words.split())
            assert ended.rc == 2, (words, ended.text)
            assert "CONFIG_UNREADABLE" in ended.text or words == "contract"
            assert "expected factory.toml to be a plain file or absent" in ended.text
            assert found in ended.text
        assert "CONFIG_UNREADABLE" in world.factory("doctor").text
        assert "is a plain file or absent" not in world.doit("list").text
        assert world.doit("oneshot").rc != 0
        assert world.runs() == runs
    finally:
        place.rmdir() if kind == "folder" else place.unlink()


@pytest.mark.parametrize("kind", ["link to nothing", "folder", "pipe", "unreadable"])
def test_so_is_the_users_own(world: World, tmp_path: Path, kind: str) -> None:
    place = tmp_path / "codex-orchestrator/factory.toml"
    place.parent.mkdir()
    KINDS[kind][0](place)
    for words in ("oneshot", "config", "plan"):
        ended = world.factory(*words.split(), XDG_CONFIG_HOME=str(tmp_path))
        assert ended.rc == 2, ended.text
        assert "CONFIG_UNREADABLE" in ended.text


def test_the_users_own_may_be_a_link_but_not_into_the_work_tree(
    world: World, tmp_path: Path
) -> None:
    place = tmp_path / "codex-orchestrator/factory.toml"
    place.parent.mkdir()
    (tmp_path / "kept.toml").write_text(TEXT)
    place.symlink_to(tmp_path / "kept.toml")
    assert "src/" in world.factory("config", XDG_CONFIG_HOME=str(tmp_path)).out
    (tmp_path / "kept.toml").write_text(TEXT.replace("src/", "other/"))
    ended = world.factory("oneshot", XDG_CONFIG_HOME=str(tmp_path))
    assert "Nothing changed" not in ended.out
    place.unlink()
    (world.root / "mine.toml").write_text("version = 1\n")
    place.symlink_to(world.root / "mine.toml")
    ended = world.factory("plan", XDG_CONFIG_HOME=str(tmp_path))
    (world.root / "mine.toml").unlink()
    assert ended.rc == 2
    assert "found one that lies in the work tree" in ended.text


def broken_pack(place: Path) -> None:
    place.symlink_to("nowhere")


def linked_pack(place: Path) -> None:
    place.symlink_to("TASK-0001-a")


@pytest.mark.parametrize("make", [broken_pack, linked_pack])
def test_no_pack_that_is_a_link_is_passed_over(world: World, make: Callable[[Path], None]) -> None:
    place = world.root / "taskpacks/TASK-0002-b"
    make(place)
    ended = world.factory("contract")
    place.unlink()
    assert ended.rc == 2
    assert "taskpacks/TASK-0002-b is a symbolic link, expected a folder" in ended.text


@pytest.mark.parametrize("above", ["packs", "packs/deep"])
def test_no_folder_of_packs_is_reached_through_a_link(tmp_path: Path, above: str) -> None:
    made = World(tmp_path / "repository")
    made.pack("TASK-0001-a", PACK)
    (made.root / "packs").mkdir()
    (made.root / "real").mkdir()
    (made.root / "taskpacks").rename(made.root / "real/deep")
    if above == "packs":
        (made.root / "packs").rmdir()
        (made.root / "packs").symlink_to("real")
    else:
        (made.root / "packs/deep").symlink_to("../real/deep")
    made.write("factory.toml", 'version = 1\n[packs]\nfolder = "packs/deep"\n')
    made.commit()
    ended = made.factory("plan")
    assert ended.rc == 2
    assert f"{above} is a symbolic link, expected a folder" in ended.text


def test_a_packs_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    made = World(tmp_path / "repository")
    made.write("taskpacks", "no folder\n")
    made.commit()
    ended = made.factory("plan")
    assert ended.rc == 2
    assert "taskpacks is no folder" in ended.text
