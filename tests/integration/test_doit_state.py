"""What makes a card run again, and what may happen to doit's database: content decides, and the
database is a cache.
"""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from pathlib import Path

import pytest

from tests.integration.engine_project import Project
from tests.sample import sample

ALL = [
    "bundle-validate:A-1",
    "bundle-validate:B-2",
    "integrate",
    "launch:A-1",
    "launch:B-2",
    "preflight",
    "summary",
]
OF_A = ["bundle-validate:A-1", "integrate", "launch:A-1", "summary"]


@pytest.fixture
def done(tmp_path: Path) -> Project:
    """A project whose every card ended PASS."""
    here = Project(tmp_path, **{"A-1": "PASS one", "B-2": "PASS two"})
    assert here.run("oneshot") == (0, ALL)
    return here


def snapshot(root: Path) -> dict[str, tuple[int, bytes]]:
    files = sorted(path for path in (root / ".factory").rglob("*") if path.is_file())
    return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def rewrite(path: Path, content: str) -> None:
    """Change the content, and put every time back."""
    before = path.stat()
    path.write_text(content, encoding="utf-8")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("words", [("oneshot",), (), ("-n", "2")])
def test_nothing_changed_runs_nothing_and_touches_nothing(
    done: Project, words: tuple[str, ...]
) -> None:
    assert done.run(*words) == (0, [])  # doit notes the groups of another selection once
    before = snapshot(done.root)
    ended = done.doit(*words)
    assert (ended.returncode, ended.stdout) == (0, "PASS  0 executed of 7\n")
    assert snapshot(done.root) == before
    assert done.last_closing() == {
        "selected": dict.fromkeys(done.last_closing()["selected"], "PASS"),
        "executed": [],
    }


def test_content_decides_also_when_the_time_was_put_back(done: Project) -> None:
    rewrite(done.pack("A-1"), "PASS two\n")  # the same size, too
    assert done.run("oneshot") == (0, OF_A)


def test_a_new_time_alone_changes_nothing(done: Project) -> None:
    os.utime(done.pack("A-1"), (1, 1))
    os.utime(done.marker("launch/A-1"), (1, 1))
    assert done.run("oneshot") == (0, [])


def test_a_deleted_target_is_made_again(done: Project) -> None:
    done.marker("launch/A-1").unlink()
    assert done.run("oneshot") == (0, ["launch:A-1"])  # it came out the same, so nothing follows


@pytest.mark.parametrize("text", ["", "{}", "PASS by hand"])
def test_a_target_edited_by_hand_is_made_again(done: Project, text: str) -> None:
    rewrite(done.marker("launch/A-1"), text)
    assert done.run("oneshot") == (0, ["launch:A-1"])


def test_a_target_replaced_by_a_folder_or_fifo_does_not_hold(done: Project) -> None:
    marker = done.marker("summary")
    marker.unlink()
    os.mkfifo(marker)
    ended = done.doit("list", "--status", "summary")
    assert ended.stdout.startswith("R summary")


def test_a_missing_input_is_left_to_the_pipeline(done: Project) -> None:
    (done.root / "settings.txt").unlink()
    code, executed = done.run("oneshot")
    assert (code, "preflight" in executed) == (0, True)
    assert "preflight" not in done.run("oneshot")[1]  # absent is a content, and it did not change


def test_a_changed_pack_runs_what_depends_on_it_and_nothing_else(done: Project) -> None:
    done.write("A-1", "PASS three")
    assert done.run("-n", "2") == (0, OF_A)


def test_a_new_and_a_removed_pack(done: Project) -> None:
    done.write("C-3", "PASS")
    assert done.run("oneshot") == (0, ["bundle-validate:C-3", "integrate", "launch:C-3", "summary"])
    done.pack("C-3").unlink()
    assert done.run("oneshot") == (0, ["integrate", "summary"])


def delete(database: Path) -> None:
    database.unlink()


def garbage(database: Path) -> None:
    database.write_bytes(random.Random(7).randbytes(8192))


def prose(database: Path) -> None:
    database.write_text("not a database", encoding="utf-8")


def folder(database: Path) -> None:
    database.unlink()
    database.mkdir()


def foreign(database: Path) -> None:
    database.unlink()
    connection = sqlite3.connect(database)
    connection.execute("create table doit (something integer)")
    connection.commit()
    connection.close()


def cut(database: Path) -> None:
    os.truncate(database, database.stat().st_size // 2)


def overwritten(database: Path) -> None:
    with database.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 4096)


@pytest.mark.parametrize(
    "damage", sample([delete, cut, foreign], [garbage, prose, folder, overwritten])
)
def test_a_lost_database_costs_time_only(done: Project, damage: object) -> None:
    assert callable(damage)
    damage(done.database)
    assert done.doit("list", "--all", "--status").returncode == 0
    assert done.run("oneshot") == (0, ALL)
    assert done.run("oneshot") == (0, [])
    assert done.database.with_name("doit.sqlite3.set-aside").exists() == (damage is not delete)


@pytest.mark.parametrize(
    "row",
    [
        b"",
        b"{",
        b"[]",
        b"7",
        b"\xff\xfe",
        b'{"_values_:": 3}',
        b'{"deps:": 3}',
        b'{"deps:": [[]]}',
        b'{"_values_:": {"verdict": "PASS"}}',
        b"[" * 9999,
    ],
)
def test_one_spoiled_row_costs_one_card(done: Project, row: bytes) -> None:
    connection = sqlite3.connect(done.database)
    connection.execute("update doit set task_data = ? where task_id = 'launch:A-1'", (row,))
    connection.commit()
    connection.close()
    assert done.run("oneshot") == (0, ["launch:A-1"])


def test_a_blocked_verdict_cannot_be_forged_into_the_cache(tmp_path: Path) -> None:
    here = Project(tmp_path, **{"A-1": "BLOCKED"})
    here.run("oneshot")
    connection = sqlite3.connect(here.database)
    connection.execute(
        "update doit set task_data = replace(task_data, '\"BLOCKED\"', '\"PASSED\"')"
    )
    connection.commit()
    connection.close()
    assert "launch:A-1" in here.run("oneshot")[1]


def test_deleting_the_whole_state_folder_is_a_first_run(done: Project) -> None:
    shutil.rmtree(done.root / ".factory")
    assert done.run("oneshot") == (0, ALL)
