"""What every state folder promises, the one on a disk and the one in memory alike."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from factory.files.ports import Store
from factory.files.state_store import StateStore
from factory.model.errors import Refusal
from tests.fakes.store import MemoryStore

MAKERS: dict[str, Callable[[Path], Store]] = {
    "disk": StateStore,
    "memory": lambda _: MemoryStore(),
}
PRIVATE = b"AKIA" + b"Q3EGRTQ7ZMXKOPLA"  # of the form of a cloud's access key


@pytest.fixture(params=MAKERS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return MAKERS[request.param](tmp_path)


def test_what_is_written_reads_back_and_what_is_not_there_is_nothing(store: Store) -> None:
    store.write("a/b.txt", b"one")
    store.write("a/b.txt", b"two", durable=False)
    assert (store.read("a/b.txt"), store.size("a/b.txt")) == (b"two", 3)
    assert store.sha256("a/b.txt").startswith("3fc4ccfe")
    assert (store.read("a"), store.read("none"), store.sha256("none")) == (None, None, "")
    assert (store.size("none"), store.names("none"), store.files("none")) == (0, (), ())


def test_names_are_direct_and_files_are_all_below_both_sorted(store: Store) -> None:
    store.write_together({"f/b": b"1", "f/d/a": b"2", "f/a": b"3"})
    assert store.names("f") == ("a", "b", "d")
    assert store.files("f") == ("a", "b", "d/a")
    assert list(store.digests("f")) == ["a", "b", "d/a"]
    assert store.digests("f")["d/a"] == store.sha256("f/d/a")


def test_a_file_or_a_folder_is_removed_and_nothing_more(store: Store) -> None:
    store.write_together({"s/f/a": b"1", "s/f/d/a": b"2", "s/fg": b"3"})
    store.remove("s/f/d")
    assert store.files("s") == ("f/a", "fg")
    store.remove("s/f/a")
    store.remove("s/none")
    assert store.read("s/fg") == b"3"


def test_a_move_replaces_what_is_there(store: Store) -> None:
    store.write_together({"s/old/a": b"1", "s/old/d/b": b"2", "s/new/c": b"3"})
    store.move("s/old", "s/new")
    assert store.files("s") == ("new/a", "new/d/b")
    store.move("s/new/a", "x")
    assert store.read("x") == b"1"


def test_a_folder_is_replaced_whole(store: Store) -> None:
    store.replace_folder("b/T-1", {"a": b"1", "d/b": b"2"})
    store.replace_folder("b/T-1", {"c": b"3"})
    assert store.files("b/T-1") == ("c",)
    store.replace_folders([("b/T-2", [("x", b"4")]), ("r/T-1", [("y", b"5")])])
    assert (store.files("b"), store.files("r")) == (("T-1/c", "T-2/x"), ("T-1/y",))


def test_folders_are_copied_over_what_is_there(store: Store) -> None:
    store.write_together({"b/T-1/a": b"1", "b/T-2/d/b": b"2", "r/T-1/old": b"3"})
    store.copy_folder("b/T-1", "r/T-1")
    store.copy_folders({"b/T-2": "r/T-2"})
    assert store.files("r") == ("T-1/a", "T-2/d/b")


def test_the_store_of_a_folder_is_the_same_store_and_confined_to_it(store: Store) -> None:
    store.write("r/one/a", b"1")
    below = store.below("r/one")
    below.write("b", b"2")
    assert (below.read("a"), store.read("r/one/b")) == (b"1", b"2")
    with pytest.raises(Refusal):
        below.write("../two/c", b"3")
    assert store.files("r") == ("one/a", "one/b")


@pytest.mark.parametrize("path", ["../x", "a/../../x", "/x"])
def test_nothing_outside_is_written(store: Store, path: str) -> None:
    for write in (
        lambda: store.write(path, b"x"),
        lambda: store.write_together({"s/fine": b"1", path: b"x"}),
        lambda: store.replace_folder("s/folder", {"fine": b"1", path: b"x"}),
    ):
        with pytest.raises(Refusal) as caught:
            write()
        assert [finding.id for finding in caught.value.findings] == ["PATH_UNSAFE"]
    assert store.files("s") == ()


def test_what_carries_a_credential_is_refused_before_anything_is_written(store: Store) -> None:
    store.write("b/T-1/a", b"1")
    for write in (
        lambda: store.write("b/x", PRIVATE),
        lambda: store.write_together({"b/y": b"fine", "b/x": PRIVATE}),
        lambda: store.replace_folder("b/T-1", {"c": b"fine", "d": PRIVATE}),
    ):
        with pytest.raises(Refusal) as caught:
            write()
        assert caught.value.findings[0].id == "SECRET_WITHHELD"
    assert store.files("b") == ("T-1/a",)


def test_the_state_folder_itself_is_no_path(store: Store) -> None:
    for ask in (store.names, store.files, store.read, store.remove):
        with pytest.raises(Refusal):
            ask("")


def test_a_folder_is_no_place_for_a_file(store: Store) -> None:
    store.write("d/a", b"1")
    with pytest.raises(Refusal) as caught:
        store.write("d", b"2")
    assert caught.value.findings[0].id == "DISK_UNWRITABLE"
    assert store.read("d/a") == b"1"


def test_clearing_what_is_unfinished_keeps_what_is_whole(store: Store) -> None:
    store.write_together({"r/a": b"1", "r/d/b": b"2"})
    store.clear_unfinished("r", below=True)
    assert store.files("r") == ("a", "d/b")
