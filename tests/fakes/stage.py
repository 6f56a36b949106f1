"""A sandbox that plays a script: "apply this edit, print this, end so". Starts no process.

What a stage promises is in tests/integration/test_stage_contract.py, which this one passes as the
real ones do. So a test of what is made of a command's end uses this; a test of what a command
cannot do uses a real one.

    def test_it(world: World) -> None:
        script = {"make it": Play(writes={"src/a.txt": "a\\n"}, says=b"made\\n")}
        status, _ = oneshot(world, **playing(script))
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from factory.merge.integrator import IntegratorProcess
from factory.plan.stages import PackSandbox
from factory.sandbox.layer import DeadLayer, bytes_of, open_folder
from factory.sandbox.ports import EgressListener, Person, StageView
from factory.sandbox.properties import Enforcement, Property, PropertyProof
from factory.sandbox.values import (
    CommandOutcome,
    CommandSpec,
    ConnectAttempt,
    Ended,
    ErrorKind,
    LayerKind,
    SandboxError,
    StageLimits,
)

_KILLED = 128 + signal.SIGKILL


@dataclass(frozen=True)
class Play:
    """What one command does. `writes` has a path's new content, or None to remove what is there.

    `links` has targets of symbolic links; `executable` names paths that get the mode 755.
    """

    says: bytes = b""
    rc: int = 0
    ended: Ended = Ended.EXITED
    writes: Mapping[str, str | bytes | None] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    executable: tuple[str, ...] = ()
    tried: tuple[ConnectAttempt, ...] | None = ()
    disk_full: bool = False


Script: TypeAlias = Mapping[str, Play] | Callable[[CommandSpec], Play]
"""What each command line does, or a function that says so of a whole command."""

_KNOWN = {"true": Play(), "false": Play(rc=1), ":": Play()}


class FakeSandbox:
    """A `Sandbox`; see the port. It gives every property but those in `lacks`."""

    def __init__(self, script: Script, lacks: Iterable[Property] = ()) -> None:
        self.ran: list[CommandSpec] = []
        self._script = script
        without = frozenset(lacks)
        self._enforcement = Enforcement(
            "fake",
            tuple(
                PropertyProof(each, each not in without, "a script is played") for each in Property
            ),
            facts={"isolation": "worktree"},
        )
        self._stages: list[FakeStage] = []

    def measure(self, network: bool = False) -> Enforcement:
        """Return the same value each time."""
        return self._enforcement

    def open(
        self, view: StageView, limits: StageLimits, name: str, egress: EgressListener | None = None
    ) -> FakeStage:
        """Lay the view out in a temporary folder. No play connects to a proxy."""
        folder = Path(tempfile.mkdtemp(prefix=f"fake-{name}-")) / "workspace"
        view.copy(folder)
        top = partial(open_folder, folder)
        layer = DeadLayer(LayerKind.WORKTREE, top, (), limits.disk, bytes_of(folder))
        stage = FakeStage(folder, layer, self._play, egress)
        self._stages.append(stage)
        return stage

    def integrator_argv(self, run_folder: Path, argv: list[str]) -> list[str]:
        """Return the same words: nothing confines them."""
        return [*argv]

    def close(self) -> None:
        """Close every stage that is still open."""
        for stage in self._stages:
            stage.close()

    def _play(self, command: CommandSpec) -> Play:
        self.ran.append(command)
        if callable(self._script):
            return self._script(command)
        known = {**_KNOWN, **self._script}
        if command.run not in known:
            raise AssertionError(f"no play for {command.run!r}; the script has {sorted(known)}")
        return known[command.run]


class FakeStage:
    """A `Stage`; see the port."""

    def __init__(
        self,
        folder: Path,
        layer: DeadLayer,
        play: Callable[[CommandSpec], Play],
        egress: EgressListener | None,
    ) -> None:
        self._folder, self._layer, self._play, self._egress = folder, layer, play, egress
        self._frozen = False

    def run(
        self, command: CommandSpec, on_output: Callable[[bytes], None] | None = None
    ) -> CommandOutcome:
        """Apply the play's edit and end as it says; output over the bound ends it as OUTPUT."""
        if self._frozen:
            raise SandboxError(
                ErrorKind.BROKEN, "a command was to run in a stage that is frozen already"
            )
        play = self._play(command)
        self._edit(play)
        log = play.says[: command.output]
        if log and on_output is not None:
            on_output(log)
        ended = play.ended
        if len(play.says) > command.output and ended is Ended.EXITED:
            ended = Ended.OUTPUT
        rc = play.rc if play.rc or ended is Ended.EXITED else _KILLED
        return CommandOutcome(ended, rc, log, len(play.says), 1, 0, play.disk_full, play.tried)

    def converse(self, command: CommandSpec, person: Person) -> CommandOutcome:
        """Play the command; the person sees what it prints."""
        return replace(self.run(command, person.show), log=b"")

    def freeze(self) -> DeadLayer:
        """Return the folder; no command can run afterwards."""
        self._frozen = True
        return self._layer

    def close(self) -> None:
        """Remove the folder. Idempotent."""
        self._frozen = True
        if self._egress is not None:
            self._egress.close()
        shutil.rmtree(self._folder.parent, ignore_errors=True)

    def _edit(self, play: Play) -> None:
        for path, content in play.writes.items():
            place = self._place(path)
            if place.is_dir() and not place.is_symlink():
                shutil.rmtree(place)
            elif content is None or place.is_symlink():
                place.unlink()
            if content is not None:
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(content.encode() if isinstance(content, str) else content)
        for path, target in play.links.items():
            place = self._place(path)
            place.parent.mkdir(parents=True, exist_ok=True)
            os.symlink(target, place)
        for path in play.executable:
            self._place(path).chmod(0o755)

    def _place(self, path: str) -> Path:
        place = self._folder / path
        assert place.parent.resolve().is_relative_to(self._folder.resolve()), path
        return place


def playing(script: Script, lacks: Iterable[Property] = ()) -> dict[str, Any]:
    """Return doors for `tests.in_process`: a site's sandbox plays the script, and its integrator
    runs unconfined, so that nothing is probed.
    """
    return {
        "sandbox": lambda real: PackSandbox(FakeSandbox(script, lacks), real.views, real.objects),
        "integrator": lambda real: IntegratorProcess(real.__self__._repository, _unconfined).merge,
    }


def _unconfined(_run_folder: Path, argv: list[str]) -> list[str]:
    return argv
