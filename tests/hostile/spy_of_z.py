"""Run in the place of role Z: look for another process's secrets in memory and in /proc.

Started as the product starts Z, in Z's own process. What it looks for comes as expressions that do
not match themselves, so that a find is never its own question. Writes what it found to `spied.json`
of the run folder, and ends badly, so that nobody merges.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

_LARGEST = 256 * 1024 * 1024  # of a mapping that is read
_FEW = 8  # processes of a namespace of its own
_SEIZE = 0x4206  # PTRACE_SEIZE: attach without stopping


def main() -> int:
    """Look everywhere, and write what was found where."""
    run = Path(json.loads(sys.argv[1])["run_folder"])
    wanted = {
        name: re.compile(text.encode("ascii"), re.DOTALL)
        for name, text in json.loads((run / "wanted.json").read_bytes()).items()
    }
    found: dict[str, list[str]] = {}
    for place, content in looked_at():
        for name, expression in wanted.items():
            if expression.search(content):
                found.setdefault(name, []).append(place)
    report = {"found": found, "processes": len(processes()), "attached": attached()}
    (run / "spied.json").write_text(json.dumps(report))
    sys.stdout.write("the spy was here\n")
    return 1


def processes() -> list[int]:
    """The processes that can be seen."""
    return sorted(int(name) for name in os.listdir("/proc") if name.isdigit())


def near() -> list[int]:
    """Those that are read: all of a namespace of its own, and on a bare host itself and its
    parent.
    """
    seen = processes()
    return seen if len(seen) <= _FEW else [os.getpid(), os.getppid()]


def looked_at() -> Iterator[tuple[str, bytes]]:
    """Every readable environment, command line and memory, by what it is."""
    yield "os.environ", repr(dict(os.environ)).encode()
    for process in near():
        own = "own" if process == os.getpid() else "another's"
        for what in ("environ", "cmdline"):
            try:
                yield f"{own} {what}", Path(f"/proc/{process}/{what}").read_bytes()
            except OSError:
                continue
        yield from ((f"{own} memory", part) for part in memory_of(process))


def memory_of(process: int) -> Iterator[bytes]:
    """Every readable mapping of a process."""
    try:
        maps = Path(f"/proc/{process}/maps").read_text("ascii", "replace").splitlines()
        descriptor = os.open(f"/proc/{process}/mem", os.O_RDONLY)
    except OSError:
        return
    with open(descriptor, "rb", buffering=0) as memory:
        for line in maps:
            span, access, *_ = line.split()
            start, end = (int(part, 16) for part in span.split("-"))
            if "r" not in access or end - start > _LARGEST or "[v" in line:
                continue
            try:
                memory.seek(start)
                yield memory.read(end - start)
            except (OSError, OverflowError):
                continue


def attached() -> list[int]:
    """Other processes that it may trace, and so read and change; without stopping them."""
    library = ctypes.CDLL(None, use_errno=True)
    others = [process for process in near() if process != os.getpid()]
    return [process for process in others if library.ptrace(_SEIZE, process, None, None) == 0]


if __name__ == "__main__":
    sys.exit(main())
