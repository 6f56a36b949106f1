"""Define the values that go into a sandbox and come out of it, and the error it raises.

Pure. Does not know what a command means or whether its result is good.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


class ErrorKind(enum.Enum):
    """Name what a `SandboxError` is about."""

    UNAVAILABLE = "unavailable"  # nothing here confines as asked, or the kernel refused a stage
    NO_PROXY = "no proxy"  # egress was asked for and cannot be given
    NO_TERMINAL = "no terminal"  # the backend makes none of a stage's own
    INTERPRETER = "interpreter"  # the interpreter for commands cannot be shown to them
    UNKNOWN_BACKEND = "unknown backend"
    DISK = "disk"  # a folder of the sandbox's own cannot be written
    BROKEN = "broken"  # a stage did something that it must not: no verdict can be based on it
    INTERRUPTED = "interrupted"  # a signal asked a person's session to end


class SandboxError(Exception):
    """Report one sentence (expected, found) and its facts.

    The facts are what differs between errors of one kind: `why` (UNAVAILABLE, NO_PROXY), `tool` and
    `why` (INTERPRETER), `place` and `found` (DISK).
    """

    def __init__(self, kind: ErrorKind, sentence: str, **facts: str) -> None:
        super().__init__(sentence)
        self.kind, self.sentence = kind, sentence
        self.facts: Mapping[str, str] = MappingProxyType(facts)


@dataclass(frozen=True, slots=True)
class StageLimits:
    """Bound one stage: seconds for all its commands together, bytes of memory, processes, bytes of
    files, and bytes of output of one command.
    """

    timeout: int
    memory: int
    processes: int
    disk: int
    output: int


class Ended(enum.Enum):
    """Name how a command ended."""

    EXITED = "exited"
    SIGNALLED = "signalled"
    TIMEOUT = "timeout"
    MEMORY = "memory"
    OUTPUT = "output"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class CommandSpec:
    """Describe what to run: a line for `/bin/sh -c`, in `cwd` below the workspace, with variables
    added.

    `timeout` seconds and `output` bytes are hard bounds.
    """

    run: str
    cwd: str
    env: tuple[tuple[str, str], ...]
    timeout: float
    output: int


@dataclass(frozen=True, slots=True)
class ConnectAttempt:
    """Count how often processes of a command gave one address to the kernel; whether they reached
    it is not known.

    `call` is connect or send. `family` is inet, inet6, unix, abstract or another's name. All are
    empty, and `port` is 0, where `count` is of those beyond the most that are kept.
    """

    call: str
    family: str
    address: str
    port: int
    count: int


@dataclass(frozen=True, slots=True)
class CommandOutcome:
    """Describe what happened. `rc` is the exit code (128 + signal where one ended it).

    `log` is the merged output as it came, cut at the bound; `output_bytes` counts all of it.
    `duration_ms` is monotonic time. `peak_memory` in bytes as sampled, 0 if unknown. `disk_full`
    says whether the layer had no space or inode left at the end. `tried` are addresses that were
    given to the kernel, wherever they led; None where that could not be seen.
    """

    ended: Ended
    rc: int
    log: bytes
    output_bytes: int
    duration_ms: int
    peak_memory: int = 0
    disk_full: bool = False
    tried: tuple[ConnectAttempt, ...] | None = None


class LayerKind(enum.Enum):
    """Name what made a layer, and with it the one namespace in which its deletion marks are
    believed.

    TRUSTED is the upper layer of an overlay mounted by root (`trusted.overlay.*`), USER that of one
    mounted with `userxattr` (`user.overlay.*`), WORKTREE a full checkout without any marks. A pack
    can set attributes of the other namespace, so reading both would let it forge deletions.
    """

    TRUSTED = "trusted"
    USER = "user"
    WORKTREE = "worktree"
