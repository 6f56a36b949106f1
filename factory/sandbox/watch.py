"""Read from /proc what the descendants of a process are and how much memory they have.

Stdlib only; runs inside the supervisor. Everything here is sampling: a process may be gone by the
time its numbers are read, and then it counts nothing.
"""

from __future__ import annotations

import os

# Of proc_pid_status(5). RssFile is left out: pages of files are the host's to drop.
_COUNTED = (b"RssAnon:", b"RssShmem:", b"VmSwap:", b"VmPTE:")


def children_of(pid: int) -> list[int]:
    """Return direct children of every thread of `pid`."""
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []
    found: list[int] = []
    for thread in threads:
        found += [int(word) for word in _read(f"/proc/{pid}/task/{thread}/children").split()]
    return found


def descendants_of(pid: int) -> list[int]:
    """Return every process below `pid`, parents before children."""
    found: list[int] = []
    waiting = [pid]
    while waiting:
        below = children_of(waiting.pop())
        found += below
        waiting += below
    return found


def is_below(ancestor: int, pid: int) -> bool:
    """Return whether `pid` is a descendant of `ancestor`, asked upwards, from each process to its
    parent.
    """
    while pid not in {0, ancestor}:
        pid = parent_of(pid)
    return pid == ancestor


def parent_of(pid: int) -> int:
    """Return the parent; 0 where there is none, or it is gone."""
    words = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    return int(words[1]) if words else 0


def resident(pid: int) -> int:
    """Return bytes that a process has, swapped out or not, and the page tables for it; pages of
    files do not count.
    """
    total = 0
    for line in _read(f"/proc/{pid}/status").splitlines():
        if line.startswith(_COUNTED):
            total += int(line.split()[1]) * 1024
    return total


def memory_below(pid: int) -> int:
    """Return bytes that all descendants of `pid` have together."""
    return sum(resident(each) for each in descendants_of(pid))


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""
