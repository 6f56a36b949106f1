"""Cards become doit tasks: the same names, files, order and help; a group per phase and `oneshot`
over all.

An action always succeeds in doit's eyes and returns its verdict as values, because doit's
own failures lose the stored state and skip everything downstream, report included. Does
not know what a phase does, nor who runs the tasks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from doit.exceptions import TaskError
from doit.task import clean_targets

from factory.engine.doit_clean import remove_caches
from factory.engine.doit_session import NotBegun, Pipeline, Session
from factory.engine.phases import PHASES, phase_named
from factory.engine.unavailable import UnavailablePipeline, unavailable
from factory.model.card import Card
from factory.model.errors import InternalError
from factory.report.terminal import sanitize

ONESHOT = "oneshot"

ONESHOT_HELP = " → ".join(phase.name for phase in PHASES)

TaskDict = dict[str, Any]


class CardHolds:
    """A task's `uptodate` object. `doit info` prints it, so its text says what was found."""

    def __init__(self, session: Session, card: Card) -> None:
        self.session = session
        self.card = card
        self._reason = ""

    def __call__(self, task: object, values: Mapping[str, object]) -> bool:
        """Whether the stored result stands. doit tells parameters by their names, hence both."""
        del task
        self._reason = self.session.holds(self.card, values)
        return not self._reason

    def __repr__(self) -> str:
        return f"{self.card.name} is up to date: {self._reason or 'yes'}"


class CardAction:
    """A task's action: a callable of its own class, so that it pickles and prints well."""

    def __init__(self, session: Session, card: Card) -> None:
        self._session = session
        self._card = card

    def __call__(self) -> dict[str, object] | TaskError:
        """Execute the card, and give doit values to store."""
        try:
            return self._session.execute(self._card)
        except NotBegun:
            return TaskError(
                f"{self._card.name} was not run: expected this project's reporter and threads,"
                " found others; leave -r and -P away"
            )

    def __repr__(self) -> str:
        return f"execute {self._card.name}"


def session_of(pipeline: Pipeline) -> Session:
    """A session over the pipeline's cards, or over one that says why they can't be tasks. Never
    raises.
    """
    if isinstance(pipeline, UnavailablePipeline):
        return Session(pipeline, pipeline.cards(), remembers=False)
    try:
        cards = pipeline.cards()
        reason = unfit(cards)
        if reason:
            raise InternalError(reason)
    except Exception as error:  # noqa: BLE001  making the tasks never raises
        stand_in = unavailable(error)
        return Session(stand_in, stand_in.cards(), remembers=False)
    return Session(pipeline, cards)


def unfit(cards: tuple[Card, ...]) -> str:
    """Return why doit would refuse these cards before it starts, as one clause; "" where it would
    not. Raise InternalError for a card of no known phase.
    """
    names = [card.name for card in cards]
    targets = [target for card in cards for target in card.targets]
    seen: set[str] = set()
    for card in cards:
        phase_named(card.phase)
        missing = [name for name in card.after if name not in seen]
        if missing:
            return f"{card.name} comes before {missing[0]}, which it must follow"
        if set(card.name) & set("=*") or not card.name.isprintable() or card.name == ONESHOT:
            return f"{card.name!r} can't be the name of a task"
        seen.add(card.name)
    if len(seen) != len(names):
        return "two cards have one name"
    return "two cards write one target" if len(set(targets)) != len(targets) else ""


def doit_tasks_of(session: Session) -> Iterator[TaskDict]:
    """Yield every task, in doit's own form. A phase without a card is a group over the cards of
    earlier phases, so that its name works.
    """
    cards = tuple(session.cards.values())
    earlier: list[str] = []
    for phase in PHASES:
        own = [card for card in cards if card.phase == phase.name]
        if not any(card.name == phase.name for card in own):
            yield {
                "basename": phase.name,
                "name": None,
                "task_dep": [] if own else list(earlier),
                "doc": phase.help,
            }
        earlier += (card.name for card in own)
        for card in own:
            yield _task(session, card)
    yield {
        "basename": ONESHOT,
        "actions": None,
        "task_dep": list(session.cards),
        "doc": ONESHOT_HELP,
    }


def _task(session: Session, card: Card) -> TaskDict:
    basename, _, name = card.name.partition(":")
    task: TaskDict = {
        "basename": basename,
        "actions": [CardAction(session, card)],
        "file_dep": list(card.file_dep),
        "targets": list(card.targets),
        "task_dep": list(card.after),
        "uptodate": [CardHolds(session, card)],
        # Caches are no card's own; they go with the first one.
        "clean": [clean_targets, remove_caches] if card.name == PHASES[0].name else True,
        "doc": sanitize(card.help),
        # Threads would swap each other's streams; what a pack prints goes to its log anyway.
        "io": {"capture": False},
        "verbosity": 0,
    }
    return {**task, "name": name} if name else task
