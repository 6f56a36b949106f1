"""Limit the resources of a supervisor and of all that it starts. Stdlib only. Does not know what
is run.
"""

from __future__ import annotations

import os
import resource

OPEN_FILES = 4096  # four times the usual soft limit of a shell, which builds pass


def use_whole_process_limit() -> None:
    """Raise our own bound on processes to its maximum: it is counted per user namespace, and those
    that one is nested in must not add their own.
    """
    hard = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    resource.setrlimit(resource.RLIMIT_NPROC, (hard, hard))


def bound_files(size: int) -> None:
    """Allow no core file, none larger than `size` bytes, and not too many open."""
    for kind, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, size),
        (resource.RLIMIT_NOFILE, OPEN_FILES),
    ):
        resource.setrlimit(kind, _both(kind, value))


def bound_processes(most: int, pid: int = 0) -> None:
    """Allow at most so many of the process's user in its user namespace; `pid` 0 is the caller."""
    resource.prlimit(pid, resource.RLIMIT_NPROC, _both(resource.RLIMIT_NPROC, most))


def _both(kind: int, value: int) -> tuple[int, int]:
    hard = resource.getrlimit(kind)[1]
    bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
    return bound, bound


def tasks_of_user() -> int:
    """Return how many processes and threads of the caller's user this host runs."""
    user, count = os.getuid(), 0
    for name in os.listdir("/proc"):
        if name.isdecimal():
            try:
                if os.stat(f"/proc/{name}").st_uid == user:
                    count += len(os.listdir(f"/proc/{name}/task"))
            except OSError:
                continue  # gone meanwhile
    return count
