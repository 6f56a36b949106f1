"""The pipeline as an engine (doit, a command, a worker) drives it, and what it tells while it runs.

An engine only knows cards: named pieces of work with files in and files out. It asks
whether a card still holds, executes it where it does not, and asks for the closing word.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

from factory.model.finding import Finding
from factory.model.verdict import Status


@dataclass(frozen=True, slots=True)
class Card:
    """One task of the graph.

    `name` is doit's (`launch:TASK-0101-licence-inventory`), `pack` the pack's id or "";
    `file_dep` and `targets` are absolute paths; `after` names cards that must come first.
    """

    name: str
    phase: str
    pack: str
    help: str
    file_dep: tuple[str, ...]
    targets: tuple[str, ...]
    after: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CardResult:
    """The end of one card: its verdict, the key it was executed for, SHA-256 of each target, a line
    to show.
    """

    status: Status
    key: str
    targets: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    headline: str = ""
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Closing:
    """The last word of a run: verdict over all cards that were asked for, the lines to print, what
    was found.
    """

    status: Status
    lines: tuple[str, ...]
    run_id: str = ""
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Rest:
    """What a process that found nothing to do had before it, under the run lock.

    `records` is what the engine had stored, by card; `runs` are those whose files were held against
    their manifests. `digests` are of the packs' files, by absolute path; `ignored` are files below
    the packs folder that Git ignores; `tools` are the digests of commands by name, "" for none;
    `environment` names the variables that packs are given.
    """

    cards: tuple[Card, ...]
    records: Mapping[str, Mapping[str, object]]
    closing: Closing
    runs: tuple[str, ...]
    digests: Mapping[str, str]
    ignored: frozenset[str]
    tools: Mapping[str, str]
    environment: tuple[str, ...]


class Progress(Protocol):
    """Told what happens, from any thread; must not raise and must not decide."""

    def card_started(self, card: Card) -> None: ...

    def command_started(self, pack: str, label: str, run: str, limit: float) -> None: ...

    def command_output(self, pack: str, chunk: bytes) -> None: ...

    def command_ended(self, pack: str, label: str, rc: int) -> None: ...

    def card_ended(self, card: Card, result: CardResult) -> None: ...

    def card_held(self, card: Card, status: Status) -> None: ...


class Pipeline(Protocol):
    """Everything an engine may ask. Only `execute` has effects besides taking the lock."""

    def cards(self) -> tuple[Card, ...]:
        """All cards in an order that respects `after`. Never raises: a broken pack is a card that
        ends BLOCKED.
        """
        ...

    def begin(self, progress: Progress) -> None:
        """Take the run lock and recover what an earlier run left. Raises Refusal LOCKED."""
        ...

    def holds(self, card: Card, stored: Mapping[str, object]) -> bool:
        """Whether the stored result ({"verdict", "key", "targets"}) of `card` still stands. No side
        effects.
        """
        ...

    def execute(self, card: Card) -> CardResult:
        """Carry the card out and write its targets. Only KeyboardInterrupt leaves it as an
        exception.
        """
        ...

    def close(self, selected: Mapping[str, Status], executed: frozenset[str]) -> Closing:
        """Finish the run (if one was minted), release the lock, and say the last word.

        `selected` maps every card name that was asked for to its verdict; `executed` names those
        that ran.
        """
        ...

    def abandon(self, reason: str) -> None:
        """Record that the run was interrupted, and release the lock."""
        ...
