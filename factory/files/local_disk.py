"""Decide if a folder's file system sets change times (ctime) itself at every change.

Rule: a file system that is not on the list is not trusted. A network file system answers from its
own cache, a FUSE one answers what its program likes, and tmpfs does not record a write through a
mapping. Does not know what is concluded from a change time. Source: proc_pid_mountinfo(5).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

MOUNTS = "/proc/self/mountinfo"
_LOCAL = frozenset({"ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "zfs", "bcachefs", "overlay"})
_FINE, _COARSE, _SECOND = 50_000_000, 2_000_000_000, 1_000_000_000  # nanoseconds


def keeps_change_times(folder: Path, mounts: str = MOUNTS) -> bool:
    """Return True if change times below `folder` can be trusted; always False outside Linux."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        with open(mounts, "rb") as stream:
            rows = stream.read().split(b"\n")
        place = os.fsencode(os.path.realpath(folder))
    except OSError:
        return False
    deepest, kind = b"", b""
    for row in rows:
        before, _, after = row.partition(b" - ")
        fields = before.split(b" ")
        if len(fields) < 5:
            continue
        point = _plain(fields[4]).rstrip(b"/")
        # of two mounts at one point, the later one is visible
        if len(point) >= len(deepest) and (place == point or place.startswith(point + b"/")):
            deepest, kind = point, after.partition(b" ")[0]
    return kind.decode("ascii", "replace") in _LOCAL


def _plain(point: bytes) -> bytes:
    """Return a mount point without the escapes that the kernel writes."""
    for sign in (b" ", b"\t", b"\n", b"\\"):
        point = point.replace(b"\\%03o" % sign[0], sign)
    return point


def long_before(changed: int, now: int) -> bool:
    """Return True if a change after `now` cannot have the change time `changed`; both in
    nanoseconds.

    The margin is larger for a time of whole seconds: its file system may record only those.
    """
    return changed < now - (_FINE if changed % _SECOND else _COARSE)
