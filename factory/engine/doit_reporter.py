"""Drive the cards along doit's run: begin it, print what happens, save each task, close it.

doit calls `execute_task` and `teardown_task` from worker threads, all else from the main one. Does
not know any phase, nor what a project's own tasks print (`engine.doit_neighbours`).
"""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from doit.exceptions import BaseFail, TaskFailed, UnmetDependency

from factory.engine.doit_tasks import CardUpToDate
from factory.engine.driver import ONESHOT, Driver
from factory.engine.phases import PHASES
from factory.engine.polite_stop import stop_like_ctrl_c
from factory.judge.status_eval import combine
from factory.model.card import Closing
from factory.model.errors import FactoryError, Refusal
from factory.model.verdict import Status
from factory.report.terminal import Shown, sanitize

if TYPE_CHECKING:
    from factory.report.progress import Display


INTERRUPTED = "interrupted: what is finished is kept; run it again to go on"
_GROUPS = frozenset((ONESHOT, *(phase.name for phase in PHASES)))


class CardReporter:
    """Drive a `Driver` along doit's run. What it raises and returns is left to the caller.

    `closing` is the last word, once there is one. A project's own tasks get a line where they
    fail, which is FAIL.
    """

    desc = "verdicts of the task packs"

    def __init__(self, display: Display, backend: Any = None) -> None:
        self.closing: Closing | None = None
        self._display = display
        self._backend = backend
        self._driver: Driver | None = None
        self._cards: frozenset[str] = frozenset()
        self._signals = contextlib.ExitStack()
        self._own_failures: list[str] = []

    def initialize(self, tasks: Mapping[str, Any], selected: Iterable[str]) -> None:
        """Take the lock before anything runs. Raise Refusal LOCKED, and then nothing is run."""
        driver = driver_of(tasks.values())
        asked = reached(tasks, selected)
        if driver is None or not asked & driver.cards.keys():
            return
        self._driver, self._cards = driver, frozenset(driver.cards)
        stop_like_ctrl_c(self._signals)
        cards = [card for name, card in driver.cards.items() if name in asked]
        self._display.expect(cards)
        driver.begin((card.name for card in cards), self._display)
        gc.freeze()  # modules and tasks stay to the end: no collection has to look at them again

    def complete_run(self) -> None:
        """After everything, the state saved: the last word, or the end of a run that an exception
        ended.
        """
        on_its_way = sys.exc_info()[1]
        self._display.stop()
        try:
            if self._driver is None:
                return
            if on_its_way is not None:
                self._driver.abandon(_reason(on_its_way))
                return
            self.closing = self._with_own_failures(self._close(self._driver))
        finally:
            self._signals.close()

    def _close(self, driver: Driver) -> Closing:
        try:
            return driver.close()
        except KeyboardInterrupt:
            driver.abandon("interrupted while closing")
            raise

    def _with_own_failures(self, closing: Closing) -> Closing:
        problem = getattr(self._backend, "problem", "")
        lines = (*closing.lines, *self._own_failures)
        if problem:
            lines = (
                *lines,
                f"note: {sanitize(problem)}; finished work will be done again next time",
            )
        status = combine((closing.status, Status.FAIL)) if self._own_failures else closing.status
        return replace(closing, status=status, lines=lines)

    def add_success(self, task: Any) -> None:
        """Make the state of a task that ended, which doit has, durable."""
        keep = self._driver is None or self._driver.keeps_state or not self._is_ours(task)
        save = getattr(self._backend, "flush" if keep else "discard", None)
        if save is not None:  # a project may choose another backend
            save()

    def add_failure(self, task: Any, fail: BaseFail) -> None:
        """Report doit's own kind of failure. Our actions have none, so it is a project's own task
        or a misuse of doit.
        """
        if isinstance(fail, UnmetDependency):
            return  # what it waited for was reported
        self._note_own_failure(task, fail)
        self.write(" ".join(f"{task.name}: {fail.message}".split()))

    def _note_own_failure(self, task: Any, fail: BaseFail) -> None:
        if not self._is_ours(task):
            failed = "failed" if isinstance(fail, TaskFailed) else "met an error"
            self._own_failures.append(f"{task.name}  {failed}")

    def skip_uptodate(self, task: Any) -> None:
        """Note that a stored result is valid."""
        if self._driver is not None and self._is_card(task):
            self._driver.note_up_to_date(task.name)

    def runtime_error(self, message: str) -> None:
        """Note that doit found the graph invalid while running it."""
        self._own_failures.append(message)

    def cleanup_error(self, error: BaseFail) -> None:
        """Note a teardown that failed; our tasks have none."""
        self._own_failures.append(error.message)

    def get_status(self, _task: Any) -> None:
        """Do nothing: before a task is looked at there is nothing to report."""

    def execute_task(self, _task: Any) -> None:
        """Do nothing: the action reports its start."""

    def skip_ignore(self, _task: Any) -> None:
        """Do nothing: a card that was not reached is BLOCKED at the end."""

    def teardown_task(self, _task: Any) -> None:
        """Do nothing: our tasks have none."""

    def write(self, text: str) -> None:
        """Print a line for a person, above the progress."""
        self._display.note(sanitize(text))

    def _is_card(self, task: Any) -> bool:
        return task.name in self._cards

    def _is_ours(self, task: Any) -> bool:
        """Return whether a task is a card, or a group of cards."""
        return self._is_card(task) or task.name in _GROUPS


def driver_of(tasks: Iterable[Any]) -> Driver | None:
    """Return what drives the cards among doit's tasks; None where there is no card."""
    for task in tasks:
        for item, _args, _kwargs in task.uptodate:
            if isinstance(item, CardUpToDate):
                return item.driver
    return None


def reached(tasks: Mapping[str, Any], selected: Iterable[str]) -> set[str]:
    """Return the selected tasks and everything they need, by name."""
    reached: set[str] = set()
    waiting = list(selected)
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += (*tasks[name].task_dep, *tasks[name].setup_tasks)
    return reached


def _reason(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    return f"the engine stopped: {type(error).__name__}: {error}"


def sentence(error: FactoryError) -> Shown:
    """Return the line for what refused a run before it began."""
    prefix = f"{error.findings[0].id}  " if isinstance(error, Refusal) else ""
    return sanitize(f"{prefix}{error}")
