"""Keep doit's state database durable: SQLite, each finished task committed on its own.

It is a cache: whatever happens to the file (deleted, damaged, locked, unwritable) costs
time and never an answer, so nothing here raises for the file's sake. doit loads this
module in every project of its environment, therefore it imports next to nothing, and
not even doit. Does not know tasks: rows of JSON under a name.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import sqlite3

BUSY_SECONDS = 10.0
SET_ASIDE_SUFFIX = ".set-aside"

_SCHEMA = "create table if not exists doit (task_id text not null primary key, task_data json)"
_SELECT = "select task_id, task_data from doit"
_UPSERT = "insert or replace into doit values (?, ?)"
_DELETE = "delete from doit where task_id = ?"


class Codec(Protocol):
    """Define doit's codec: how a task's record becomes text."""

    def encode(self, data: Any) -> str:
        """Return a record as text."""

    def decode(self, data: str) -> Any:
        """Return the record of a text. Raise ValueError."""


class DurableSqliteDB:
    """Implement a `doit.BACKEND` whose finished tasks outlive SIGKILL and a second run at once.

    Records are kept in memory and read in one go at the first question; `flush` commits what
    changed since. A file that does not read as ours is renamed with `.set-aside` and the cache
    starts empty. Where the file can't be written, `problem` says so in one clause and the records
    live in memory only.
    """

    desc = "SQLite; each finished task is committed at once"

    def __init__(self, name: str, codec: Codec, *, module_name: str | None = None) -> None:
        del module_name  # doit's dbm backend needs it; every backend is offered it
        self.name = name
        self.problem = ""
        self._codec = codec
        self._connection: sqlite3.Connection | None = None
        self._rows: dict[str, str] | None = None
        self._records: dict[str, dict[str, Any]] = {}
        self._dirty: set[str] = set()

    def get(self, task_id: str, dependency: str) -> Any:
        """Return the stored value, or None."""
        return self._record(task_id).get(dependency)

    def set(self, task_id: str, dependency: str, value: Any) -> None:
        """Change one value of a task's record, in memory until `flush`."""
        self._record(task_id)[dependency] = value
        self._dirty.add(task_id)

    def in_(self, task_id: str) -> bool:
        """Return whether there is a record of this task."""
        return bool(self._record(task_id))

    def remove(self, task_id: str) -> None:
        """Remove a task, on disk too before this returns."""
        self._records[task_id] = {}
        self._dirty.discard(task_id)
        if self._stored().pop(task_id, None) is not None:
            self._write([(_DELETE, (task_id,))])

    def remove_all(self) -> None:
        """Remove every task, on disk too before this returns."""
        had_rows = bool(self._stored())
        self._rows, self._records, self._dirty = {}, {}, set()
        if had_rows:
            self._write([("delete from doit", ())])

    def flush(self) -> None:
        """Commit every record that differs from what is stored."""
        stored = self._stored()
        changed = {}
        for task_id in sorted(self._dirty):
            row = self._codec.encode(self._records[task_id])
            if stored.get(task_id) != row:
                changed[task_id] = row
        if changed:
            self._write([(_UPSERT, row) for row in changed.items()])
            stored.update(changed)
        # Last, so that what an interrupt cut short is tried again by `dump`.
        self._dirty.clear()

    def discard(self) -> None:
        """Drop every change since the last flush."""
        for task_id in self._dirty:
            self._records.pop(task_id, None)
        self._dirty.clear()

    def dump(self) -> None:
        """Write and close: doit's last call."""
        self.flush()
        self._disconnect()

    def _record(self, task_id: str) -> dict[str, Any]:
        if task_id not in self._records:
            self._records[task_id] = self._decode(self._stored().get(task_id))
        return self._records[task_id]

    def _decode(self, row: str | None) -> dict[str, Any]:
        if row is None:
            return {}
        try:
            record = self._codec.decode(row)
        except (ValueError, RecursionError):
            return {}
        return record if _is_record(record) else {}

    def _stored(self) -> dict[str, str]:
        if self._rows is None:
            self._rows = self._load() if os.path.lexists(self.name) else {}
        return self._rows

    def _load(self) -> dict[str, str]:
        import sqlite3

        try:
            rows = self._connect().execute(_SELECT).fetchall()
        except sqlite3.Error as error:
            self._disconnect()
            self._give_up(error)
            return {}
        # Not kept open: `doit list` and `doit info` never say when they are done.
        self._disconnect()
        return {_text(task_id): _text(row) for task_id, row in rows}

    def _write(self, statements: list[tuple[str, tuple[str, ...]]]) -> None:
        import sqlite3

        if self.problem:
            return
        try:
            with self._connect() as connection:
                for statement, values in statements:
                    connection.execute(statement, values)
        except (sqlite3.Error, OSError) as error:
            self._disconnect()
            self._give_up(error)

    def _connect(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = self._open()
        return self._connection

    def _open(self) -> sqlite3.Connection:
        import sqlite3

        with contextlib.suppress(OSError):  # where it can't be made, connecting says why
            os.makedirs(os.path.dirname(self.name) or ".", exist_ok=True)
        connection = sqlite3.connect(self.name, timeout=BUSY_SECONDS)
        try:
            # A row that is not UTF-8 must be an empty record, not an exception of the driver.
            connection.text_factory = bytes
            connection.execute("pragma journal_mode = wal")
            # In WAL mode NORMAL survives the death of the process; a power cut may cost the last
            # tasks, which is time.
            connection.execute("pragma synchronous = normal")
            connection.execute(_SCHEMA)
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _give_up(self, error: Exception) -> None:
        """Rename a damaged file after an error; leave one that is merely out of reach alone."""
        if _is_out_of_reach(error) or not self._set_aside():
            self.problem = f"{self.name} could not be used ({error})"

    def _set_aside(self) -> bool:
        try:
            os.replace(self.name, self.name + SET_ASIDE_SUFFIX)
            for suffix in ("-wal", "-shm"):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(self.name + suffix)
        except OSError:
            return False
        return True


def _is_record(record: object) -> bool:
    """Return whether doit can read this: it iterates the list of dependencies and asks the values
    for names, unchecked.
    """
    if not isinstance(record, dict):
        return False
    dependencies = record.get("deps:") or []
    return (
        isinstance(record.get("_values_:") or {}, dict)
        and isinstance(dependencies, list)
        and all(isinstance(path, str) for path in dependencies)
    )


def _text(cell: object) -> str:
    return cell.decode("utf-8", "replace") if isinstance(cell, bytes) else ""


def _is_out_of_reach(error: Exception) -> bool:
    """Return whether the file may be fine and only can't be read or written now."""
    import sqlite3

    reasons = {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_NOMEM,
    }
    code = getattr(error, "sqlite_errorcode", None)
    return code is None or (code & 0xFF) in reasons
