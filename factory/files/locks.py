"""Locks that free themselves when their holder dies: kernel locks on files that are never removed.

Implements `files.ports.Locks`. What stands in the file beside a lock (who, since when) is for
people only; the lock itself is the kernel's, and where nothing was written yet the kernel is asked
who has it. Never degrades to an existence lock.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from factory.files import fs_guard
from factory.model.errors import Refusal
from factory.model.finding import Finding
from factory.model.findings.entry import Facts
from factory.model.layout import LOCKS
from factory.strict import json as strict_json

if (
    TYPE_CHECKING
):  # a start that finds nothing to do takes a lock, and loads no model of the evidence for it
    from factory.files.ports import Clock

_MOST_BYTES = 64 * 1024


class FileLocks:
    """Locks of one state folder."""

    def __init__(self, root: Path, clock: Clock) -> None:
        self._folder = root / LOCKS
        self._clock = clock

    @contextlib.contextmanager
    def hold(self, name: str) -> Iterator[None]:
        """Hold lock `name` for the block. Raises Refusal LOCKED at once where another process has
        it.
        """
        fs_guard.make_folder(self._folder)
        lock = self._lock(name)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise Refusal(self._finding(name)) from None
        except OSError as error:
            place = f"{self._folder.name}/{name}.lock"
            facts = {"case": "lock", "place": place, "found": str(error)}
            raise Refusal(Finding("DISK_UNWRITABLE", facts)) from error
        try:
            yield
        finally:
            lock.release()

    def announce(self, name: str, what: str) -> None:
        """Write down who holds lock `name`, for others to name."""
        holder = {"pid": os.getpid(), "since": self._clock.utc(), "what": what}
        fs_guard.write_atomic(
            self._folder / f"{name}.json", json.dumps(holder).encode(), durable=False
        )

    def holders(self) -> tuple[str, ...]:
        """One sentence per lock of this folder that is held now."""
        if not self._folder.is_dir():
            return ()
        held = []
        for path in sorted(self._folder.glob("*.lock")):
            lock = self._lock(path.stem)
            try:
                lock.acquire(timeout=0)
            except (Timeout, OSError):
                held.append(self._finding(path.stem).message)
                continue
            lock.release()
        return tuple(held)

    def _lock(self, name: str) -> FileLock:
        return FileLock(self._folder / f"{name}.lock", fallback_to_soft=False)

    def _finding(self, name: str) -> Finding:
        """Return LOCKED with whoever has lock `name`, as its file or the kernel says."""
        try:
            with open(self._folder / f"{name}.json", "rb") as stream:
                holder = strict_json.parse(stream.read(_MOST_BYTES + 1), max_bytes=_MOST_BYTES)
            if not _alive(int(holder["pid"])):
                raise ValueError("an earlier holder, which is dead")
            known: Facts = {
                "what": str(holder["what"]),
                "pid": int(holder["pid"]),
                "since": str(holder["since"]),
            }
            return Finding("LOCKED", {"case": "known", "lock": name, **known})
        except (OSError, OverflowError, ValueError, KeyError, TypeError):
            who = _as_the_kernel_says(self._folder / f"{name}.lock") or "another process"
            return Finding("LOCKED", {"case": "unknown", "lock": name, "who": who})


@contextlib.contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Wait for the kernel lock on the file `path`, and hold it for the block: as `FileLocks`, and
    quick.

    The file is made where it is missing, and never removed. Raises Refusal DISK_UNWRITABLE.
    """
    if sys.platform == "win32":
        fs_guard.make_folder(path.parent)
        with FileLock(path, fallback_to_soft=False):
            yield
        return
    import fcntl

    fd = _locked_file(path)
    try:
        yield
    finally:
        fcntl.flock(fd, fcntl.LOCK_UN)  # a child that was forked meanwhile has this descriptor too
        os.close(fd)


def _locked_file(path: Path) -> int:
    """A descriptor of the file that stands at `path`, with the lock."""
    import fcntl

    while True:
        with fs_guard.disk_errors(path):
            try:
                fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
            except FileNotFoundError:
                fs_guard.make_folder(path.parent)
                continue
            try:
                fcntl.flock(fd, fcntl.LOCK_EX)
                if os.path.samestat(os.fstat(fd), os.stat(path)):
                    return fd
            except FileNotFoundError:
                os.close(
                    fd
                )  # somebody removed the folder: whoever comes later would lock another file
                continue
            except BaseException:
                os.close(fd)
                raise
            os.close(fd)


def _as_the_kernel_says(path: Path) -> str:
    """The process that has the lock on a file, and its start, where the kernel says so; else "".
    Touches no file.
    """
    try:
        inode, ticks = path.stat().st_ino, os.sysconf("SC_CLK_TCK")
        rows = [row.split() for row in Path("/proc/locks").read_text("ascii").splitlines()]
        (pid,) = {
            int(row[4])
            for row in rows
            if row[1] == "FLOCK" and row[5].rpartition(":")[2] == str(inode)
        }
        began = (
            int(
                Path(f"/proc/{pid}/stat")
                .read_text("utf-8", "replace")
                .rpartition(")")[2]
                .split()[19]
            )
            / ticks
        )
        (boot,) = (
            row[6:]
            for row in Path("/proc/stat").read_text("ascii").splitlines()
            if row.startswith("btime ")
        )
        since = (
            datetime.fromtimestamp(int(boot) + began, UTC)
            .isoformat(timespec="seconds")
            .replace("+00:00", "Z")
        )
    except (OSError, OverflowError, ValueError, IndexError, AttributeError):
        return ""
    return f"a process (pid {pid}, started {since})"


def _alive(pid: int) -> bool:
    """Whether a process with this id exists, as far as it can be told without touching it."""
    if os.name == "nt":
        return True  # there, signal 0 is no question
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
