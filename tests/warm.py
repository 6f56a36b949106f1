"""Real processes of the command line without the wait: a process that has it imported forks one for
each start.

Rule: what is started is a process of its own, with its own arguments, folder, environment,
streams, signals and end. Only the interpreter's start and the imports, the same every time,
are done once, and modules are not freed at its end; the sandbox is measured once and what is
the same in each is laid once (`measured_once`); and the disk is not waited for (`fsync`), which shows only where a
machine loses its power. Where that could make a difference `run` says None, and the caller
starts the program itself: another program, modules in the folder it starts in, a hash seed,
variables that the interpreter reads and few tests set, someone else in the middle of a start.
"""

from __future__ import annotations

import array
import atexit
import contextlib
import gc
import importlib
import json
import mmap
import os
import pickle
import pkgutil
import runpy
import select
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

BIN = Path(sys.executable).parent
# What the interpreter and its libraries read before any code of ours.
EARLY = ("PYTHON", "LC_", "LANG", "COV", "LD_", "MALLOC_", "GLIBC_", "OPENSSL_")
OWN_MODULES = frozenset({"dodo.py", "noxfile.py"})
# These do something when they are imported, or run inside a sandbox.
NOT_AHEAD = (
    "factory.__main__",
    "factory.dodo",
    "factory.templates",
    "factory.sandbox.probe_inside",
)
LONGEST = 1 << 20
# Of environments: `tests.world`'s, `engine_project`'s, and two that few tests ask for, so that these
# take no place of the others, whichever comes first.
KINDS = 4


@dataclass(frozen=True)
class Done:
    """A process that ended, and all that it wrote."""

    rc: int
    out: bytes
    err: bytes


@dataclass(frozen=True)
class Made:
    """A process that forks: whose it is, how to ask it, and itself."""

    maker: int
    link: socket.socket
    process: subprocess.Popen[bytes]

    def close(self) -> None:
        """End it, and with it the one that it watches."""
        self.link.close()
        if self.maker == os.getpid():
            self.process.communicate()


class Forker:
    """Processes that fork, one for each set of what is read early, made when first needed. One
    start at a time.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: dict[frozenset[tuple[str, str]], Made] = {}

    def run(
        self,
        argv: list[str],
        cwd: Path,
        environment: dict[str, str],
        seconds: float,
        merged: bool = False,
    ) -> Done | None:
        """What the process came to; None where it has to be started the long way. Raises
        TimeoutExpired. `merged`: it writes its errors where it writes all else.
        """
        if not is_plain(argv, cwd, environment) or not self._lock.acquire(blocking=False):
            return None
        try:
            link = self._link(
                {name: value for name, value in environment.items() if name.startswith(EARLY)}
            )
            return None if link is None else _ask(link, argv, cwd, environment, seconds, merged)
        except BaseException:
            self.close()  # and with it whatever was under way
            raise
        finally:
            self._lock.release()

    def close(self) -> None:
        """End all of them."""
        while self._made:
            self._made.popitem()[1].close()

    def _link(self, early: dict[str, str]) -> socket.socket | None:
        wanted = frozenset(early.items())
        made = self._made.get(wanted)
        if made is not None and made.maker == os.getpid():
            return made.link
        if len(self._made) >= KINDS:
            return None
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            # Pipes, so that the interpreter makes the streams that it has over pipes.
            process = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env={**early, "PATH": os.defpath},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        self._made[wanted] = Made(os.getpid(), ours, process)
        return ours


class Cold(Forker):
    """Lets every start be made the long way."""

    def run(self, *_: object, **__: object) -> None:
        return None


FORKER = Cold() if os.environ.get("TESTS_WHOLE") else Forker()  # see `tests.sample`
atexit.register(FORKER.close)


def is_plain(argv: list[str], cwd: Path, environment: dict[str, str]) -> bool:
    """Nothing about this start shows the difference."""
    if sys.platform != "linux" or "PYTHONHASHSEED" in environment or not cwd.is_dir():
        return False
    return _program_of(argv) is not None and {path.name for path in cwd.glob("*.py")} <= OWN_MODULES


def _program_of(argv: list[str]) -> tuple[str, list[str]] | None:
    """(module or script, its arguments) of a command line that starts `factory` or `doit`."""
    if argv[0] == str(BIN / "doit"):
        return argv[0], argv[1:]
    if argv[:2] == [sys.executable, "-m"] and argv[2] in ("factory", "doit"):
        return argv[2], argv[3:]
    return None


def _ask(
    link: socket.socket,
    argv: list[str],
    cwd: Path,
    environment: dict[str, str],
    seconds: float,
    merged: bool,
) -> Done:
    program, words = _program_of(argv) or ("", [])
    first = (
        str(BIN) if argv[0] != sys.executable else str(cwd)
    )  # of sys.path, as the interpreter would have it
    request = {
        "program": program,
        "words": words,
        "first": first,
        "cwd": str(cwd),
        "environment": environment,
    }
    (out, theirs), (err, theirs_too) = os.pipe(), os.pipe()
    try:
        passed = array.array("i", [theirs, theirs if merged else theirs_too])
        link.sendmsg(
            [json.dumps(request).encode()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, passed)]
        )
        os.close(theirs)
        os.close(theirs_too)
        written = _read_all((out, err), argv, seconds)
        answer = link.recv(LONGEST)
    finally:
        os.close(out)
        os.close(err)
    assert answer, "the process that forks is gone"
    return Done(json.loads(answer), written[out], written[err])


def _read_all(pipes: tuple[int, ...], argv: list[str], seconds: float) -> dict[int, bytes]:
    """All that is written until nobody holds the other ends any more."""
    deadline = time.monotonic() + seconds
    written = dict.fromkeys(pipes, b"")
    with selectors.DefaultSelector() as open_ends:
        for pipe in pipes:
            open_ends.register(pipe, selectors.EVENT_READ)
        while open_ends.get_map():
            ready = open_ends.select(deadline - time.monotonic())
            if not ready and time.monotonic() >= deadline:
                raise subprocess.TimeoutExpired(argv, seconds)
            for key, _ in ready:
                chunk = os.read(key.fd, LONGEST)
                written[key.fd] += chunk
                if not chunk:
                    open_ends.unregister(key.fd)
    return written


# ── in the process that forks ────────────────────────────────────────────────


def serve(link: socket.socket) -> dict[str, Any] | None:
    """Fork and wait until the link hangs up: None. In a forked child: what it is asked to be."""
    _import_ahead()
    measured = importlib.import_module("measured_once")
    shared = measured.reachable(tempfile.mkdtemp(prefix="factory-tests-"))
    page = mmap.mmap(-1, LONGEST)  # shared: a descriptor would be one more in the child
    gc.collect()
    gc.freeze()
    while True:
        content, ancillary, _, _ = link.recvmsg(LONGEST, socket.CMSG_SPACE(8))
        if not content:
            shutil.rmtree(shared)
            return None
        streams = array.array("i")
        streams.frombytes(ancillary[0][2][:8])
        _write(page, {})
        child = os.fork()
        if child == 0:
            request: dict[str, Any] = json.loads(content)
            _become(link, request, streams)
            measured.install(shared, partial(_write, page))
            return request
        for stream in streams:
            os.close(stream)
        ended = _end_of(child, link)
        measured.KNOWN.update(_read(page))
        link.send(json.dumps(ended).encode())


def _write(page: mmap.mmap, found: Mapping[Hashable, Any]) -> None:
    page.seek(0)
    page.write(pickle.dumps(found))


def _read(page: mmap.mmap) -> dict[Hashable, Any]:
    page.seek(0)
    found: dict[Hashable, Any] = pickle.load(page)
    return found


def _import_ahead() -> None:
    import doit

    import factory

    for package in (factory, doit):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not found.name.startswith((*NOT_AHEAD, "doit.__main__")):
                with contextlib.suppress(ImportError):  # of another platform
                    importlib.import_module(found.name)
    importlib.import_module("sqlite3")
    _know_constants()


def _know_constants() -> None:
    """Compute what is the same in every start of this code: each process would do it again."""
    from factory.engine.builder_facts import own_code
    from factory.judge.judge_set import BUILT_IN

    own_code()
    _ = BUILT_IN.compiled


def _become(link: socket.socket, request: dict[str, Any], streams: array.array[int]) -> None:
    """Take on streams, folder, environment and words, as a shell would have given them."""
    link.close()
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, stream in enumerate((nothing, *streams)):
        os.dup2(stream, number)
    os.closerange(3, max(nothing, *streams) + 1)
    vars(os).update(fsync=_not_waited_for, fdatasync=_not_waited_for)
    os.environ.clear()
    os.environ.update(request["environment"])
    time.tzset()
    os.chdir(request["cwd"])
    sys.path[0] = request["first"]
    sys.argv[1:] = request["words"]


def _not_waited_for(file: Any) -> None:
    """As `fsync`, for a disk that has it already: what is no open file is an error here too."""
    os.fstat(file if isinstance(file, int) else file.fileno())


def _end_of(child: int, link: socket.socket) -> int:
    """The child's exit code, as `subprocess` has it; it is killed when the link hangs up first."""
    watched = os.pidfd_open(child)
    try:
        waiting = select.poll()
        waiting.register(watched, select.POLLIN)
        waiting.register(link, 0)  # hang-ups only
        if watched not in {number for number, _ in waiting.poll()}:
            os.kill(child, signal.SIGKILL)
    finally:
        os.close(watched)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _run(program: str) -> int:
    """Run a script or a module; its exit code. What else it raises ends the interpreter."""
    try:
        if "/" in program:
            runpy.run_path(program, run_name="__main__")
        else:
            runpy.run_module(program, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if end.code is not None and not isinstance(end.code, int):
            raise
        return int(end.code or 0)
    return 0


def _end(code: int) -> None:
    """Do what the interpreter does at the end, but for freeing all that was imported: that takes as
    long as a small command. Where a stream cannot be flushed the interpreter says so itself.
    """
    vars(threading)["_shutdown"]()
    vars(atexit)["_run_exitfuncs"]()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):
        sys.exit(code)
    os._exit(code & 0xFF)


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as own_end:
        asked = serve(own_end)
    if asked is not None:
        _end(_run(asked["program"]))
