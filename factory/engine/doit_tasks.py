"""Turn cards into doit tasks: the same names, files, order and help; a group per phase and
`oneshot` over all.

An action always succeeds in doit's eyes and returns its verdict as values, because doit's
own failures lose the stored state and skip everything downstream, report included. Does
not know what a phase does, nor who runs the tasks.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from doit.exceptions import TaskError
from doit.task import clean_targets

from factory.engine.doit_checker import expect
from factory.engine.doit_processes import ask
from factory.engine.driver import ONESHOT, Driver
from factory.engine.phases import PHASES, Environments
from factory.model.card import Card
from factory.model.layout import STATE_FOLDER
from factory.report.terminal import sanitize, write_lines

ENVIRONMENT = Environments.name
ONESHOT_HELP = " → ".join(phase.name for phase in PHASES if phase.name != ENVIRONMENT)

TaskDict = dict[str, Any]


class CardUpToDate:
    """Answer as a task's `uptodate` object. `doit info` prints it: its text says what was found."""

    def __init__(self, driver: Driver, card: Card) -> None:
        self.driver = driver
        self.card = card
        self._reason = ""

    def __call__(self, task: object, values: Mapping[str, object]) -> bool:
        """Return whether the stored result is valid. doit gives parameters by their names, hence
        both.
        """
        del task
        self._reason = self.driver.why_not_up_to_date(self.card, values)
        return not self._reason

    def __repr__(self) -> str:
        return f"{self.card.name} is up to date: {self._reason or 'yes'}"


class CardAction:
    """Execute a card as a task's action: a callable of its own class, so that it pickles and prints
    well.
    """

    def __init__(self, driver: Driver, card: Card) -> None:
        self._driver: Driver | None = driver
        self._card = card
        self._address = ""

    def __call__(self) -> dict[str, object] | TaskError:
        """Execute the card, and give doit values to store. In a process that doit started the one
        that began the run is asked to.
        """
        address = self._address
        if self._driver is not None:
            if self._driver.begun:
                return self._driver.execute(self._card)
            address = self._driver.address
        if address:
            return ask(address, self._card.name)
        return TaskError(
            f"{self._card.name} was not run: expected a run that was begun, found none; start it"
            " with `doit` or `factory oneshot`"
        )

    def __getstate__(self) -> dict[str, object]:
        """Return what a process needs that shares no memory with this one."""
        address = self._driver.address if self._driver is not None else self._address
        return {"_driver": None, "_card": self._card, "_address": address}

    def __repr__(self) -> str:
        return f"execute {self._card.name}"


def doit_tasks_of(driver: Driver) -> Iterator[TaskDict]:
    """Yield every task, in doit's own form. A phase without a card is a group over the cards of
    earlier phases, so that its name works.
    """
    cards = tuple(driver.cards.values())
    for card in cards:
        expect(card.file_dep)
    earlier: list[str] = []
    for phase in PHASES:
        own = [card for card in cards if card.phase == phase.name]
        if not own and phase.name == ENVIRONMENT:
            continue  # nobody needs one
        if not any(card.name == phase.name for card in own):
            yield {
                "basename": phase.name,
                "name": None,
                "task_dep": [] if own else list(earlier),
                "doc": phase.help,
            }
        earlier += (card.name for card in own)
        for card in own:
            yield _task(driver, card)
    yield {
        "basename": ONESHOT,
        "actions": None,
        "task_dep": list(driver.cards),
        "doc": ONESHOT_HELP,
    }


def _task(driver: Driver, card: Card) -> TaskDict:
    basename, _, name = card.name.partition(":")
    task: TaskDict = {
        "basename": basename,
        "actions": [CardAction(driver, card)],
        "file_dep": list(card.file_dep),
        "targets": [*card.targets, *card.products],
        "task_dep": list(card.after),
        "uptodate": [CardUpToDate(driver, card)],
        # Caches are no card's own; they go with the first one.
        "clean": [clean_targets, remove_caches] if card.name == PHASES[0].name else True,
        "doc": sanitize(card.help),
        # Threads would swap each other's streams; what a pack prints goes to its log anyway.
        "io": {"capture": False},
        "verbosity": 0,
    }
    return {**task, "name": name} if name else task


def remove_caches(dryrun: bool) -> None:
    """Remove the caches of the repository in the current folder, as `factory gc` would: under the
    run lock, each recorded in the ledger. doit gives `dryrun`: then only say what would go.
    """
    root = Path.cwd()
    if not (root / STATE_FOLDER).is_dir():
        return
    # late: doit loads this with every task, and hardly ever cleans
    from factory.engine import wiring
    from factory.evidence.gc import Removal, clean_caches
    from factory.model.errors import Refusal
    from factory.report.answer import finding_lines

    def report(removal: Removal) -> None:
        line = f"preflight - removing folder '{root / STATE_FOLDER / removal.path}' ({removal.why})"
        write_lines(sys.stdout, (sanitize(line),))

    try:
        clean_caches(wiring.site(root, {}), report, dry=dryrun)
    except Refusal as refusal:
        write_lines(sys.stderr, map(sanitize, ("caches stay:", *finding_lines(refusal.findings))))
