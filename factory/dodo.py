"""What a repository's `dodo.py` imports: doit's configuration, and the creator of all tasks.

    from factory.dodo import DOIT_CONFIG, task_factory

Loading never raises: where no pipeline can be made there is a single task that says why.
It computes no action key, so `doit list` stays quick. Does not know any phase.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from doit import get_var

from factory.commands.overview_tasks import overview_tasks
from factory.engine import card_cache, standstill
from factory.engine.doit_checker import Sha256Checker
from factory.engine.doit_reporter import DoitReporter
from factory.engine.doit_session import Pipeline
from factory.engine.doit_tasks import doit_tasks_of, session_of
from factory.engine.listed import ListedPipeline, is_listing
from factory.engine.phases import PHASES
from factory.engine.still import Remembered, StillPipeline
from factory.engine.unavailable import unavailable
from factory.files.user_places import user_config_file
from factory.model.layout import DOIT_DATABASE, STATE_FOLDER, shown
from factory.report.terminal import tolerate

__all__ = ["DOIT_CONFIG", "task_factory", "tasks_of"]

DOIT_CONFIG: dict[str, Any] = {
    # doit takes a backend by the name of its entry point only.
    "backend": "factory-durable",
    "dep_file": shown(DOIT_DATABASE),
    "check_file_uptodate": Sha256Checker,
    "reporter": DoitReporter,
    # The same cards as `oneshot`, named by phase, so that a bare `doit forget` and `doit clean`
    # reach all of them.
    "default_tasks": [phase.name for phase in PHASES],
    "continue": True,
    "num_process": 0,
    # A killed worker process would make doit wait for ever; the work is in processes of its own
    # anyway.
    "par_type": "thread",
    "verbosity": 0,
}


def task_factory() -> Iterator[dict[str, Any]]:
    """Task packs of this repository."""
    _prefer_installed(str(Path.cwd()))
    yield from tasks_of(_pipeline())
    yield from overview_tasks()


def tasks_of(pipeline: Pipeline) -> Iterator[dict[str, Any]]:
    """doit's tasks of any pipeline."""
    tolerate(
        sys.stdout
    )  # `doit list` prints help lines itself, on whatever encoding the stream has
    yield from doit_tasks_of(session_of(pipeline))


def _prefer_installed(folder: str) -> None:
    """doit puts the repository's folder first; its own `yaml.py` must not stand in for the one
    installed.
    """
    if folder in sys.path:
        sys.path[:] = [*(path for path in sys.path if path != folder), folder]


def _pipeline() -> Pipeline:
    base_ref = get_var("base_ref")
    flags = {"base_ref": base_ref} if base_ref else {}
    try:
        if is_listing(sys.argv[1:]):
            return _listed(Path.cwd(), flags)
        return _still(Path.cwd(), flags) or _real(Path.cwd(), flags)
    except Exception as error:  # noqa: BLE001  whatever is wrong becomes a task that says so
        return unavailable(error)


def _listed(root: Path, flags: Mapping[str, str]) -> Pipeline:
    """The pipeline for `doit list`: of the cards as kept, where they are those of the packs as they
    are now.
    """
    ground = card_cache.ground_of(root, user_config_file(), flags, os.environ)
    cards = card_cache.load_cards(root, ground)
    if cards is None:
        from factory.engine.wiring import listed_pipeline

        return listed_pipeline(root, flags, ground)
    return ListedPipeline(cards, lambda: _real(root, flags))


def _still(root: Path, flags: Mapping[str, str]) -> Pipeline | None:
    """The pipeline of packs that are as they were when nothing had to be done; None where they are
    not.
    """
    known = standstill.load(
        root, card_cache.ground_of(root, user_config_file(), flags, os.environ), os.environ
    )
    if known is None:
        return None
    from factory.files.clock import SystemClock
    from factory.files.locks import FileLocks

    locks = FileLocks(root / STATE_FOLDER, SystemClock())
    return StillPipeline(
        Remembered(known.cards, known.records, known.digests, known.closing),
        stands=partial(standstill.state_stands, root, known),
        lock=partial(locks.hold, "run"),
        make=partial(_real, root, flags),
        forget=partial(standstill.forget, root),
    )


def _real(root: Path, flags: Mapping[str, str]) -> Pipeline:
    from factory.engine.wiring import pipeline

    return pipeline(root, flags)
