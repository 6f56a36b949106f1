"""Take a user of this host for one stage alone, where the orchestrator is root and no namespace
parts one stage from others.

Stages that ran as one user could signal each other, share the bound on processes, and change modes
and times of each other's files. A user is taken by a name that the kernel keeps for as long as
anybody has the socket that is bound to it: the orchestrator until the stage's files are gone, the
supervisor until its processes are. Does not know what the stage is for.
"""

from __future__ import annotations

import errno
import os
import socket
from dataclasses import dataclass
from pathlib import Path

from factory.sandbox.host import is_mapped
from factory.sandbox.link import StageUnavailable

# Above what adduser gives people (up to 59999) and below what containers map (from 100000).
FIRST, COUNT = 64101, 256


@dataclass(frozen=True, slots=True)
class OwnUser:
    """Own a user id for one stage; `uid` is its group too.

    It is free again when `lock` is closed everywhere.
    """

    uid: int
    lock: socket.socket

    def give(self, folder: Path) -> None:
        """Make a folder that no pack has seen yet, and all below, this user's."""
        os.chown(folder, self.uid, self.uid)
        for place, folders, files in os.walk(folder):
            for name in (*folders, *files):
                os.chown(os.path.join(place, name), self.uid, self.uid, follow_symlinks=False)

    def close(self) -> None:
        """Release it. Idempotent."""
        self.lock.close()


def take() -> OwnUser:
    """Return the lowest user that nobody has and no process runs as. Raise StageUnavailable."""
    for uid in range(FIRST, FIRST + COUNT):
        lock = _lock(uid) if is_mapped(uid) else None
        if lock is None:
            continue
        if uid not in _users_of_processes():  # a supervisor that was killed may have left some
            return OwnUser(uid, lock)
        lock.close()
    raise StageUnavailable(f"no user from {FIRST} to {FIRST + COUNT - 1} is free for a stage")


def _lock(uid: int) -> socket.socket | None:
    lock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        lock.bind(f"\0factory-stage-user-{uid}")
    except OSError as error:
        lock.close()
        if error.errno != errno.EADDRINUSE:
            raise StageUnavailable(f"no user could be taken for a stage: {error}") from error
        return None
    return lock


def _users_of_processes() -> set[int]:
    """Return real, effective, saved and file system users of all processes that are seen from
    here.
    """
    found: set[int] = set()
    for name in os.listdir("/proc"):
        if name.isdecimal():
            try:
                status = Path(f"/proc/{name}/status").read_bytes()
            except OSError:
                continue  # gone meanwhile
            found.update(map(int, status.partition(b"\nUid:")[2].partition(b"\n")[0].split()))
    return found
