"""Report to doit: begin the run, print what happens, save each task, and end the process with the
verdict.

doit's own exit codes mean other things than ours, so the last call, `complete_run`, leaves
with `SystemExit`, unless an exception is already on its way. doit calls `execute_task` and
`teardown_task` from worker threads, all else from the main one. Does not know any phase.
"""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TextIO

from doit.exceptions import BaseFail, TaskFailed, UnmetDependency
from doit.globals import Globals

from factory.engine.doit_tasks import CardUpToDate
from factory.engine.driver import Driver
from factory.engine.polite_stop import stop_like_ctrl_c
from factory.judge.status_eval import combine
from factory.model.card import Closing
from factory.model.errors import FactoryError, Refusal
from factory.model.verdict import EXIT_INTERRUPTED, Status
from factory.report.terminal import Shown, lost, sanitize, tolerate, unwritten, write_lines

if TYPE_CHECKING:
    from factory.report.progress import Display


INTERRUPTED = "interrupted: what is finished is kept; run it again to go on"


class CardReporter:
    """Drive a `Driver` along doit's run. What it raises and returns is left to the caller; see
    `DoitReporter`.

    `closing` is the last word, once there is one. A project's own tasks get a line where they
    fail, which is FAIL.
    """

    desc = "verdicts of the task packs"

    def __init__(self, display: Display, backend: Any = None) -> None:
        self.closing: Closing | None = None
        self._display = display
        self._backend = backend
        self._driver: Driver | None = None
        self._signals = contextlib.ExitStack()
        self._own_failures: list[str] = []

    def initialize(self, tasks: Mapping[str, Any], selected: Iterable[str]) -> None:
        """Take the lock before anything runs. Raise Refusal LOCKED, and then nothing is run."""
        driver = _driver_of(tasks.values())
        asked = _reached(tasks, selected)
        if driver is None or not asked & driver.cards.keys():
            return
        self._driver = driver
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

    def add_success(self, _task: Any) -> None:
        """Make the state of a task that ended, which doit has, durable."""
        keep = self._driver is None or self._driver.keeps_state
        save = getattr(self._backend, "flush" if keep else "discard", None)
        if save is not None:  # a project may choose another backend
            save()

    def add_failure(self, task: Any, fail: BaseFail) -> None:
        """Report doit's own kind of failure. Our actions have none, so it is a project's own task
        or a misuse of doit.
        """
        if isinstance(fail, UnmetDependency):
            return  # what it waited for was reported
        if not self._is_card(task):
            self._own_failures.append(
                f"{task.name}  {'failed' if isinstance(fail, TaskFailed) else 'met an error'}"
            )
        self.write(" ".join(f"{task.name}: {fail.message}".split()))

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
        return self._driver is not None and task.name in self._driver.cards


class DoitReporter(CardReporter):
    """Report to stock `doit`: print the last word and end the process with 0, 2, 1 or 130."""

    def __init__(self, outstream: TextIO, _options: Mapping[str, Any] | None = None) -> None:
        from factory.report.live import display_for  # late: `doit list` has no reporter

        tolerate(outstream)
        super().__init__(display_for(outstream, os.environ, time.monotonic))
        self._out = outstream

    def initialize(self, tasks: Mapping[str, Any], selected: Iterable[str]) -> None:
        """Do as the base; a refusal ends the process with its code and its sentence."""
        self._backend = getattr(Globals.dep_manager, "backend", None)
        try:
            super().initialize(tasks, selected)
        except FactoryError as error:
            write_lines(sys.stderr, (_sentence(error),))
            raise SystemExit(error.exit_code) from None

    def complete_run(self) -> None:
        """Do as the base, then leave with the verdict."""
        on_its_way = sys.exc_info()[1]
        try:
            super().complete_run()
        except KeyboardInterrupt as interrupt:
            on_its_way = interrupt
        if isinstance(on_its_way, KeyboardInterrupt):
            write_lines(sys.stderr, (sanitize(INTERRUPTED),))
            raise SystemExit(EXIT_INTERRUPTED) from None
        if on_its_way is None and self.closing is not None:
            write_lines(self._out, map(sanitize, self.closing.lines))
            from factory.report.annotations import annotate

            annotate(sys.stderr, os.environ, self.closing.findings)
            why = unwritten(self._out)
            if why:
                write_lines(sys.stderr, (sanitize(lost(why)),))
            raise SystemExit(
                self.closing.status.exit_code or (Status.BLOCKED.exit_code if why else 0)
            )
        if on_its_way is None:
            write_lines(self._out, map(sanitize, self._own_failures))


def _driver_of(tasks: Iterable[Any]) -> Driver | None:
    for task in tasks:
        for item, _args, _kwargs in task.uptodate:
            if isinstance(item, CardUpToDate):
                return item.driver
    return None


def _reached(tasks: Mapping[str, Any], selected: Iterable[str]) -> set[str]:
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


def _sentence(error: FactoryError) -> Shown:
    prefix = f"{error.findings[0].id}  " if isinstance(error, Refusal) else ""
    return sanitize(f"{prefix}{error}")
