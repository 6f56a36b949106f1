"""A small repository, brought back to the same state before each point, and the zygote that runs
commands in it.

Rule: every state is made once by the real tool and copied back to the very place it was made at, so
that what the engine remembers still holds there. Does not know what a broken command should have
left.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.faults import shim
from tests.world import World, environment

ROOT = Path(__file__).parents[2]
PACKS = ("TASK-0001", "TASK-0002")


@dataclass(frozen=True)
class Broke:
    """How to break a command: at which operation (0: not), by what, with which error; or by the
    clock, in seconds.
    """

    at: int = 0
    how: int = shim.NONE
    error: int = 0
    kill_after: float = 0.0


@dataclass(frozen=True)
class Ran:
    """What one command came to. `rc` is negative where a signal ended it."""

    rc: int
    text: str
    operations: tuple[str, ...]
    survivors: tuple[str, ...]
    late: bool


class Bench:
    """One repository `w` with a home folder beside it, states of both, and a zygote. Used as a
    context.
    """

    def __init__(self, place: Path) -> None:
        self.place = place
        self.live = place / "live"
        self._zygote = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.zygote"],
            cwd=ROOT,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._zygote.stdin is not None
        assert self._zygote.stdout is not None
        self._ask, self._answer = self._zygote.stdin, self._zygote.stdout

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *_: object) -> None:
        self._ask.close()
        self._zygote.wait(60)
        self._answer.close()

    @property
    def world(self) -> World:
        """The repository as it stands."""
        here = World.__new__(World)
        here.root = self.live / "w"
        return here

    def make_world(self) -> None:
        """The repository in which nothing ran yet."""
        shutil.rmtree(self.live, ignore_errors=True)
        for name in ("home", "tmp"):
            (self.live / name).mkdir(parents=True)
        world = World(self.live / "w")
        for name in PACKS:
            run = json.dumps(f"mkdir -p docs; echo {name} > docs/{name}")
            world.pack(
                f"{name}-x",
                f'scope: {{allowed_paths: ["docs/**"]}}\nsteps: [{{name: s, run: {run}}}]\n',
            )
        world.commit()

    def keep(self, state: str) -> None:
        """Remember everything as it is now under this name."""
        shutil.rmtree(self.place / state, ignore_errors=True)
        _copy(self.live, self.place / state)

    def restore(self, state: str) -> None:
        """Back to what was remembered."""
        shutil.rmtree(self.live)
        _copy(self.place / state, self.live)

    def run(self, *words: str, broke: Broke = Broke()) -> Ran:
        """Carry out `factory WORDS` in the repository."""
        env = environment(
            HOME=str(self.live / "home"),
            XDG_CONFIG_HOME=str(self.live / "home" / ".config"),
            XDG_STATE_HOME=str(self.live / "home" / ".local" / "state"),
            TMPDIR=str(self.live / "tmp"),
        )
        request = {
            "words": words,
            "environment": env,
            "folder": str(self.live / "w"),
            **vars(broke),
        }
        self._ask.write(json.dumps(request).encode() + b"\n")
        self._ask.flush()
        answer = json.loads(self._answer.readline())
        return Ran(
            answer["rc"],
            answer["out"] + answer["err"],
            tuple(answer["operations"]),
            tuple(answer["survivors"]),
            answer["late"],
        )


def _copy(source: Path, target: Path) -> None:
    subprocess.run(["cp", "-a", "--reflink=auto", str(source), str(target)], check=True)


def digests(folder: Path, without: Iterable[str] = ()) -> dict[str, str]:
    """Path to SHA-256 of every file below a folder, without some names at its top."""
    found = {}
    for place, folders, files in os.walk(folder):
        if place == str(folder):
            folders[:] = [name for name in folders if name not in without]
        for name in files:
            path = os.path.join(place, name)
            content = (
                os.readlink(path).encode() if os.path.islink(path) else Path(path).read_bytes()
            )
            found[os.path.relpath(path, folder)] = hashlib.sha256(content).hexdigest()
    return found
