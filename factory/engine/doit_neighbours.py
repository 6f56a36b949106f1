"""Let the tasks of a project's own run next to ours as they would alone: with doit's output,
reporters, processes and defaults.

doit offers no place to begin and close a run of ours that is independent of the reporter, so four
of its functions are wrapped, once for the process that imports a `dodo.py` of ours (`adopt`): what
loads tasks, what runs them all, what picks the next one, and what a worker process executes. Each
does as doit's own where no card takes part. Decision 37.

- A reporter of doit's hears of own tasks; of cards too, unless it is the default one.
- A task of the project's own that fails stops those of the project, as ever, and no card.
- A task creator that raises becomes one task that fails with its traceback.

Does not know any phase.
"""

from __future__ import annotations

import functools
import inspect
import io
import multiprocessing
import os
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from doit import loader
from doit.cmd_info import Info
from doit.cmd_strace import Strace
from doit.control import ExecNode, TaskDispatcher
from doit.exceptions import (
    BaseFail,
    InvalidCommand,
    InvalidDodoFile,
    InvalidTask,
    TaskError,
    TaskFailed,
    UnmetDependency,
)
from doit.reporter import ConsoleReporter, ZeroReporter
from doit.runner import MRunner, MThreadRunner, Runner
from doit.task import Task

from factory.engine.doit_bytecode import leave_none
from factory.engine.doit_processes import CardServer, end_with
from factory.engine.doit_reporter import INTERRUPTED, CardReporter, driver_of, reached, sentence
from factory.engine.driver import ONESHOT, VERDICT, Driver
from factory.engine.phases import PHASES
from factory.engine.polite_stop import undo_in_child
from factory.model.errors import FactoryError, InternalError
from factory.model.verdict import EXIT_INTERRUPTED, Status
from factory.report.streams import tolerate
from factory.report.terminal import fitted, lost, sanitize, unwritten, write_lines

if TYPE_CHECKING:
    from factory.report.progress import Display

_load_tasks = loader.load_tasks
_run_all = Runner.run_all
_select_task = Runner.select_task
_execute_in_worker = MRunner.execute_task_subprocess
_info_of_doit = Info._execute  # noqa: SLF001  what a command is has this name in doit
_strace_of_doit = Strace._execute  # noqa: SLF001


def adopt(defaults: list[str], extra: frozenset[str]) -> None:
    """From now on, in this process, doit runs cards next to a project's own tasks.

    `defaults` is the list that the project's configuration has as `default_tasks`: it is filled
    when tasks are loaded. `extra` names the tasks of ours that give way to one of the same name,
    and are no default.
    """

    def load_tasks(namespace: Mapping[str, Any], *words: Any, **more: Any) -> list[Task]:
        leave_none(str(namespace.get("__file__", "")))
        tasks = _settled(_load_tasks(_guarded(namespace), *words, **more), defaults, extra)
        short = _short_names(tasks)
        for names in (more.get("args"), namespace.get("DOIT_CONFIG", {}).get("default_tasks")):
            _lengthen(names, short)
        for task in tasks:
            _lengthen(task.task_dep, short)
            _lengthen(task.setup_tasks, short)
        _find_by_any_path(tasks, more.get("args"))
        return tasks

    loader.load_tasks = load_tasks
    Info._execute = _describe  # noqa: SLF001
    Strace._execute = _trace  # noqa: SLF001
    Runner.run_all = _run_all_with_cards
    Runner.select_task = _select_with_cards
    MRunner.execute_task_subprocess = _execute_with_cards


# ── loading ──────────────────────────────────────────────────────────────────


def _settled(tasks: list[Task], defaults: list[str], extra: frozenset[str]) -> list[Task]:
    """Return the tasks without those of ours that give way, and fill `defaults`."""
    own = {task.name for task in tasks if task.name in extra and not _is_of_this_package(task)}
    kept = [task for task in tasks if task.name not in own or not _is_of_this_package(task)]
    ours = {ONESHOT, *(phase.name for phase in PHASES)}
    there = {task.name for task in kept}
    top = [task.name for task in kept if not task.subtask_of and task.name not in ours]
    defaults[:] = [
        *(name for name in top if name not in extra or name in own),
        *(phase.name for phase in PHASES if phase.name in there),
    ]
    return kept


def _short_names(tasks: list[Task]) -> dict[str, str]:
    """Return by short name (`launch:TASK-0101`) the name of the card it means, where that is one
    only and no task has the short one.
    """
    driver = driver_of(tasks)
    cards = driver.cards.values() if driver is not None else ()
    found = Counter(f"{card.phase}:{card.pack}" for card in cards if card.pack)
    taken = {task.name for task in tasks}
    return {
        short: card.name
        for card in cards
        if card.pack and found[short := f"{card.phase}:{card.pack}"] == 1 and short not in taken
    }


def _find_by_any_path(tasks: list[Task], words: list[str] | None) -> None:
    """Let a project's own task wait for the card that writes what it depends on, and let `words` of
    a command line select one, where the path is relative: doit compares texts.
    """
    driver = driver_of(tasks)
    cards = driver.cards.values() if driver is not None else ()
    writers = {path: card.name for card in cards for path in (*card.targets, *card.products)}
    copies = {os.path.dirname(card.products[0]): card.name for card in cards if card.products}

    def writer(path: str) -> str:
        found = writers.get(path, "")
        return found or next((copies[top] for top in copies if path.startswith(f"{top}/")), "")

    own = [task for task in tasks if driver is not None and task.name not in driver.cards]
    for task in own:
        for path in task.file_dep:
            name = writer(os.path.abspath(path))
            if name and name not in task.task_dep:
                task.task_dep.append(name)
    if words:
        known = {target for task in own for target in task.targets}
        for place, word in enumerate(words):
            path = os.path.abspath(word)
            if path in writers and word not in known:
                words[place] = path


def _lengthen(names: Any, short: Mapping[str, str]) -> None:
    """Replace short names in a list of doit's, which it goes on to use."""
    if isinstance(names, list):
        names[:] = [short.get(name, name) if isinstance(name, str) else name for name in names]


def _is_of_this_package(task: Task) -> bool:
    return any(
        getattr(getattr(action, "py_callable", None), "__module__", "").startswith("factory.")
        for action in task.actions
    )


def _guarded(namespace: Mapping[str, Any]) -> dict[str, Any]:
    """Return a `dodo.py`'s names, each task creator replaced by one that never raises."""
    found = dict(namespace)
    for name, thing in namespace.items():
        if thing is loader.task_params or getattr(thing, "__module__", "") == "factory.dodo":
            continue  # ours never raises
        if name.startswith(loader.TASK_STRING) and (
            inspect.isfunction(thing) or inspect.ismethod(thing)
        ):
            found[name] = _guard(name.removeprefix(loader.TASK_STRING), thing)
        elif hasattr(thing, "create_doit_tasks"):
            creator = thing.create_doit_tasks
            guard = _guard(getattr(creator, "basename", name), creator)
            found[name] = SimpleNamespace(create_doit_tasks=guard)
    return found


def _guard(name: str, creator: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(creator)
    def guarded(*words: Any, **more: Any) -> Any:
        try:
            made = loader.generate_tasks(name, creator(*words, **more), creator.__doc__)
        except (InvalidTask, InvalidDodoFile) as error:
            made = [_not_made(name, f"{error}\n")]
        except Exception:  # noqa: BLE001  whatever a project's own code raises
            made = [_not_made(name, traceback.format_exc())]
        return (task for task in made) if made else None

    return guarded


def _not_made(name: str, text: str) -> Task:
    """Return a task in place of those that could not be made, and print why."""
    lines = text.strip().splitlines()
    said = (f"ERROR: the tasks of {name} could not be made:", *lines)
    write_lines(sys.stderr, map(sanitize, said))
    return Task(name, [_NotMade(text)], doc=f"could not be made: {lines[-1]}")


class _NotMade:
    """Fail as a task's action, with the text of what happened while its tasks were made."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __call__(self) -> TaskError:
        return TaskError(f"its tasks could not be made:\n{self._text}")


# ── commands ─────────────────────────────────────────────────────────────────


def _describe(command: Info, pos_args: list[str], hide_status: bool = False) -> int:
    """Do as doit's `info`. Raise InvalidCommand for an unknown name, which doit 0.37 answers with a
    traceback.
    """
    known = {task.name for task in command.task_list}
    for name in pos_args:
        if name not in known:
            import difflib  # late: only a mistake needs it

            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else "`doit list --all` shows every name"
            raise InvalidCommand(f"expected the name of a task, found {name!r}; {hint}")
    code: int = _info_of_doit(command, pos_args, hide_status)
    return code


def _trace(command: Strace, show_all: bool) -> int:
    """Do as doit's `strace`. Raise InvalidCommand for a card: it has no command of doit's."""
    driver = driver_of(command.task_list)
    name = command.sel_tasks[0]
    if driver is not None and name in driver.cards:
        raise InvalidCommand(
            f"expected a task with commands of doit's, found {name}: its commands run in a sandbox;"
            " `factory shell` opens that, and `factory why` shows what was denied"
        )
    code: int = _strace_of_doit(command, show_all)
    return code


# ── running ──────────────────────────────────────────────────────────────────


def _run_all_with_cards(runner: Runner, dispatcher: TaskDispatcher) -> int:
    """Run all tasks, and return how the process ends: with the verdict, FAIL where a task of the
    project's own failed; where no card takes part, as doit says.
    """
    tasks = dispatcher.tasks
    driver = driver_of(tasks.values())
    asked = reached(tasks, dispatcher.selected_tasks)
    if (
        driver is None
        or not asked & driver.cards.keys()
        or isinstance(runner.reporter, CardReporter)
    ):
        code: int = _run_all(runner, dispatcher)
        return code
    ours = {ONESHOT, *(phase.name for phase in PHASES), *driver.cards}
    alone = asked <= ours
    if alone and _has_processes(runner):
        # Nothing of the project's own needs a process, and a worker of doit's that is killed makes
        # doit 0.37 wait for ever.
        runner.Queue, runner.Child = MThreadRunner.Queue, MThreadRunner.Child
    return SharedReporter(runner, driver, alone).run(dispatcher)


def _select_with_cards(runner: Runner, node: ExecNode, tasks: Mapping[str, Task]) -> bool:
    """Return whether a task is to be executed now. What is left out is as if it had failed, for
    those who need it.
    """
    reporter = runner.reporter
    if isinstance(reporter, SharedReporter) and reporter.leaves_out(node.task):
        node.run_status = "failure"
        return False
    chosen: bool = _select_task(runner, node, tasks)
    return chosen


def _has_processes(runner: Runner) -> bool:
    return getattr(runner, "Child", None) is multiprocessing.Process


def _execute_with_cards(runner: MRunner, *words: Any) -> None:
    parent = multiprocessing.parent_process()
    if parent is not None and parent.pid is not None:
        undo_in_child()
        end_with(parent.pid)
    _execute_in_worker(runner, *words)


class SharedReporter(CardReporter):
    """Drive the cards of a run, and report to one of doit's reporters what the others do.

    The default one hears nothing of cards: they have lines of their own. Any other has the whole
    run to itself, so that its format is as it was; the last word goes to standard error.
    """

    def __init__(self, runner: Runner, driver: Driver, alone: bool) -> None:
        """Take the place of the runner's reporter. `alone` says that only cards were asked for."""
        self._inner = runner.reporter
        self._runner = runner
        self._stops = not runner.continue_
        self._stopped = False
        self._alone = alone
        self._refusal: FactoryError | None = None
        self._server: CardServer | None = None
        self._apart = type(self._inner) is ConsoleReporter
        super().__init__(_display(self._inner, self._apart, alone), runner.dep_manager.backend)
        if _has_processes(runner):
            self._server = CardServer(driver)

    def run(self, dispatcher: TaskDispatcher) -> int:
        """Run all, and return how the process ends."""
        self._runner.reporter, self._runner.continue_ = self, True
        try:
            _run_all(self._runner, dispatcher)
        except KeyboardInterrupt:
            write_lines(sys.stderr, (sanitize(INTERRUPTED),))
            return EXIT_INTERRUPTED
        except FactoryError as error:
            write_lines(sys.stderr, (sentence(error),))
            return error.exit_code
        if self._refusal is not None:
            write_lines(sys.stderr, (sentence(self._refusal),))
            return Status.FAIL.exit_code if self._own_failures else self._refusal.exit_code
        return self._ended()

    def leaves_out(self, task: Task) -> bool:
        """Return whether a task is not to be looked at: one of the project's after another of its
        tasks failed, or a card of a run that was refused.
        """
        return self._refusal is not None if self._is_ours(task) else self._stopped

    def initialize(self, tasks: Mapping[str, Any], selected: Iterable[str]) -> None:
        """Begin the run. Raise as the base where nothing but cards was asked for; else what refuses
        them is printed at the end, and the project's own tasks are run.
        """
        try:
            super().initialize(tasks, selected)
        except FactoryError as error:
            if self._alone:
                raise
            self._refusal, self._driver = error, None
            self._signals.close()
        if hasattr(self._inner, "initialize"):
            self._inner.initialize(tasks, selected)

    def complete_run(self) -> None:
        """Close the run, then let doit's reporter say what it kept for the end."""
        try:
            super().complete_run()
        finally:
            if self._server is not None:
                self._server.close()
            self._inner.complete_run()

    def get_status(self, task: Any) -> None:
        """Report that a task is looked at."""
        if self._is_reported(task):
            self._inner.get_status(task)

    def execute_task(self, task: Any) -> None:
        """Report that a task is executed. doit says so before it is, so a worker is expected to ask
        for a card.
        """
        if self._server is not None and self._is_card(task):
            self._server.expect()
        if self._is_reported(task):
            self._inner.execute_task(task)

    def add_success(self, task: Any) -> None:
        """Report that a task ended; a card that is not PASS has failed."""
        super().add_success(task)
        if not self._is_reported(task):
            return
        verdict = (task.values or {}).get(VERDICT) if self._is_card(task) else None
        if verdict in (None, Status.PASS.value):
            self._inner.add_success(task)
        else:
            line = self._driver.headline(task.name) if self._driver is not None else ""
            self._inner.add_failure(task, TaskFailed(f"{verdict}  {sanitize(line)}"))

    def add_failure(self, task: Any, fail: BaseFail) -> None:
        """Report that a task failed. One of the project's stops the others of the project, unless
        doit was asked to continue.
        """
        if self._is_ours(task):
            if not isinstance(fail, UnmetDependency):
                super().add_failure(task, fail)
            return
        self._stopped = self._stops
        if not isinstance(fail, UnmetDependency):
            self._note_own_failure(task, fail)
        self._inner.add_failure(task, fail)

    def skip_uptodate(self, task: Any) -> None:
        """Report that a task needs no execution."""
        super().skip_uptodate(task)
        if self._is_reported(task):
            self._inner.skip_uptodate(task)

    def skip_ignore(self, task: Any) -> None:
        """Report that a task is ignored."""
        if self._is_reported(task):
            self._inner.skip_ignore(task)

    def runtime_error(self, message: str) -> None:
        """Report that doit found the graph invalid while running it."""
        super().runtime_error(message)
        self._inner.runtime_error(message)

    def cleanup_error(self, error: BaseFail) -> None:
        """Report a teardown that failed, which decides nothing."""
        self._inner.cleanup_error(error)

    def teardown_task(self, task: Any) -> None:
        """Report a teardown."""
        self._inner.teardown_task(task)

    def _is_reported(self, task: Any) -> bool:
        return not (self._apart and self._is_ours(task))

    def _ended(self) -> int:
        """Print the last word, and return how the process ends."""
        if self.closing is None:
            raise InternalError("expected the run to end with a verdict, found none")
        lines = map(sanitize, self.closing.lines)
        out = self._inner.outstream if self._apart else sys.stderr
        if not isinstance(self._inner, ZeroReporter):
            write_lines(out, fitted(lines, out, os.environ))
        from factory.report.annotations import annotate

        annotate(sys.stderr, os.environ, self.closing.findings)
        why = unwritten(out) if self._apart else ""
        if why:
            write_lines(sys.stderr, (sanitize(lost(why)),))
        return self.closing.status.exit_code or (Status.BLOCKED.exit_code if why else 0)


def _display(inner: Any, apart: bool, alone: bool) -> Display:
    """Return what shows the cards: nothing where doit's reporter does, and no block that is redrawn
    where the project's own tasks print as they like.
    """
    # late: `doit list` shows none
    from factory.report.live import display_for
    from factory.report.progress import PlainProgress
    from factory.report.terminal import Palette, palette_for

    if not apart:
        return PlainProgress(io.StringIO(), Palette(False), time.monotonic)
    tolerate(inner.outstream)
    if alone:
        return display_for(inner.outstream, os.environ, time.monotonic)
    return PlainProgress(inner.outstream, palette_for(inner.outstream, os.environ), time.monotonic)
