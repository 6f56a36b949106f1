"""Start a command under other conditions: umask, processors, host name, uptime, file system. A
small program.

    python other_conditions.py REQUEST DONE WORD…

REQUEST is JSON; each member may be absent: `umask`, `processors`, `host_name`, `uptime` (seconds),
and `memory` (`folder`: the current folder, to be seen on a file system in memory that lists it in
another order; `bytes` that it may need; `back`: a path in it that is copied back at the end). What
the kernel allowed is written to the file DONE, one name a line; all else stays as it was. Ends as
the command ends. Stdlib only, and nothing of ours. Does not know what the command is.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

# CLONE_NEW* of <linux/sched.h>; time namespaces came with Linux 5.6.
_NEW_TIME, _NEW_MOUNTS, _NEW_UTS = 0x00000080, 0x00020000, 0x04000000
_PRIVATE = 1 << 18 | 16384  # MS_PRIVATE | MS_REC of mount(2)
_SIGNALLED = 128


def start(request: Mapping[str, Any], report: Path, words: list[str]) -> int:
    """Carry out what can be, run the command, return its exit code. `report` gets what was done."""
    below: list[int] = []
    changes: tuple[tuple[str, Callable[[Any], None]], ...] = (
        ("umask", _use_umask),
        ("processors", _use_processors),
        ("host_name", _take_host_name),
        ("uptime", _shift_uptime),
        ("memory", lambda wanted: below.append(_move_to_memory(wanted))),
    )
    done = [name for name, change in changes if name in request and _tried(change, request[name])]
    report.write_text("".join(f"{name}\n" for name in done), encoding="ascii")
    code = _run(words)
    back = request["memory"]["back"] if below else ""
    if back and os.path.isdir(back):
        shutil.copytree(back, f"/proc/self/fd/{below[0]}/{back}", symlinks=True)
    return code


def _run(words: list[str]) -> int:
    child = os.fork()  # a time namespace is entered by the next child only
    if child == 0:
        try:
            os.execvp(words[0], words)
        finally:
            os._exit(127)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code if code >= 0 else _SIGNALLED - code


def _tried(change: Callable[[Any], None], wanted: object) -> bool:
    """Return whether it was done: not every kernel, user or platform may."""
    try:
        change(wanted)
    except (OSError, AttributeError):
        return False
    return True


def _use_umask(mask: int) -> None:
    os.umask(mask)


def _use_processors(count: int) -> None:
    available = sorted(os.sched_getaffinity(0))
    if len(available) <= count:
        raise OSError(f"expected more than {count} processors, found {len(available)}")
    os.sched_setaffinity(0, available[-count:])


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _take_host_name(name: str) -> None:
    encoded = name.encode("ascii")
    _check(_libc().unshare(ctypes.c_int(_NEW_UTS)))
    _check(_libc().sethostname(encoded, ctypes.c_size_t(len(encoded))))


def _shift_uptime(seconds: int) -> None:
    _check(_libc().unshare(ctypes.c_int(_NEW_TIME)))
    Path("/proc/self/timens_offsets").write_text(
        f"monotonic {seconds} 0\nboottime {seconds} 0\n", encoding="ascii"
    )


def _move_to_memory(wanted: Mapping[str, Any]) -> int:
    """Show `folder` on a file system of its own from now on, filled backwards; return a descriptor
    of what is below it.
    """
    available = re.search(r"MemAvailable: +([0-9]+) kB", Path("/proc/meminfo").read_text("ascii"))
    if available is None or int(available[1]) * 1024 < wanted["bytes"]:
        raise OSError("expected enough memory")
    folder = os.fsencode(wanted["folder"])
    _check(_libc().unshare(ctypes.c_int(_NEW_MOUNTS)))
    _check(_libc().mount(b"none", b"/", None, ctypes.c_ulong(_PRIVATE), None))
    below = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    _check(_libc().mount(b"none", folder, b"tmpfs", ctypes.c_ulong(0), b"mode=0755"))
    os.chdir(folder)
    _copy(f"/proc/self/fd/{below}", ".")
    return below


def _copy(source: str, destination: str) -> None:
    for name in sorted(os.listdir(source), reverse=True):
        old, new = f"{source}/{name}", f"{destination}/{name}"
        if os.path.isdir(old):
            os.mkdir(new)
            _copy(old, new)
        else:
            shutil.copyfile(old, new)
            shutil.copymode(old, new)


if __name__ == "__main__":
    sys.exit(start(json.loads(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]))
