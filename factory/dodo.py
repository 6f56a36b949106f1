"""Give a `dodo.py` what it imports: doit's configuration, and the creator of all tasks.

    from factory.dodo import DOIT_CONFIG, task_factory

Loading never raises: where no repository can be opened there is a single task that says why.
Does not know any phase.
"""

from __future__ import annotations

import gc
import sys

if sys.argv[1:2] == ["list"]:
    gc.disable()  # what a listing makes stays to its end: nothing is there to be collected

from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from doit import get_var
from doit.cmd_base import Command

from factory.__main__ import open_standard_streams
from factory.commands.overview_tasks import OVERVIEWS, overview_tasks
from factory.engine.doit_checker import ContentChecker
from factory.engine.doit_neighbours import adopt
from factory.engine.doit_tasks import doit_tasks_of
from factory.engine.driver import Driver, Pipeline
from factory.engine.start import driver_at, is_listing
from factory.model.layout import DOIT_DATABASE, shown
from factory.report.streams import tolerate

__all__ = ["DOIT_CONFIG", "task_factory", "tasks_of"]

_HAD_OUTPUT = sys.stdout is not None
open_standard_streams()  # doit prints as soon as it has loaded what imports this

# Filled when tasks are loaded: a project's own, then the cards, named by phase, so that a bare
# `doit forget` and `doit clean` reach all of them.
_DEFAULT_TASKS: list[str] = []
adopt(_DEFAULT_TASKS, OVERVIEWS)

# Nothing that a project's own tasks would notice: how they run and report is doit's.
DOIT_CONFIG: dict[str, Any] = {
    # doit takes a backend by the name of its entry point only.
    "backend": "factory-durable",
    "dep_file": shown(DOIT_DATABASE),
    "check_file_uptodate": ContentChecker,
    "default_tasks": _DEFAULT_TASKS,
}


if not _HAD_OUTPUT:
    DOIT_CONFIG["outfile"] = sys.stdout  # `doit run` took what it was when doit was imported


def task_factory() -> Iterator[dict[str, Any]]:
    """Yield the tasks of this repository's packs."""
    _prefer_installed(str(Path.cwd()))
    if not _HAD_OUTPUT:
        _give_output(sys._getframe())  # noqa: SLF001 - doit hands its command to nobody
    yield from _tasks(_driver())
    yield from overview_tasks()


def tasks_of(pipeline: Pipeline) -> Iterator[dict[str, Any]]:
    """Yield doit's tasks of any pipeline."""
    yield from _tasks(Driver(lambda: pipeline))


def _tasks(driver: Driver) -> Iterator[dict[str, Any]]:
    tolerate(
        sys.stdout
    )  # `doit list` prints help lines itself, on whatever encoding the stream has
    yield from doit_tasks_of(driver)


def _give_output(frame: FrameType | None) -> None:
    """Give the command of doit that is loading its tasks the standard output that it did not have
    when doit made it.
    """
    while frame is not None:
        command = frame.f_locals.get("self")
        if isinstance(command, Command) and command.outstream is None:
            command.outstream = sys.stdout
        frame = frame.f_back


def _prefer_installed(folder: str) -> None:
    """Put a folder last on the path: doit puts the repository's first, and its own `yaml.py` must
    not be imported for the one installed.
    """
    if folder in sys.path:
        sys.path[:] = [*(path for path in sys.path if path != folder), folder]


def _driver() -> Driver:
    base_ref = get_var("base_ref")
    flags = {"base_ref": base_ref} if base_ref else {}
    return driver_at(Path.cwd(), flags, listing=is_listing(sys.argv[1:]))
