"""Give doit the tasks that look over runs and host: `evidence-index`, `review`, `verify`, `doctor`.
Never part of a run.

None is ever up to date: they look at what is there now, and are quick where nothing changed. doit
ends with 2 for what it calls an error and 1 for a failure, so BLOCKED is the one and FAIL the
other. Does not know how any is made.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from doit.exceptions import TaskError, TaskFailed

from factory.model.errors import FactoryError, Refusal, UsageError
from factory.model.verdict import Status
from factory.report.terminal import sanitize, write_lines

if TYPE_CHECKING:
    from factory.report.answer import CommandResult

INDEX_HELP = "make the index of all runs and artifacts"
VERIFY_HELP = "re-derive the evidence of the last run"
REVIEW_HELP = "objective checks of the whole repository, advisory"
DOCTOR_HELP = "measure what this host can enforce"
OVERVIEWS = frozenset(("evidence-index", "review", "verify", "doctor"))


def overview_tasks() -> Iterator[dict[str, Any]]:
    """Yield all of them, in doit's own form."""
    for name, text, action in (
        ("evidence-index", INDEX_HELP, make_index),
        ("review", REVIEW_HELP, make_review),
        ("verify", VERIFY_HELP, verify_last),
        ("doctor", DOCTOR_HELP, examine_host),
    ):
        yield {
            "basename": name,
            "actions": [action],
            "doc": text,
            "io": {"capture": False},
            "verbosity": 0,
        }


def make_index() -> bool | TaskError | TaskFailed:
    """Do what `factory evidence index` does."""
    return _answered("evidence", ["index"])


def make_review() -> bool | TaskError | TaskFailed:
    """Do what `factory review` does."""
    return _answered("review", [])


def verify_last() -> bool | TaskError | TaskFailed:
    """Do what `factory verify` does."""
    return _answered("verify", [])


def examine_host() -> bool | TaskError | TaskFailed:
    """Do what `factory doctor` does."""
    return _answered("doctor", [])


def _answered(command: str, words: list[str]) -> bool | TaskError | TaskFailed:
    """Print the command's answer and return how it ended in doit's terms. Its module is loaded
    only now.
    """
    from factory.commands.options import Parser

    module = importlib.import_module(f"factory.commands.{command}")
    parser = Parser(command)
    module.define(command, parser)
    try:
        answer: CommandResult = module.run(command, parser.parse(words))
    except (Refusal, UsageError) as error:
        return TaskError(sanitize(str(error)))
    except FactoryError as error:
        return TaskFailed(sanitize(str(error)))
    write_lines(sys.stdout, map(sanitize, answer.lines))
    match answer.status:
        case Status.PASS:
            return True
        case Status.BLOCKED:
            return TaskError(f"{command} ended BLOCKED")
        case Status.FAIL:
            return TaskFailed(f"{command} ended FAIL")
