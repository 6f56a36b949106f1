"""Define a backend: one way of confining commands on this host, fixed.

A subclass says what it needs of the host, what it promises (nothing unless it says so), how a
command runs in it, and what it lacks and why. The probe and every stage use the same object, so
what was proved is what is in force. Adding one: `backends`.
"""

from __future__ import annotations

import abc
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from factory.sandbox import host, python_env
from factory.sandbox.backends import IsolationMode
from factory.sandbox.properties import Enforcement, Property, PropertyProof
from factory.sandbox.sealed import Seal, process_seal
from factory.sandbox.values import ErrorKind, SandboxError, StageLimits

if TYPE_CHECKING:
    from factory.sandbox.ports import EgressListener, Stage, StageView


@dataclass(frozen=True, slots=True)
class SandboxSetting:
    """Name two folders of the sandbox's own, and what the user chose.

    `python` names another interpreter for commands, `bubblewrap` a binary; empty: found by looking.
    `shown` are the folders that such an interpreter may be in beyond the system's.
    `backend` is the only one to be tried, "auto" the best that works. `unconfined`: the user
    accepted the absence of every property; only then may a command run on a host that confines
    nothing. `seal` makes the seals of what is cached; with `keeps` that is also what was measured,
    so that later starts of this boot need not measure again.
    """

    cache: Path
    worktrees: Path
    isolation: IsolationMode = IsolationMode.AUTO
    python: str = ""
    bubblewrap: str = ""
    unconfined: bool = False
    backend: str = "auto"
    shown: tuple[Path, ...] = ()
    seal: Seal = process_seal
    keeps: bool = False


class Offer:
    """Look up what this host has for backends to build on, when one asks."""

    def __init__(self, setting: SandboxSetting) -> None:
        self.setting = setting
        self.cache, self.work = setting.cache, setting.worktrees

    @cached_property
    def bubblewraps(self) -> tuple[host.Bubblewrap, ...]:
        """Return binaries worth probing, best first."""
        return host.candidates(self.setting.bubblewrap)

    @cached_property
    def interpreter(self) -> python_env.Interpreter:
        """Return the interpreter for commands. Raise SandboxError INTERPRETER."""
        chosen = self.setting.python
        if not chosen:
            return python_env.own_interpreter()
        return python_env.locate_interpreter(chosen, self.setting.shown)

    @cached_property
    def python(self) -> python_env.PythonView:
        """Return how that interpreter is shown at constant paths. Raise SandboxError
        INTERPRETER.
        """
        return python_env.view_of(self.interpreter, self.cache, self.setting.seal)


@dataclass(frozen=True, slots=True)
class Probed:
    """Record whether anything ran at all, why not, and what was proved."""

    started: bool
    why: str
    enforcement: Enforcement


class Backend(abc.ABC):
    """Confine commands in one way, made by `ways` for a host that has what it needs."""

    name: ClassVar[str]
    isolation: ClassVar[IsolationMode] = IsolationMode.WORKTREE

    @classmethod
    @abc.abstractmethod
    def ways(cls, offer: Offer) -> Iterable[Backend]:
        """Return every way of this kind that a host's offer leaves, best first."""

    @classmethod
    @abc.abstractmethod
    def why_none(cls) -> str:
        """Return why `ways` found nothing, one clause."""

    # --- what it promises

    def promised(self) -> frozenset[Property]:
        """Return what this backend promises. A promise is no proof: a probe tries each, and one
        that fails where it is promised blocks.
        """
        return frozenset()

    def lack(self, wanted: Property) -> str:
        """Return why a property is not promised, one clause; asked only of those."""
        return f"the backend {self.name} does not promise {wanted.value}"

    def lacks(self) -> Mapping[Property, str]:
        """Return every property: empty where it is promised, else what is lacking."""
        promised = self.promised()
        return {each: "" if each in promised else self.lack(each) for each in Property}

    def no_proxy(self) -> str:
        """Return why no stage can have egress, one clause; empty where one can."""
        return f"the backend {self.name} has no way to a proxy; the backend full has"

    # --- how it runs commands

    @abc.abstractmethod
    def probe(self) -> Probed:
        """Return what is proved of it by trying. What the host lacks is in the value, never
        raised.
        """

    def probe_network(self) -> tuple[PropertyProof, tuple[str, ...]]:
        """Return how a stage with egress is isolated all the same, and what it reached that it
        must not; asked only where there can be one.
        """
        return PropertyProof(Property.NET_ISOLATED, False, self.no_proxy()), ()

    @abc.abstractmethod
    def open(
        self, view: StageView, limits: StageLimits, name: str, egress: EgressListener | None
    ) -> Stage:
        """Open a stage. Raise SandboxError UNAVAILABLE, NO_PROXY or DISK."""

    @abc.abstractmethod
    def integrator_argv(self, run_folder: Path, argv: list[str]) -> list[str]:
        """Return the words that run `argv` with only `run_folder` writable. Raise SandboxError
        UNAVAILABLE.
        """

    @abc.abstractmethod
    def close(self) -> None:
        """End every stage that is open, and what was started for those to come."""


def unavailable(why: str) -> SandboxError:
    """Return what is raised where a sandbox is needed and there is none."""
    sentence = f"expected a sandbox on this host, found none: {why}"
    return SandboxError(ErrorKind.UNAVAILABLE, sentence, why=why)


def without_proxy(why: str) -> SandboxError:
    """Return what is raised where a stage needs egress and there can be none."""
    sentence = f"expected a way to a proxy on this host, found none: {why}"
    return SandboxError(ErrorKind.NO_PROXY, sentence, why=why)


def without_terminal() -> SandboxError:
    """Return what is raised where a session needs a terminal and the backend makes none."""
    sentence = "expected a sandbox with a terminal of its own, found one without"
    return SandboxError(ErrorKind.NO_TERMINAL, sentence)


def nothing_given(name: str, why: str, facts: Mapping[str, str]) -> Enforcement:
    """Return the enforcement of a backend that gives nothing."""
    return Enforcement(
        name, tuple(PropertyProof(each, False, why) for each in Property), facts=facts
    )
