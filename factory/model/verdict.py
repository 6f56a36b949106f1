"""Define PASS, BLOCKED and FAIL: three outcomes that have no truth value.

Does not know how a status is decided: that is `judge.status_eval`.
"""

from __future__ import annotations

import enum
from typing import Never

EXIT_USAGE = 64  # EX_USAGE of sysexits.h
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells report it


class Status(enum.Enum):
    """Name the verdict of a command, a pack, a phase or a run."""

    PASS = "PASS"
    BLOCKED = "BLOCKED"
    FAIL = "FAIL"

    @property
    def exit_code(self) -> int:
        """Return the process exit code: PASS 0, BLOCKED 2, FAIL 1."""
        return _EXIT_CODES[self]

    def __bool__(self) -> Never:
        raise TypeError("a Status has no truth value; compare it with Status.PASS")


_EXIT_CODES = {Status.PASS: 0, Status.BLOCKED: 2, Status.FAIL: 1}
