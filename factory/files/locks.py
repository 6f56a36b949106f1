"""Lock by files and the kernel: a lock is free when its owner dies, and its file is never removed.

The file next to a lock (who, since when) is for people only; the lock is the kernel's, and if
nothing was written yet, the kernel is asked who has it. Never degrades to an existence lock.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from factory.files import fs_guard
from factory.model.errors import Refusal
from factory.model.finding import Finding
from factory.model.findings.entry import Facts
from factory.model.layout import LOCKS
from factory.strict import json as strict_json

if (
    TYPE_CHECKING
):  # even a start with nothing to do takes a lock; it must not load the models of evidence
    from factory.files.clock import SystemClock

_MOST_BYTES = 64 * 1024  # of the file that names an owner, which may be damaged


class FileLocks:
    """Take locks of one state folder."""

    def __init__(self, root: Path, clock: SystemClock) -> None:
        self._folder = root / LOCKS
        self._clock = clock

    @contextlib.contextmanager
    def take(self, name: str) -> Iterator[None]:
        """Take lock `name` for the block. Raise Refusal LOCKED at once if another process has it.

        Raise Refusal DISK_UNWRITABLE if the lock file cannot be opened.
        """
        fs_guard.make_folder(self._folder)
        try:
            release = _try_lock(self._path(name))
        except BlockingIOError:
            raise Refusal(self._finding(name)) from None
        except OSError as error:
            place = f"{self._folder.name}/{name}.lock"
            facts = {"case": "lock", "place": place, "found": str(error)}
            raise Refusal(Finding("DISK_UNWRITABLE", facts)) from error
        try:
            yield
        finally:
            release()

    def announce(self, name: str, what: str) -> None:
        """Write the owner of lock `name` to a file, so that others can name it."""
        holder = {"pid": os.getpid(), "since": self._clock.utc(), "what": what}
        fs_guard.write_atomic(
            self._folder / f"{name}.json", json.dumps(holder).encode(), durable=False
        )

    def holders(self) -> tuple[str, ...]:
        """Return one sentence for each lock of this folder that is taken now."""
        if not self._folder.is_dir():
            return ()
        held = []
        for path in sorted(self._folder.glob("*.lock")):
            try:
                release = _try_lock(path)
            except OSError:
                held.append(self._finding(path.stem).message)
                continue
            release()
        return tuple(held)

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.lock"

    def _finding(self, name: str) -> Finding:
        """Return LOCKED with the owner of lock `name`, from its file or the kernel."""
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
            who = _as_the_kernel_says(self._path(name)) or "another process"
            return Finding("LOCKED", {"case": "unknown", "lock": name, "who": who})


def _try_lock(path: Path) -> Callable[[], None]:
    """Take the kernel lock on a file and return what frees it. Raise BlockingIOError at once if
    another has it, OSError if the file cannot be opened.
    """
    if sys.platform == "win32":
        from filelock import FileLock, Timeout

        lock = FileLock(path, fallback_to_soft=False)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise BlockingIOError from None
        return lock.release
    import fcntl

    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        os.close(fd)
        raise
    return partial(_unlock, fd)


def _unlock(fd: int) -> None:
    """Free a lock; closing is not enough: a child forked meanwhile has this descriptor too."""
    import fcntl

    fcntl.flock(fd, fcntl.LOCK_UN)
    os.close(fd)


@contextlib.contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Wait for the kernel lock on the file `path`, and keep it for the block.

    Faster than `FileLocks`. The file is made if it is missing, and never removed. Raise Refusal
    DISK_UNWRITABLE.
    """
    if sys.platform == "win32":
        fs_guard.make_folder(path.parent)
        from filelock import FileLock

        with FileLock(path, fallback_to_soft=False):
            yield
        return
    fd = _locked_file(path)
    try:
        yield
    finally:
        _unlock(fd)


def _locked_file(path: Path) -> int:
    """Return a locked descriptor of the file that is at `path` now."""
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
                )  # somebody removed the folder; the next process would lock another file
                continue
            except BaseException:
                os.close(fd)
                raise
            os.close(fd)


def _as_the_kernel_says(path: Path) -> str:
    """Return the process that has the lock on a file, and its start time, from /proc; "" if
    unknown.
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
    """Return True if a process with this id exists, or if that cannot be found out."""
    if os.name == "nt":
        return True  # on Windows, signal 0 would end the process
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
