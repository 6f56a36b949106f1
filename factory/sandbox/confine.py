"""Confine the integrator process: the whole host read-only, one folder writable, no network.

Unlike a pack, the integrator is our own code and reads the repository; what it must never do is
change anything outside its run folder. Two walls, each measured: bubblewrap's read-only mounts,
which also refuse what Landlock lets pass (chmod and times), and Landlock within. Where no
bubblewrap works, Landlock is the only one, and a filter refuses what it lets pass. Does not know
what the integrator does.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from factory.sandbox import give_up, landlock


def confined_argv(run_folder: Path, argv: list[str], program: Path) -> list[str]:
    """Return the words that run `argv` with only `run_folder` (which must exist) writable.

    `program` is the bubblewrap binary.
    """
    folder = str(run_folder.resolve(strict=True))
    return [
        *(
            str(program),
            "--unshare-all",
            "--unshare-user",
            "--cap-drop",
            "ALL",
            "--die-with-parent",
            "--new-session",
        ),
        *("--ro-bind", "/", "/", "--proc", "/proc", "--ro-bind", "/proc/sys", "/proc/sys"),
        *("--dev", "/dev", "--remount-ro", "/dev"),
        *("--bind", folder, folder, "--"),
        *_given_up(folder, give_up.INNER, argv),
    ]


def landlocked_argv(run_folder: Path, argv: list[str]) -> list[str]:
    """Return the words that confine it by Landlock and a filter alone."""
    folder = str(run_folder.resolve(strict=True))
    return _given_up(folder, give_up.ALONE, argv)


def _given_up(folder: str, wall: str, argv: list[str]) -> list[str]:
    return [sys.executable, "-I", "-S", str(_GIVE_UP), folder, wall, *argv]


_GIVE_UP = Path(__file__).with_name("give_up.py")

_TRIES = """
import os, socket, sys
own, foreign, port, inner = sys.argv[1:]
def works(attempt):
    try:
        attempt()
    except OSError:
        return False
    return True
def connect():
    with socket.socket() as client:
        client.connect(("127.0.0.1", int(port)))
def create(path):
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT))
def change_mode(path):
    before = os.stat(path).st_mode
    os.fchmod(os.open(path, os.O_RDONLY), before ^ 0o11)
    if os.stat(path).st_mode == before:
        raise PermissionError
attempts = {
    "create": lambda: create(foreign + ".new"),
    "write": lambda: create(foreign),
    "chmod": lambda: os.chmod(foreign, 0o644),
    "mode of an open file": lambda: change_mode(foreign),
    "times": lambda: os.utime(foreign, (1, 1)),
    "unlink": lambda: os.unlink(foreign),
    "TCP": connect,
}
if inner:
    attempts["another process"] = lambda: open("/proc/1/environ").close()
reached = [name for name, attempt in attempts.items() if works(attempt)]
if not works(lambda: create(os.path.join(own, "written"))):
    reached.append("nothing can be written in the run folder either")
print(",".join(reached) or "refused")
"""
_SECONDS = 20


class IntegratorProbe:
    """Try the integrator's confinement while other work goes on: started on creation, judged by
    `finish`.

    `confine` makes a backend's words of a run folder and a command.
    """

    def __init__(self, place: Path, confine: Callable[[Path, list[str]], list[str]]) -> None:
        own, foreign = place / "run", place / "foreign"
        own.mkdir()
        foreign.write_bytes(b"")
        self._listener = socket.create_server(("127.0.0.1", 0))
        port = str(self._listener.getsockname()[1])
        argv = [sys.executable, "-I", "-S", "-c", _TRIES, str(own), str(foreign), port]
        argv.append("landlock" if landlock.abi() else "")
        self._process = subprocess.Popen(
            confine(own, argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={"PATH": os.defpath},
        )

    def finish(self) -> str:
        """Return why the confinement cannot be relied on; empty where every attempt was refused."""
        try:
            said, _ = self._process.communicate(timeout=_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            said, _ = self._process.communicate()
        self._listener.close()
        text = said.decode("utf-8", "replace").strip()
        return (
            ""
            if text == "refused"
            else f"the integrator could not be confined: {text[:300] or 'no answer'}"
        )
