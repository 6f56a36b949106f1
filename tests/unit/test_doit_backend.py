"""The durable backend on its own: two writers, interrupts, damage, and files out of reach."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.doit_backend import DurableSqliteDB


class Codec:
    def encode(self, data: object) -> str:
        return json.dumps(data)

    def decode(self, data: str) -> object:
        return json.loads(data)


def opened(path: Path) -> DurableSqliteDB:
    return DurableSqliteDB(str(path), Codec())


def rows(path: Path) -> dict[str, str]:
    connection = sqlite3.connect(path)
    try:
        return dict(connection.execute("select task_id, task_data from doit"))
    finally:
        connection.close()


def test_what_is_set_can_be_read_after_flush_without_dump(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "db"
    writer = opened(path)
    writer.set("a", "result:", "1")
    assert not path.exists()
    writer.flush()
    assert opened(path).get("a", "result:") == "1"
    writer.dump()
    assert not list(path.parent.glob("db-*"))


def test_asking_creates_nothing(tmp_path: Path) -> None:
    path = tmp_path / "state" / "db"
    asked = opened(path)
    assert asked.get("a", "b") is None
    assert not asked.in_("a")
    asked.remove("a")
    asked.remove_all()
    asked.dump()
    assert not path.parent.exists()


def test_two_writers_keep_each_others_tasks(tmp_path: Path) -> None:
    path = tmp_path / "db"
    first, second = opened(path), opened(path)
    first.set("a", "x", 1)
    second.set("b", "x", 2)
    second.remove("c")
    first.flush()
    second.flush()
    first.set("d", "x", 3)
    first.dump()
    second.dump()
    assert rows(path).keys() == {"a", "b", "d"}


def test_remove_is_on_disk_at_once_and_holds_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "db"
    first = opened(path)
    first.set("a", "x", 1)
    first.set("b", "x", 1)
    first.flush()
    first.remove("a")
    assert rows(path).keys() == {"b"}
    other = sqlite3.connect(path, timeout=0)
    other.execute("insert into doit values ('c', '{}')")
    other.commit()
    other.close()
    first.remove_all()
    assert rows(path) == {}
    assert not first.in_("b")


def test_what_is_discarded_was_never_there(tmp_path: Path) -> None:
    backend = opened(tmp_path / "db")
    backend.set("a", "x", 1)
    backend.flush()
    backend.set("a", "x", 2)
    backend.set("b", "x", 2)
    backend.discard()
    assert (backend.get("a", "x"), backend.get("b", "x")) == (1, None)
    backend.dump()
    assert rows(tmp_path / "db") == {"a": '{"x": 1}'}


def test_an_unchanged_record_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "db"
    first = opened(path)
    first.set("a", "x", [1, {"y": None}])
    first.dump()
    before = path.read_bytes()
    second = opened(path)
    second.set("a", "x", [1, {"y": None}])
    second.dump()
    assert path.read_bytes() == before


@given(
    st.dictionaries(
        st.text(max_size=8),
        st.dictionaries(st.text(max_size=4), st.integers() | st.text(max_size=4)),
    )
)
def test_records_come_back_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, records: dict[str, object]
) -> None:
    path = tmp_path_factory.mktemp("db") / "db"
    wanted = {}
    writer = opened(path)
    for task, record in records.items():
        assert isinstance(record, dict)
        usable = {f"k{key}": value for key, value in record.items()}
        try:
            task.encode()
        except UnicodeEncodeError:
            continue
        for key, value in usable.items():
            writer.set(task, key, value)
        wanted[task] = usable
    writer.dump()
    reader = opened(path)
    for task, usable in wanted.items():
        assert {key: reader.get(task, key) for key in usable} == usable
        assert reader.in_(task) == bool(usable)
    reader.dump()


def test_a_damaged_file_is_kept_beside_and_the_cache_starts_empty(tmp_path: Path) -> None:
    path = tmp_path / "db"
    path.write_bytes(b"garbage" * 999)
    backend = opened(path)
    assert backend.get("a", "x") is None
    backend.set("a", "x", 1)
    backend.dump()
    assert backend.problem == ""
    assert (tmp_path / "db.set-aside").read_bytes() == b"garbage" * 999
    assert rows(path).keys() == {"a"}


def test_a_file_damaged_while_in_use_is_no_exception(tmp_path: Path) -> None:
    path = tmp_path / "db"
    backend = opened(path)
    backend.set("a", "x", "y" * 50_000)
    backend.dump()
    with path.open("r+b") as file:
        file.write(b"\0" * 30_000)
    backend.set("b", "x", 1)
    backend.flush()
    assert backend.get("b", "x") == 1


def test_a_locked_file_is_left_alone_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("factory.doit_backend.BUSY_SECONDS", 0.0)
    path = tmp_path / "db"
    opened_first = opened(path)
    opened_first.set("a", "x", 1)
    opened_first.flush()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("begin immediate")
    backend = opened(path)
    backend.set("b", "x", 1)
    backend.dump()
    other.execute("rollback")
    other.close()
    opened_first.dump()
    assert backend.problem == f"{path} could not be used (database is locked)"
    assert rows(path).keys() == {"a"}
    assert not (tmp_path / "db.set-aside").exists()


def test_where_nothing_can_be_written_the_records_live_in_memory(tmp_path: Path) -> None:
    (tmp_path / "flat").write_text("", encoding="utf-8")
    backend = opened(tmp_path / "flat" / "db")
    backend.set("a", "x", 1)
    backend.flush()
    assert backend.get("a", "x") == 1
    assert backend.problem
    backend.remove("a")
    backend.dump()


def test_what_an_interrupt_cut_short_is_written_by_dump(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = opened(tmp_path / "db")
    backend.set("a", "x", 1)
    write = backend._write

    def interrupted(_statements: object) -> None:
        monkeypatch.setattr(backend, "_write", write)
        raise KeyboardInterrupt

    monkeypatch.setattr(backend, "_write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        backend.flush()
    backend.dump()
    assert rows(tmp_path / "db").keys() == {"a"}


def test_committed_tasks_outlive_a_killed_process(tmp_path: Path) -> None:
    script = (
        "import os, json, sys\nfrom factory.doit_backend import DurableSqliteDB\nclass Codec:\n   "
        " encode = staticmethod(json.dumps)\n    decode = staticmethod(json.loads)\ndb ="
        " DurableSqliteDB(sys.argv[1], Codec())\nfor n in range(20):\n    db.set(f't{n}', 'x', n)\n"
        "    db.flush()\ndb.set('lost', 'x', 1)\nos.kill(os.getpid(), 9)\n"
    )
    path = tmp_path / "db"
    root = str(Path(__file__).resolve().parents[2])
    ended = subprocess.run(
        [sys.executable, "-c", script, str(path)],
        env={**os.environ, "PYTHONPATH": root},
        timeout=60,
    )
    assert ended.returncode == -9
    reader = opened(path)
    assert [reader.get(f"t{n}", "x") for n in range(20)] == list(range(20))
    assert not reader.in_("lost")
    reader.dump()


def test_importing_it_costs_next_to_nothing() -> None:
    script = (
        "import sys; import factory.doit_backend; print(*{'doit', 'sqlite3', 'pydantic', 'json'} &"
        " set(sys.modules))"
    )
    root = str(Path(__file__).resolve().parents[2])
    shown = subprocess.run(
        [sys.executable, "-S", "-c", script],
        env={"PYTHONPATH": root},
        capture_output=True,
        encoding="utf-8",
    )
    assert (shown.stdout.strip(), shown.stderr) == ("", "")
