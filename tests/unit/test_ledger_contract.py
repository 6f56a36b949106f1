"""What every ledger promises, the one in a file and the one in memory alike."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from factory.evidence.ledger_store import LedgerStore
from factory.files.clock import SystemClock
from factory.files.ports import Ledger
from factory.log.chain import Head
from factory.log.merkle import root_of
from factory.model.event import Entry
from factory.model.events import (
    BranchPrepared,
    CacheRemoved,
    IntegrateFinished,
    IntegratePrepared,
    RunAbandoned,
    RunStarted,
)
from factory.model.ledger_chain import follow
from tests.fakes.ledger import MemoryLedger

MAKERS: dict[str, Callable[[Path], Ledger]] = {
    "file": lambda folder: LedgerStore(folder, SystemClock()),
    "memory": lambda _: MemoryLedger(),
}


@pytest.fixture(params=MAKERS)
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Ledger:
    (tmp_path / "locks").mkdir()
    return MAKERS[request.param](tmp_path)


def started(run: str) -> Entry:
    return RunStarted(base_commit="a" * 40, base_ref="HEAD", plan="").entry(run)


def prepared(run: str) -> Entry:
    return IntegratePrepared(status="", merged_tree="", packs=1).entry(run)


def finished(run: str) -> Entry:
    return IntegrateFinished(status="PASS", merged_tree="", report="", changed=0).entry(run)


def test_an_empty_ledger_has_nothing(ledger: Ledger) -> None:
    assert list(ledger.lines()) == []
    assert [*ledger.events(), *ledger.newest()] == []
    assert ledger.state().head == Head()
    assert ledger.recover() == ()
    assert ledger.tree(0).size == 0


def test_events_are_chained_in_order_and_the_last_id_is_returned(ledger: Ledger) -> None:
    first = ledger.append(started("r1"))
    last = ledger.append(prepared("r1"), finished("r1"))
    lines = list(ledger.lines())
    assert follow(Head(), lines) == ledger.state().head == Head(3, last)
    events = list(ledger.events())
    assert [event.event_type for event in events] == [
        "run.started",
        "integrate.prepared",
        "integrate.finished",
    ]
    assert (events[0].event_id, events[1].prev, events[2].event_id) == (first, first, last)


def test_events_are_found_by_run_and_from_the_end(ledger: Ledger) -> None:
    ledger.append(started("r1"), started("r2"), prepared("r1"), finished("r1"))
    assert [event.event_type for event in ledger.of_runs(["r1"])] == [
        "run.started",
        "integrate.prepared",
        "integrate.finished",
    ]
    assert ledger.of_runs(["none"]) == ()
    assert [event.seq for event in ledger.newest()] == [4, 3, 2, 1]
    assert [event.run_id for event in ledger.newest("run.started")] == ["r2", "r1"]
    assert next(ledger.newest("run.started", "integrate.finished")).seq == 4


def test_the_state_knows_runs_without_an_end(ledger: Ledger) -> None:
    ledger.append(started("open"), started("prepared"), prepared("prepared"))
    ledger.append(started("gone"), RunAbandoned(rc=1).entry("gone"))
    ledger.append(started("done"), prepared("done"), finished("done"))
    ledger.append(BranchPrepared(ref="r", commit="", tree="").entry("done"))
    state = ledger.state()
    assert set(state.begun) == {"open", "prepared"}
    assert state.begun["prepared"].prepared
    assert not state.begun["open"].prepared
    assert state.abandoned == frozenset({"gone"})
    assert state.branching == frozenset({"done"})
    assert state.size == sum(len(line) + 1 for line in ledger.lines())


def test_the_tree_over_any_beginning_is_that_of_its_lines(ledger: Ledger) -> None:
    for number in range(9):
        ledger.append(started(f"r{number}"), finished(f"r{number}"))
    lines = list(ledger.lines())
    for size in (1, 2, 7, 18):
        assert ledger.tree(size).root == root_of(lines[:size])
    assert ledger.state().tree == ledger.tree(18)


def test_what_is_no_event_is_refused_and_nothing_is_recorded(ledger: Ledger) -> None:
    ledger.append(started("r1"))
    for wrong in (Entry("No Word"), Entry("x", run_id="a b"), Entry("x", duration_ms=-1)):
        with pytest.raises(ValueError, match=r"."):
            ledger.append(started("r2"), wrong)
    assert ledger.state().head.seq == 1


def test_a_reading_sees_what_was_there_when_it_began(ledger: Ledger) -> None:
    ledger.append(started("r1"))
    lines = ledger.lines()
    ledger.append(CacheRemoved(path="c", why="", where="", files=0, bytes=0).entry())
    assert len(list(lines)) == 1
    ledger.remember()
    assert len(list(ledger.lines())) == 2
