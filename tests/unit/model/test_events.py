"""The table of events: writers construct its classes, and nobody else spells an event out."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from factory.model import event, events
from factory.model.event import LineMapping
from factory.model.events import EVENTS
from tests.parsed import nodes

PACKAGE = Path(__file__).resolve().parents[3] / "factory"
TABLE = PACKAGE / "model" / "events.py"
# The checker has a table of its own, a template runs elsewhere, samples of findings are texts.
APART = {PACKAGE / "verify", PACKAGE / "templates", PACKAGE / "model" / "findings"}
FORM = PACKAGE / "model" / "event.py"


def trees() -> Iterator[tuple[Path, tuple[ast.AST, ...]]]:
    for file in sorted(PACKAGE.rglob("*.py")):
        if not APART & {*file.parents}:
            yield file, nodes(file.read_text("utf-8"))


def names_called(tree: tuple[ast.AST, ...]) -> set[str]:
    calls = [node.func for node in tree if isinstance(node, ast.Call)]
    return {call.id for call in calls if isinstance(call, ast.Name)}


def test_each_type_of_event_has_a_writer() -> None:
    used = {
        node.id
        for file, tree in trees()
        if file != TABLE
        for node in tree
        if isinstance(node, ast.Name)
    }
    assert {kind.__name__ for kind in EVENTS.values()} - used == set()


def test_nobody_spells_an_event_out_beside_the_table() -> None:
    spelled = {
        (str(file.relative_to(PACKAGE)), node.value)
        for file, tree in trees()
        if file not in (TABLE, FORM)
        for node in tree
        if isinstance(node, ast.Constant) and node.value in EVENTS
    }
    assert spelled == set(), "use the event_type of the class in factory/model/events.py"
    entries = [
        str(file.relative_to(PACKAGE))
        for file, tree in trees()
        if file != FORM
        and PACKAGE / "templates" not in file.parents
        and "Entry" in names_called(tree)
        if "factory.model.event" in file.read_text("utf-8")
    ]
    assert entries == [], "construct the event of factory/model/events.py, and take its entry()"


@pytest.mark.parametrize(
    ("members", "clause"),
    [({"lock": "run", "file": "x"}, "LockTaken has no file"), ({}, "LockTaken needs lock")],
)
def test_a_wrong_or_missing_member_is_an_error(members: dict[str, Any], clause: str) -> None:
    with pytest.raises(TypeError, match=clause):
        events.LockTaken(**members)


def test_an_event_is_never_changed() -> None:
    taken: Any = events.LockTaken(lock="run")
    with pytest.raises(AttributeError):
        taken.lock = "other"


def test_every_member_stands_in_its_part_of_the_line_and_none_is_left_out() -> None:
    entry = events.EgressFinished(
        pack="T-1", attempt=1, during="steps", connection=2, host="h", port=443, address="", verdict="v",
        reason="r", record="", bytes_up=1, bytes_down=2, requests=3, rc=2, duration_ms=4,
    ).entry("run_1", "p", "t")  # fmt: skip
    due = events.EgressFinished.members()
    assert sorted(entry.details) == [name for name, _ in due.details]
    assert sorted(entry.file_counts) == [name for name, _ in due.file_counts]
    assert (entry.details["attempt"], entry.details["port"]) == ("1", "443")
    assert (entry.run_id, entry.parent, entry.ts_utc) == ("run_1", "p", "t")
    assert (entry.rc, entry.duration_ms, entry.actor) == (2, 4, "pipeline")


def test_a_member_that_is_none_is_left_out() -> None:
    assert dict(events.LockTaken(lock="run").entry().details) == {"lock": "run"}
    assert dict(events.LockTaken(lock="l", pack="T-1").entry().details) == {
        "lock": "l",
        "pack": "T-1",
    }


def test_each_actor_of_an_event_is_known() -> None:
    assert {kind.actor for kind in EVENTS.values()} <= events.ACTORS.keys()


def test_each_type_says_what_it_records() -> None:
    for kind in EVENTS.values():
        assert (kind.__doc__ or "").endswith("."), kind
    assert {part.value for part in LineMapping} == {"hashes", "file_counts", "details"}
    assert event.registered().keys() == EVENTS.keys()
