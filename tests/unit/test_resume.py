"""What a killed run had finished is resumed: by the ledger alone, until the next run that
finishes.
"""

from __future__ import annotations

import pytest

from factory.engine.resume import Finished, resumable
from factory.log.chain import Head
from factory.model.event import Entry
from factory.model.evidence import EventDocument
from tests.ledger_lines import link

KEY, MANIFEST = "a" * 64, "b" * 64
WHOLE = {"action_key": KEY, "manifest": MANIFEST}


def told(*rows: tuple[str, str, dict[str, str], str]) -> list[EventDocument]:
    """A chain of events: (type, run, hashes, status of TASK-0001)."""
    head, found = Head(), []
    for kind, run, hashes, status in rows:
        details = (
            {"pack": "TASK-0001", "status": status}
            if kind.startswith("pack.")
            else {"status": status}
        )
        found.append(
            link(head, Entry(kind, run, hashes=hashes, details=details), "2026-01-01T00:00:00.000Z")
        )
        head = Head(found[-1].seq, found[-1].event_id)
    return found


def test_a_pack_that_passed_in_a_run_that_never_finished_is_resumable() -> None:
    events = told(
        ("run.started", "r1", {}, ""),
        ("pack.finished", "r1", WHOLE, "PASS"),
        ("run.abandoned", "r1", {}, ""),
    )
    assert resumable([*events][::-1], 1) == {"TASK-0001": Finished("r1", KEY, MANIFEST)}


@pytest.mark.parametrize(
    "after",
    [
        ("integrate.finished", "r1", {}, "PASS"),  # nothing was cut off
        ("integrate.finished", "r2", {}, "BLOCKED"),  # a later run has had the say
        ("pack.finished", "r1", WHOLE, "BLOCKED"),  # it ran again and did not PASS
        (
            "pack.finished",
            "r1",
            {"action_key": KEY},
            "PASS",
        ),  # an older form, which names no bundle
    ],
)
def test_nothing_else_is(after: tuple[str, str, dict[str, str], str]) -> None:
    assert resumable([*told(("pack.finished", "r1", WHOLE, "PASS"), after)][::-1], 1) == {}


def test_the_last_word_on_a_pack_counts() -> None:
    other = {"action_key": "c" * 64, "manifest": MANIFEST}
    events = told(("pack.finished", "r1", WHOLE, "PASS"), ("pack.finished", "r2", other, "PASS"))
    assert resumable([*events][::-1], 1) == {"TASK-0001": Finished("r2", "c" * 64, MANIFEST)}
