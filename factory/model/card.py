"""Define cards: one card is one task of the graph, with its result and its progress events.

Whoever drives the graph (doit, a command, a worker) only knows cards: named pieces of work with
files in and files out. Does not know who drives them, nor what a phase does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

from factory.model.verdict import Status

if TYPE_CHECKING:
    from factory.model.finding import Finding


@dataclass(frozen=True, slots=True)
class Card:
    """Describe one task of the graph.

    `name` is doit's (`launch:TASK-0101-licence-inventory`), `pack` the pack's id or ""; `file_dep`
    and `targets` are absolute paths; `after` names cards that must come first. `products` are more
    files that are there after a PASS, for others to depend on: what they contain decides nothing.
    """

    name: str
    phase: str
    pack: str
    help: str
    file_dep: tuple[str, ...]
    targets: tuple[str, ...]
    after: tuple[str, ...] = ()
    products: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CardResult:
    """Record the end of one card: verdict, the key it was executed for, SHA-256 of each target by
    path.

    `headline` is one line to show.
    """

    status: Status
    key: str
    targets: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    headline: str = ""
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Closing:
    """Record the end of a command: the verdict over all requested cards, lines to print, findings.

    `run_id` is "" if the command made no run and names none.
    """

    status: Status
    lines: tuple[str, ...]
    run_id: str = ""
    findings: tuple[Finding, ...] = ()


class Progress(Protocol):
    """Receive progress events from any thread; must not raise and must not decide."""

    def card_started(self, card: Card) -> None: ...

    def command_started(self, pack: str, label: str, run: str, limit: float) -> None: ...

    def command_output(self, pack: str, chunk: bytes) -> None: ...

    def command_ended(self, pack: str, label: str, rc: int) -> None: ...

    def card_ended(self, card: Card, result: CardResult) -> None: ...

    def card_up_to_date(self, card: Card, status: Status) -> None: ...
