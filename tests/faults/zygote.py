"""A process that has everything imported, and forks one real command line after another, broken
where asked.

    python -m tests.faults.zygote

One JSON request a line on standard input, one JSON answer a line. Rule: it is the reaper of all
that its children leave behind, so an answer tells what outlived the command. Does not know what a
command should have done.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import os
import pkgutil
import signal
import sys
import time
from pathlib import Path

from tests.faults import shim

_PATIENCE = 180.0  # seconds that one command may take
_BURIAL = 15.0  # seconds within which everything that it started has ended by itself
_SUBREAPER = 36


def serve() -> None:
    """Answer until standard input ends."""
    ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
    sys.dont_write_bytecode = True
    _import_everything()
    for line in sys.stdin:
        answer = _carry_out(json.loads(line))
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _import_everything() -> None:
    import factory

    for found in pkgutil.walk_packages(factory.__path__, "factory."):
        if found.name not in ("factory.__main__", "factory.dodo") and ".sandbox." not in found.name:
            with contextlib.suppress(ImportError):
                importlib.import_module(found.name)
    importlib.import_module("doit.runner")
    importlib.import_module("sqlite3")


def _carry_out(request: dict) -> dict:
    board = shim.new_board(request["at"], request["how"], request["error"])
    out, err = os.memfd_create("out"), os.memfd_create("err")
    child = os.fork()
    if child == 0:
        _become(request, board, out, err)
    status, late = _wait(child, request.get("kill_after", 0.0))
    answer = {
        "rc": os.waitstatus_to_exitcode(status),
        "late": late,
        "out": _text(out),
        "err": _text(err),
        "operations": shim.operations(board),
        "survivors": _survivors(),
    }
    for descriptor in (board, out, err):
        os.close(descriptor)
    return answer


def _become(request: dict, board: int, out: int, err: int) -> None:
    """The child: the command line, as if it had been started by a shell."""
    code = 1
    try:
        os.setsid()
        nothing = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((nothing, 0), (out, 1), (err, 2)):
            os.dup2(source, target)
        os.environ.clear()
        os.environ.update(request["environment"])
        os.chdir(request["folder"])
        sys.argv = ["factory", *request["words"]]
        faults = shim.Faults(board, -1, request["folder"])
        faults.install()
        faults.follow()
        from factory.__main__ import main

        code = main()
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException:  # noqa: BLE001  whatever it is, the child ends here
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _wait(child: int, kill_after: float) -> tuple[int, bool]:
    """The child's status, and whether it had to be ended for taking too long."""
    began = time.monotonic()
    limit = kill_after or _PATIENCE
    watched = os.pidfd_open(child)
    try:
        import select

        ready, _, _ = select.select([watched], [], [], limit)
        if not ready:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child, signal.SIGKILL)
        status = os.waitpid(child, 0)[1]
    finally:
        os.close(watched)
    return status, not kill_after and time.monotonic() - began >= _PATIENCE


def _survivors() -> list[str]:
    """Command lines of what is still there when everything had time to end; these are ended
    here.
    """
    deadline = time.monotonic() + _BURIAL
    while time.monotonic() < deadline:
        try:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                time.sleep(0.005)
        except ChildProcessError:
            return []
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    told = [
        Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode() for pid in children
    ]
    for pid in children:
        os.kill(int(pid), signal.SIGKILL)
        os.waitpid(int(pid), 0)
    return told


def _text(descriptor: int) -> str:
    return os.pread(descriptor, 1 << 20, 0).decode("utf-8", "replace")


if __name__ == "__main__":
    serve()
