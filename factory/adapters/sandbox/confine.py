"""The confinement of the integrator process: the whole host read-only, one folder writable, no network.

Unlike a pack, the integrator is our own code and reads the repository; what it must never do is
change anything outside its run folder. Read-only mounts also refuse what Landlock lets
pass: chmod and times. Does not know what the integrator does.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

from factory.adapters.sandbox import host
from factory.model.errors import Refusal
from factory.model.finding import Finding


def confined_argv(run_folder: Path, argv: list[str], program: Path | None = None) -> list[str]:
    """The words that run `argv` with only `run_folder` (which must exist) writable.

    `program` is the bubblewrap binary; without it, the best that this host has. Raises Refusal
    PROPERTY_MISSING where there is none.
    """
    binary = program or _best()
    folder = str(run_folder.resolve(strict=True))
    return [
        *(str(binary), "--unshare-all", "--unshare-user", "--cap-drop", "ALL", "--die-with-parent", "--new-session"),
        *("--ro-bind", "/", "/", "--proc", "/proc", "--ro-bind", "/proc/sys", "/proc/sys"),
        *("--dev", "/dev", "--remount-ro", "/dev"),
        *("--bind", folder, folder, "--chdir", folder, "--setenv", "TMPDIR", folder, "--", *argv),
    ]


_TRIES = """
import os, socket, sys
own, foreign, port = sys.argv[1:]
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
attempts = {
    "create": lambda: create(foreign + ".new"),
    "write": lambda: create(foreign),
    "chmod": lambda: os.chmod(foreign, 0o644),
    "times": lambda: os.utime(foreign, (1, 1)),
    "unlink": lambda: os.unlink(foreign),
    "TCP": connect,
}
reached = [name for name, attempt in attempts.items() if works(attempt)]
if not works(lambda: create(os.path.join(own, "written"))):
    reached.append("nothing can be written in the run folder either")
print(",".join(reached) or "held")
"""
_SECONDS = 20


class IntegratorProbe:
    """Tries the integrator's confinement beside other work: started on creation, judged by `finish`."""

    def __init__(self, place: Path, program: Path) -> None:
        own, foreign = place / "run", place / "foreign"
        own.mkdir()
        foreign.write_bytes(b"")
        self._listener = socket.create_server(("127.0.0.1", 0))
        port = str(self._listener.getsockname()[1])
        argv = [sys.executable, "-I", "-S", "-c", _TRIES, str(own), str(foreign), port]
        self._process = subprocess.Popen(
            confined_argv(own, argv, program),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={"PATH": os.defpath},
        )

    def finish(self) -> str:
        """Why the confinement cannot be relied on; empty where every attempt was refused."""
        try:
            said, _ = self._process.communicate(timeout=_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            said, _ = self._process.communicate()
        self._listener.close()
        text = said.decode("utf-8", "replace").strip()
        return "" if text == "held" else f"the integrator could not be confined: {text[:300] or 'no answer'}"


def _best() -> Path:
    found = host.candidates()
    if not found:
        raise Refusal(
            Finding(
                "PROPERTY_MISSING",
                "expected bubblewrap to confine the integrator, found none",
                "install the package bubblewrap",
            )
        )
    return found[0].program
