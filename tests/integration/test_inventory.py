"""Run folders by content: what is read, what is remembered, and every change that must be
noticed.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from factory.evidence import inventory, inventory_memory
from factory.evidence.inventory import RunInventory
from factory.files.seals import UserSeal
from factory.model.errors import Refusal
from factory.model.layout import SURVEYS

pytestmark = pytest.mark.linux

SETTLED = 0.06  # seconds after which a change time is far enough from the next reading


@pytest.fixture
def root(tmp_path: Path) -> Path:
    run = tmp_path / "runs" / "r1"
    for path, content in {
        "a": b"1",
        "T-1/STATUS.json": b'{\n  "schema_version": 1\n}\n',
        "T-1/LOGS/x.log": b"",
        "z/y": b"yy",
    }.items():
        (run / path).parent.mkdir(parents=True, exist_ok=True)
        (run / path).write_bytes(content)
    time.sleep(SETTLED)
    return tmp_path


def surveyed(root: Path, full: bool = False) -> tuple[dict[str, tuple[int, str, int | None]], int]:
    found = RunInventory(root).survey("r1", full)
    return {
        file.path: (file.bytes, file.sha256, file.schema_version) for file in found.files
    }, found.read


def expected(root: Path) -> dict[str, tuple[int, str]]:
    run = root / "runs" / "r1"
    plain = [path for path in run.rglob("*") if path.is_file() and not path.is_symlink()]
    return {
        path.relative_to(run).as_posix(): (
            path.stat().st_size,
            hashlib.sha256(path.read_bytes()).hexdigest(),
        )
        for path in plain
    }


def test_every_file_is_read_once_and_then_remembered(root: Path) -> None:
    first, read = surveyed(root)
    assert read == 4
    assert {path: row[:2] for path, row in first.items()} == expected(root)
    assert {path: row[2] for path, row in first.items() if row[2] is not None} == {
        "T-1/STATUS.json": 1
    }
    assert surveyed(root) == (first, 0)
    assert RunInventory(root).unchanged(("r1",)) is True
    assert surveyed(root, full=True) == (first, 4)


def overwrite_in_place(run: Path) -> None:
    status = (run / "a").stat()
    with open(run / "a", "r+b") as stream:
        stream.write(b"2")
    os.utime(run / "a", ns=(status.st_atime_ns, status.st_mtime_ns))  # what anybody can put back


def replace_with_same_size_and_time(run: Path) -> None:
    status = (run / "a").stat()
    (run / "b").write_bytes(b"2")
    os.utime(run / "b", ns=(status.st_atime_ns, status.st_mtime_ns))
    os.replace(run / "b", run / "a")


@pytest.mark.parametrize(
    "change",
    [
        overwrite_in_place,
        replace_with_same_size_and_time,
        lambda run: (run / "T-1" / "LOGS" / "new").write_bytes(b""),
        lambda run: (run / "a").unlink(),
        lambda run: os.rename(run / "a", run / "b"),
        lambda run: os.truncate(run / "z" / "y", 1),
        lambda run: (run / "empty").mkdir(),
        lambda run: ((run / "a").unlink(), (run / "a").symlink_to("z/y")),
        lambda run: ((run / "a").unlink(), os.mkfifo(run / "a")),
        lambda run: (
            (run / "T-1").rename(run / "T-2"),
            (run / "z").rename(run / "T-1"),
            (run / "T-2").rename(run / "z"),
        ),
    ],
)
def test_every_change_is_noticed(root: Path, change: Callable[[Path], object]) -> None:
    surveyed(root)
    change(root / "runs" / "r1")
    assert RunInventory(root).unchanged(("r1",)) is False
    found, read = surveyed(root)
    assert {path: row[:2] for path, row in found.items() if row[1]} == expected(root)
    assert read < 4
    assert surveyed(root, full=True)[0] == found


def test_what_is_no_plain_file_has_no_digest(root: Path) -> None:
    (root / "runs" / "r1" / "link").symlink_to("/etc/passwd")
    os.mkfifo(root / "runs" / "r1" / "pipe")
    found, _ = surveyed(root)
    assert (found["link"], found["pipe"]) == ((0, "", None), (0, "", None))


def test_change_right_at_the_reading_is_read_again(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh = root / "runs" / "r1" / "fresh"
    with (
        monkeypatch.context() as patched
    ):  # however long this process was kept waiting, it was right before
        patched.setattr(inventory, "_FINE", 3_600_000_000_000)
        patched.setattr(inventory, "_COARSE", 3_600_000_000_000)
        fresh.write_bytes(b"1")
        surveyed(root)
        assert RunInventory(root).unchanged(("r1",)) is False
        assert surveyed(root)[1] >= 1
    time.sleep(SETTLED)
    surveyed(root)
    assert RunInventory(root).unchanged(("r1",)) is True


@pytest.mark.parametrize(
    "spoil",
    [
        lambda raw: b"",
        lambda raw: raw[:-1],
        lambda raw: raw[:80] + b"\0" + raw[81:],
        lambda raw: b"x" + raw,
    ],
)
def test_damaged_memory_is_no_memory(root: Path, spoil: Callable[[bytes], bytes]) -> None:
    first, _ = surveyed(root)
    place = root / SURVEYS / "r1.run"
    place.write_bytes(spoil(place.read_bytes()))
    assert inventory_memory.load(place, RunInventory(root).seal) is None
    assert RunInventory(root).unchanged(("r1",)) is False
    assert surveyed(root) == (first, 4)


def test_memory_of_another_user_is_no_memory(root: Path) -> None:
    surveyed(root)
    place, own = root / SURVEYS / "r1.run", RunInventory(root).seal
    known = inventory_memory.load(place, own)
    assert known is not None
    inventory_memory.store(place, known, UserSeal(bytes(32), own.place))
    assert inventory_memory.load(place, own) is None


def test_where_change_times_mean_something_else_all_is_read(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inventory, "_TRUSTED", False)
    surveyed(root)
    assert RunInventory(root).unchanged(("r1",)) is False
    assert surveyed(root)[1] == 4


def test_second_process_says_the_same(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    surveyed(root)
    monkeypatch.setattr(inventory, "_MANY", 1)
    assert RunInventory(root).unchanged(("r1",)) is True
    overwrite_in_place(root / "runs" / "r1")
    assert RunInventory(root).unchanged(("r1",)) is False


def test_many_and_large_files(root: Path) -> None:
    run = root / "runs" / "r1"
    (run / "many").mkdir()
    for number in range(1200):
        (run / "many" / f"{number}").write_bytes(b"%d" % number)
    (run / "large").write_bytes(bytes(range(256)) * 12_000)
    found, read = surveyed(root)
    assert read == 1205
    assert {path: row[:2] for path, row in found.items()} == expected(root)


def test_names_are_those_of_runs_and_memory_of_others_goes(root: Path) -> None:
    (root / "runs" / "not a run").mkdir()
    (root / "runs" / "file").write_bytes(b"")
    (root / "runs" / "link").symlink_to("r1")
    kept = RunInventory(root)
    assert kept.names() == ("r1",)
    assert RunInventory(root / "nowhere").names() == ()
    surveyed(root)
    kept.forget(())
    assert RunInventory(root).unchanged(("r1",)) is False
    assert RunInventory(root).unchanged(()) is True


def test_names_in_any_bytes(root: Path) -> None:
    odd = os.fsencode(root / "runs" / "r1") + b"/\xff\n\\x"
    with open(odd, "wb") as stream:
        stream.write(b"odd")
    time.sleep(SETTLED)
    found, _ = surveyed(root)
    assert found[os.fsdecode(b"\xff\n\\x")][0] == 3
    assert surveyed(root)[1] == 0


def test_unreadable_folder_is_a_finding(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: object) -> None:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(Refusal, match="Permission denied") as caught:
        RunInventory(root).survey("r1")
    assert caught.value.findings[0].id == "EVIDENCE_UNREADABLE"
