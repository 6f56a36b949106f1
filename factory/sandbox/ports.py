"""The sandbox as phases need it: measure the host once, open a stage per attempt, run commands in
it.

A stage is one private writable view of a tree. Its commands run one after another, each in
a sandbox of its own over the same private layer; when the stage is frozen every process
that ever ran in it is dead. Does not know what a command means or whether its result is good.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from factory.egress.ports import Reach
from factory.model.connection import Connection
from factory.model.denial import Tried
from factory.model.pack import Limits
from factory.model.properties import Enforcement
from factory.model.scanned import ScannedLayer
from factory.model.tree import Tree


class Ended(enum.Enum):
    """How a command came to its end."""

    EXITED = "exited"
    SIGNALLED = "signalled"
    TIMEOUT = "timeout"
    MEMORY = "memory"
    OUTPUT = "output"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class CommandSpec:
    """What to run: a line for `/bin/sh -c`, in `cwd` below the workspace, with variables added.

    `timeout` seconds and `output` bytes are hard bounds.
    """

    run: str
    cwd: str
    env: tuple[tuple[str, str], ...]
    timeout: float
    output: int


@dataclass(frozen=True, slots=True)
class CommandOutcome:
    """What happened. `rc` is the exit code (128 + signal where one ended it).

    `log` is the merged output as it came, cut at the bound; `output_bytes` counts all of it.
    `duration_ms` is monotonic time. `peak_memory` in bytes as sampled, 0 if unknown. `disk_full`
    tells that the layer had no space or inode left at the end. `tried` are addresses that were
    given to the kernel, wherever they led; None where that could not be seen.
    """

    ended: Ended
    rc: int
    log: bytes
    output_bytes: int
    duration_ms: int
    peak_memory: int = 0
    disk_full: bool = False
    tried: tuple[Tried, ...] | None = None


@dataclass(frozen=True, slots=True)
class View:
    """What a stage shows at /workspace: `tree`, told as a shared base plus the difference to it.

    `base` is a tree whose read-only checkout is shared between stages; `tree` is the exact
    content. Both are complete and their objects are in the object store.
    """

    base: Tree
    tree: Tree


class Person(Protocol):
    """Who sits at a terminal, as a session needs them. Their terminal itself never enters a
    sandbox.
    """

    @property
    def typing(self) -> int:
        """A descriptor that is readable when something was typed."""
        ...

    @property
    def resized(self) -> int:
        """A descriptor that is readable when the window may have changed."""
        ...

    def typed(self) -> bytes:
        """What was typed; empty when the person is gone."""
        ...

    def show(self, chunk: bytes) -> None:
        """Show output of the sandbox, made safe for their terminal."""
        ...

    def window(self) -> tuple[int, int]:
        """Rows and columns; takes note of the change."""
        ...


@runtime_checkable
class Conversing(Protocol):
    """A stage in which a person can work at a terminal."""

    def converse(self, command: CommandSpec, person: Person) -> CommandOutcome:
        """Run a command at a terminal of the stage's own until it ends. The outcome has no log."""
        ...


class Stage(Protocol):
    """One private view, alive until closed."""

    def run(
        self, command: CommandSpec, on_output: Callable[[bytes], None] | None = None
    ) -> CommandOutcome: ...

    def connections(self) -> tuple[Connection, ...]:
        """Connections through the stage's proxy since the last time that was asked, all ended. No
        command may run.
        """
        ...

    def freeze(self) -> ScannedLayer:
        """End every process, scan the layer, store every blob. No command can run afterwards."""
        ...

    def collect(self, patterns: Iterable[str]) -> tuple[Collected, ...]:
        """Read files of the view (base and layer) that match scope patterns, each once, without
        following links.
        """
        ...

    def keep(self, destination: Path) -> None:
        """Copy the private layer to a folder for a person to look at (a failed attempt)."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Collected:
    """A file collected from a stage, or why it could not be: `problem` is one clause."""

    path: str
    content: bytes
    executable: bool = False
    problem: str = ""


class Sandbox(Protocol):
    """One way of confining packs on this host."""

    def measure(self, network: bool = False) -> Enforcement:
        """Probe by trying, inside the same confinement; cached for the life of the process.

        With `network` a stage that has a proxy is probed as well: it must be as isolated as any
        other.
        """
        ...

    def open(self, view: View, limits: Limits, name: str, reach: Reach | None = None) -> Stage:
        """A fresh stage; with `reach` it has a proxy of its own, and no other way out.

        Raises Refusal where the view cannot be made as declared, NETWORK_UNAVAILABLE where there
        can be no proxy.
        """
        ...

    def close(self) -> None: ...
