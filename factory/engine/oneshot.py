"""Run the graph for the command line: doit's own control, runner and database, without doit's
command line.

So there is one engine, and no configuration file of the current folder is ever read:
`DoitMain` would execute what a `pyproject.toml` or `doit.cfg` there names. The state is
the one stock `doit` keeps. Does not know any phase.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path

from doit.control import TaskControl
from doit.dependency import Dependency
from doit.loader import generate_tasks
from doit.runner import MThreadRunner, Runner
from doit.task import Stream

from factory.doit_backend import DurableSqliteDB
from factory.engine.doit_checker import ContentChecker
from factory.engine.doit_reporter import INTERRUPTED, CardReporter
from factory.engine.doit_tasks import doit_tasks_of
from factory.engine.driver import ONESHOT, Driver
from factory.model.card import Closing
from factory.model.errors import InternalError, Interrupted, UsageError
from factory.report.progress import Display


def run_cards(
    driver: Driver, names: Sequence[str], workers: int, display: Display, database: Path
) -> Closing:
    """Run the named tasks (none: `oneshot`) and all they need, `workers` at a time; the last word.

    `database` is doit's state file. Only one run per process at a time. Raises Refusal LOCKED
    before anything ran, UsageError for an unknown name, Interrupted after Ctrl-C or SIGTERM.
    """
    control = TaskControl(generate_tasks("factory", doit_tasks_of(driver)))
    control.process(_known(names, control.tasks) or [ONESHOT])
    store = Dependency(DurableSqliteDB, str(database), checker_cls=ContentChecker)
    reporter = CardReporter(display, store.backend)
    try:
        _runner(workers, store, reporter).run_all(control.task_dispatcher())
    except KeyboardInterrupt:
        raise Interrupted(INTERRUPTED) from None
    if reporter.closing is None:
        raise InternalError("expected the run to end with a verdict, found none")
    return reporter.closing


def _runner(workers: int, store: Dependency, reporter: CardReporter) -> Runner:
    if workers > 1:
        return MThreadRunner(store, reporter, continue_=True, stream=Stream(0), num_process=workers)
    return Runner(store, reporter, continue_=True, stream=Stream(0))


def _known(names: Sequence[str], tasks: Iterable[str]) -> list[str]:
    known = tuple(tasks)
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else "`doit list --all` shows every name"
            raise UsageError(f"expected the name of a task, found {name!r}", hint)
    return list(names)
