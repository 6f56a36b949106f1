"""What a killed process left half made: cleared under the run lock, or by age; nothing else is
touched.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from factory.files.fs_guard import is_unfinished, write_atomic
from factory.files.remains import clear_remains
from factory.files.state_store import StateStore


def test_the_names_of_half_made_things_are_told_from_all_others() -> None:
    assert all(
        map(
            is_unfinished,
            (".STATUS.json.ab_1cd2e", ".TASK-0001.abcdefgh", ".TASK-0001.abcdefgh.old"),
        )
    )
    assert not any(
        map(
            is_unfinished,
            ("STATUS.json", ".gitignore", "TASK-0001", ".a.log", "a.b.abcdefgh", ".old"),
        )
    )


def test_half_made_things_go_and_whole_ones_stay(tmp_path: Path) -> None:
    store = StateStore(tmp_path)
    for path in (
        "runs/r/.T.abcdefgh/STATUS.json",
        "runs/r/raw/a/.x.log.12345678",
        "runs/r/raw/a/x.log",
        "runs/r/T/S",
    ):
        store.write(path, b"x")
    store.clear_unfinished("runs/r")
    assert store.files("runs/r") == ("T/S", "raw/a/.x.log.12345678", "raw/a/x.log")
    store.clear_unfinished("runs/r/raw", below=True)
    assert store.files("runs/r") == ("T/S", "raw/a/x.log")
    store.clear_unfinished("nowhere")


def test_an_old_folder_comes_back_where_the_new_one_never_came(tmp_path: Path) -> None:
    store = StateStore(tmp_path)
    store.write("bundles/.T-1.abcdefgh.old/STATUS.json", b"the only one")
    store.write("bundles/.T-1.abcdefgh/STATUS.json", b"was to come")
    store.write("bundles/.T-2.abcdefgh.old/STATUS.json", b"was replaced")
    store.write("bundles/T-2/STATUS.json", b"new")
    store.clear_unfinished("bundles")
    assert store.files("bundles") == ("T-1/STATUS.json", "T-2/STATUS.json")
    assert store.read("bundles/T-1/STATUS.json") == b"the only one"


def test_a_folder_that_cannot_take_its_place_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = StateStore(tmp_path)
    store.replace_folder("bundles/T", {"a": b"old"})
    real, count = os.rename, [0]

    def second_fails(*given: str) -> None:
        count[0] += 1
        if count[0] == 2:
            raise OSError(5, "Input/output error")
        real(*given)

    monkeypatch.setattr(os, "rename", second_fails)
    with pytest.raises(Exception, match="Input/output error"):
        store.replace_folder("bundles/T", {"a": b"new"})
    assert store.files("bundles") == ("T/a",)
    assert store.read("bundles/T/a") == b"old"


def test_what_several_may_be_at_goes_by_age_alone(tmp_path: Path) -> None:
    half = (
        "cache/probe-x/f",
        "cache/.etc-0123456789abcdef0123-12-0123abcd/f",
        "cache/evidence/.factory_20260101_000000_00000000_001.run.abcdefgh",
        "cache/evidence/.now.abcdefgh",
        f"cache/checks/.{'0' * 40}.abcdefgh",
        "determinism/.TASK-0001.json.abcdefgh",
        "reviews/.factory_20260101_000000_00000000_001.json.abcdefgh",
        "rebuilds/.factory_20260101_000000_00000000_001.intoto.jsonl.abcdefgh",
        "git/scratch/tmpx/f",
        "git/objects/ab/tmp_obj_x",
        ".a.abcdefgh",
    )
    whole = (
        "cache/etc-0123/f",
        "git/objects/ab/cdef",
        "ledger.jsonl",
        "cache/views/v",
        "cache/checks/0",
    )
    for path in (*half, *whole):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        write_atomic(tmp_path / path, b"x")
    assert clear_remains(tmp_path, before=0.0) == 0
    for place in tmp_path.rglob("*"):
        os.utime(place, (1, 1))
    assert clear_remains(tmp_path, before=2.0) == len(half)
    assert {
        str(place.relative_to(tmp_path)) for place in tmp_path.rglob("*") if place.is_file()
    } == set(whole)
    assert clear_remains(tmp_path / "none", before=2.0) == 0
