"""Define what a sandbox promises to those who open stages in it, and what it asks of them.

A stage is one private writable view. Its commands run one after another, each in a sandbox of its
own over the same private layer; when the stage is frozen, every process that ever ran in it is
dead. Implementations: `host_sandbox` and the backends, and a fake in tests/fakes/stage.py; all pass
tests/integration/test_stage_contract.py.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from factory.sandbox.layer import DeadLayer
from factory.sandbox.properties import Enforcement
from factory.sandbox.values import CommandOutcome, CommandSpec, StageLimits


class StageView(Protocol):
    """Provide what a stage shows at /workspace.

    `files` are texts by their paths inside, below /run, for this stage alone and read-only there;
    only the backend `full` shows them.
    """

    @property
    def files(self) -> tuple[tuple[str, str], ...]:
        """Return texts for the stage, by their paths inside."""
        ...

    def folders(self) -> tuple[Path, ...]:
        """Return read-only folders that show it when each lies over the next."""
        ...

    def copy(self, destination: Path) -> None:
        """Write all of it to a folder that does not exist, to be changed there."""
        ...


class EgressListener(Protocol):
    """Serve the only network that a stage has: a listener on its loopback.

    `environment` is added for its commands, after everything else. `files` are texts by their paths
    inside, directly in /run, for this stage alone and read-only there.
    """

    @property
    def environment(self) -> tuple[tuple[str, str], ...]:
        """Return variables for its commands."""
        ...

    @property
    def files(self) -> tuple[tuple[str, str], ...]:
        """Return texts for the stage, by their paths inside."""
        ...

    def serve(self, listener: socket.socket) -> None:
        """Take clients off `listener`, which is its own from now on, until `close`."""
        ...

    def close(self) -> None:
        """Take no client any more and end those that are there. Idempotent."""
        ...


class Person(Protocol):
    """Represent the person at a terminal, as a session needs them.

    Their terminal itself never enters a sandbox.
    """

    @property
    def typing(self) -> int:
        """Return a descriptor that is readable when something was typed."""
        ...

    @property
    def resized(self) -> int:
        """Return a descriptor that is readable when the window may have changed."""
        ...

    def typed(self) -> bytes:
        """Return what was typed; empty when the person is gone."""
        ...

    def show(self, chunk: bytes) -> None:
        """Show output of the sandbox, made safe for their terminal."""
        ...

    def window(self) -> tuple[int, int]:
        """Return rows and columns, and forget that they changed."""
        ...


class Stage(Protocol):
    """Run commands in one private view, alive until closed."""

    def run(
        self, command: CommandSpec, on_output: Callable[[bytes], None] | None = None
    ) -> CommandOutcome:
        """Run one command to its end, and end everything it started with it.

        Raise SandboxError BROKEN where the sandbox did not start or the stage is frozen.
        """
        ...

    def converse(self, command: CommandSpec, person: Person) -> CommandOutcome:
        """Run a command at a terminal of the stage's own until it ends. The outcome has no log.

        Raise as `run` does, and SandboxError NO_TERMINAL where there can be none.
        """
        ...

    def freeze(self) -> DeadLayer:
        """End every process; return what they wrote. No command can run afterwards."""
        ...

    def close(self) -> None:
        """End every process and remove what they wrote. Idempotent."""
        ...


class Sandbox(Protocol):
    """Confine commands on one host."""

    def measure(self, network: bool = False) -> Enforcement:
        """Return what is enforced, proved by trying inside the same confinement; measured once.

        With `network` a stage that has a listener for egress is probed as well: it must be as
        isolated as any other. What the host lacks is in the value, never raised.
        """
        ...

    def open(
        self, view: StageView, limits: StageLimits, name: str, egress: EgressListener | None = None
    ) -> Stage:
        """Open a fresh stage; no two that are open have one name. With `egress` it has a listener
        of its own, and no other network.

        Raise SandboxError UNAVAILABLE where it cannot be made as declared, NO_PROXY where there can
        be no egress.
        """
        ...

    def integrator_argv(self, run_folder: Path, argv: list[str]) -> list[str]:
        """Return the words that run `argv` with nothing but `run_folder` writable.

        Raise SandboxError UNAVAILABLE where nothing here does that.
        """
        ...

    def close(self) -> None:
        """End every stage that is still open, and whatever started them."""
        ...
