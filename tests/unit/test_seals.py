"""Seals: who makes them, who believes them, and what becomes of a folder without one."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path

import pytest

from factory.files.seals import SECRET, UserSeal, user_seal
from factory.sandbox.sealed import is_sealed, mac, process_seal, sealed_folder


def test_a_secret_is_made_once_for_this_user_alone(tmp_path: Path) -> None:
    state = tmp_path / "r" / ".factory"
    first = user_seal(tmp_path / "user", state)
    assert first.lasting
    assert user_seal(tmp_path / "user", state) == first
    assert (tmp_path / "user" / SECRET).stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path / "user") == [SECRET]


def test_a_seal_fits_one_user_one_place_one_name_and_one_content(tmp_path: Path) -> None:
    seal = user_seal(tmp_path / "user", tmp_path / "r" / ".factory")
    made = seal("name", "content")
    assert seal.fits(made, "name", "content")
    for other in (
        user_seal(tmp_path / "user", tmp_path / "s" / ".factory"),
        user_seal(tmp_path / "other", tmp_path / "r" / ".factory"),
    ):
        assert not other.fits(made, "name", "content")
    assert not seal.fits(made, "other", "content")
    assert not seal.fits(made, "name", "other")
    assert not seal.fits("", "name", "content")
    assert not seal.fits("\u00e9\ud800", "name", "content")


def test_parts_of_a_seal_cannot_be_shifted() -> None:
    assert mac(bytes(32), "ab", "c") != mac(bytes(32), "a", "bc")
    assert mac(bytes(32), "1:a", "") != mac(bytes(32), "", "1:a")


@pytest.mark.parametrize("kind", ["mode", "link", "folder", "short", "inside", "nowhere"])
def test_where_no_secret_can_be_kept_nothing_lasts(tmp_path: Path, kind: str) -> None:
    folder, state = tmp_path / "user", tmp_path / "r" / ".factory"
    match kind:
        case "mode":
            user_seal(folder, state)
            (folder / SECRET).chmod(0o644)
        case "link":
            user_seal(tmp_path / "other", state)
            folder.mkdir()
            (folder / SECRET).symlink_to(tmp_path / "other" / SECRET)
        case "folder":
            (folder / SECRET).mkdir(parents=True)
        case "short":
            user_seal(folder, state)
            (folder / SECRET).write_bytes(b"short")
        case "inside":
            folder = tmp_path / "r" / "user"
            folder.mkdir(parents=True)
        case "nowhere":
            folder = Path("/proc/nonexistent/user")
    seal = user_seal(folder, state)
    assert not seal.lasting
    assert seal.why
    assert seal != user_seal(folder, state)


def test_processes_that_make_a_secret_at_once_have_the_same(tmp_path: Path) -> None:
    with multiprocessing.get_context("fork").Pool(4) as pool:
        made = pool.starmap(user_seal, [(tmp_path / "user", tmp_path / "r" / ".factory")] * 16)
    assert len({seal.secret for seal in made}) == 1
    assert all(seal.lasting for seal in made)


def build(folder: Path) -> None:
    (folder / "bin").mkdir()
    (folder / "bin" / "python").write_text("true")


def test_a_sealed_folder_is_built_once(tmp_path: Path) -> None:
    place = tmp_path / "cache" / "python-1"
    built: list[Path] = []

    def counted(folder: Path) -> None:
        built.append(folder)
        build(folder)

    for _ in range(2):
        assert sealed_folder(place, process_seal, counted) == place
        assert is_sealed(place, process_seal)
    assert len(built) == 1


@pytest.mark.parametrize("change", ["content", "times", "added", "removed", "replaced", "seal"])
def test_a_folder_that_was_changed_is_built_again(tmp_path: Path, change: str) -> None:
    place = tmp_path / "cache" / "python-1"
    sealed_folder(place, process_seal, build)
    program = place / "bin" / "python"
    match change:
        case "content":
            program.write_text("evil")
        case "times":
            before = program.stat()
            program.write_text("evil")
            os.utime(program, ns=(before.st_atime_ns, before.st_mtime_ns))
        case "added":
            (place / "bin" / "sh").write_text("evil")
        case "removed":
            program.unlink()
        case "replaced":
            program.unlink()
            program.symlink_to("/bin/true")
        case "seal":
            place.with_name(".python-1.seal").write_text("0" * 64)
    assert not is_sealed(place, process_seal)
    sealed_folder(place, process_seal, build)
    assert program.read_text() == "true"
    assert sorted(path.name for path in (place / "bin").iterdir()) == ["python"]


def test_a_folder_that_somebody_else_sealed_is_built_again(tmp_path: Path) -> None:
    place = tmp_path / "python-1"
    sealed_folder(place, UserSeal(b"1" * 32, "/a"), lambda folder: (folder / "evil").mkdir())
    sealed_folder(place, UserSeal(b"2" * 32, "/a"), build)
    assert not (place / "evil").exists()


def test_a_build_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fails(folder: Path) -> None:
        build(folder)
        raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        sealed_folder(tmp_path / "a", process_seal, fails)
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == []
