"""The pipeline of a repository where everything is as it was when nothing had to be done: nothing
has to be done again.

Rule: it only ever says that what holds still holds. The first other question makes the real
pipeline, which takes over with every byte read again; it must find that what was said to hold does,
or nothing is executed. Does not know how either is made, nor how it is told that all is as it was.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass

from factory.engine.doit_checker import vouch, withdraw
from factory.engine.doit_session import Pipeline
from factory.model.card import Card, CardResult, Closing, Progress
from factory.model.errors import InternalError
from factory.model.verdict import Status


@dataclass(frozen=True, slots=True)
class Remembered:
    """What was found then: by card what the engine had stored, digests by path, and the last
    word.
    """

    cards: tuple[Card, ...]
    records: Mapping[str, Mapping[str, object]]
    digests: Mapping[str, str]
    closing: Closing


class StillPipeline:
    """A `Pipeline` that answers from what is remembered.

    `stands` says whether the state folder is as it was; `lock` is the run lock; `make` gives the
    real pipeline, and `forget` drops what is remembered where that one finds otherwise.
    """

    def __init__(
        self,
        known: Remembered,
        stands: Callable[[], bool],
        lock: Callable[[], AbstractContextManager[None]],
        make: Callable[[], Pipeline],
        forget: Callable[[], None],
    ) -> None:
        self._known = known
        self._ask_whether_it_stands = stands
        self._lock = lock
        self._make = make
        self._forget = forget
        self._stands: bool | None = None
        self._guard = threading.RLock()  # workers may be the first to ask
        self._stack = contextlib.ExitStack()
        self._progress: Progress | None = None
        self._held: dict[str, tuple[Card, Mapping[str, object]]] = {}
        self._real: Pipeline | None = None
        self._defect: InternalError | None = None

    def cards(self) -> tuple[Card, ...]:
        """The cards as remembered."""
        return self._known.cards

    def begin(self, progress: Progress) -> None:
        """Take the run lock, and look at the state folder under it. Raises Refusal LOCKED; else as
        the real one.
        """
        self._progress = progress
        self._stack.enter_context(self._lock())
        self._stands = None
        if not self._as_it_was():
            self._asked()

    def holds(self, card: Card, stored: Mapping[str, object]) -> bool:
        """Where all is as it was: whether the engine still has what it had."""
        if (
            self._real is None
            and self._as_it_was()
            and stored == self._known.records.get(card.name)
        ):
            self._held[card.name] = (card, stored)
            return True
        return self._asked().holds(card, stored)

    def execute(self, card: Card) -> CardResult:
        """As the real one."""
        return self._asked().execute(card)

    def close(self, selected: Mapping[str, Status], executed: frozenset[str]) -> Closing:
        """The same last word, where everything was asked for and holds; else that of the real
        one.
        """
        everything = selected.keys() >= {card.name for card in self._known.cards}
        if (
            self._real is None
            and everything
            and all(status is Status.PASS for status in selected.values())
        ):
            self._stack.close()
            return self._known.closing
        return self._asked().close(selected, executed)

    def abandon(self, reason: str) -> None:
        """Free the lock; nothing was begun, unless by the real one."""
        self._stack.close()
        if self._real is not None:
            self._real.abandon(reason)

    def _as_it_was(self) -> bool:
        if self._stands is None:
            self._stands = self._ask_whether_it_stands()
            (vouch(self._known.digests) if self._stands else withdraw())
        return self._stands

    def _asked(self) -> Pipeline:
        """The real pipeline, begun where this one is. Raises as its `begin`, InternalError where it
        finds otherwise.
        """
        with self._guard:
            if self._defect is not None:
                raise self._defect
            if self._real is None:
                withdraw()
                self._stack.close()
                self._real = self._taken_over()
            return self._real

    def _taken_over(self) -> Pipeline:
        real = self._make()
        found = "tasks" if real.cards() != self._known.cards else ""
        if self._progress is not None and not found:
            real.begin(self._progress)
            found = next(
                (
                    name
                    for name, (card, stored) in self._held.items()
                    if not real.holds(card, stored)
                ),
                "",
            )
            if found:
                real.abandon("what had held does not")
        if found:
            self._forget()
            self._defect = InternalError(
                f"expected {found} to be as when this began, found a change; run it again"
            )
            raise self._defect
        return real
