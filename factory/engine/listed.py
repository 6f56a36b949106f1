"""The pipeline behind `doit list`: names, help and files as last seen, while the repository is as
it was then.

Rule: only `cards` is answered from what was kept. Any other question makes the real pipeline and
asks that one, and a run does not begin unless both have the same cards. Does not know how either is
made or kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from factory.engine.doit_session import Pipeline
from factory.model.card import Card, CardResult, Closing, Progress
from factory.model.errors import InternalError
from factory.model.verdict import Status


def is_listing(words: Sequence[str]) -> bool:
    """Whether these words after `doit` can only mean `doit list`: its name comes first, after
    variables.
    """
    return next((word for word in words if word.startswith("-") or "=" not in word), "") == "list"


class ListedPipeline:
    """A `Pipeline` whose cards are known already; `make` gives the real one, once, when something
    else is asked.
    """

    def __init__(self, cards: tuple[Card, ...], make: Callable[[], Pipeline]) -> None:
        self._cards = cards
        self._make = make
        self._real: Pipeline | None = None

    def cards(self) -> tuple[Card, ...]:
        """The cards as kept."""
        return self._cards

    def begin(self, progress: Progress) -> None:
        """As the real one, which must have these very cards. Raises InternalError where it has
        others.
        """
        real = self._asked()
        if real.cards() != self._cards:
            raise InternalError(
                "expected the tasks that were listed to be those of the packs, found others; list"
                " anew"
            )
        real.begin(progress)

    def holds(self, card: Card, stored: Mapping[str, object]) -> bool:
        return self._asked().holds(card, stored)

    def execute(self, card: Card) -> CardResult:
        return self._asked().execute(card)

    def close(self, selected: Mapping[str, Status], executed: frozenset[str]) -> Closing:
        return self._asked().close(selected, executed)

    def abandon(self, reason: str) -> None:
        self._asked().abandon(reason)

    def _asked(self) -> Pipeline:
        if self._real is None:
            self._real = self._make()
        return self._real
