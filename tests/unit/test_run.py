"""A run goes one way through its states, and is minted only when something starts."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from factory.engine.run import Run, State
from factory.engine.wiring import Silent
from factory.evidence.ledger_store import LedgerStore
from factory.files.clock import SystemClock
from factory.files.state_store import StateStore
from factory.model import layout
from factory.model.errors import InternalError, Refusal
from factory.model.finding import Finding
from factory.plan.plan import Plan


class Unplannable(Run):
    """A run of packs that have no plan."""

    @property
    def plan(self) -> Plan:
        raise Refusal(
            Finding("PACK_INVALID", {"problem": "none can be planned", "advice": "mend one"})
        )


@pytest.fixture
def run(tmp_path: Path) -> Run:
    (tmp_path / "locks").mkdir()
    clock = SystemClock()
    site: Any = SimpleNamespace(
        repository=SimpleNamespace(commit="c" * 40, base_ref="main"),
        ledger=LedgerStore(tmp_path, clock),
        store=StateStore(tmp_path),
        clock=clock,
        run_id="",
        origin="",
    )
    return Unplannable(site, Silent(), lambda: (), lambda _catalogue, _site: ())


def events(run: Run) -> list[str]:
    return [event.event_type for event in run.site.ledger.events()]


def test_nothing_is_minted_before_it_starts_and_one_id_afterwards(run: Run) -> None:
    assert (run.state, run.id, events(run)) == (State.NOT_STARTED, "", [])
    minted = run.start()
    assert (run.state, run.start(), run.id) == (State.STARTED, minted, minted)
    assert events(run) == ["run.started"]
    assert run.end() == minted
    run.settled()
    assert (run.state, run.named, run.start()) == (State.SETTLED, minted, minted)


def test_a_run_whose_end_began_is_not_abandoned(run: Run) -> None:
    run.end()
    run.abandon("interrupted")
    assert (run.state, events(run)) == (State.ENDING, ["run.started"])


def test_a_started_run_is_abandoned_once(run: Run) -> None:
    run.abandon("too early")
    run.start()
    run.abandon("interrupted")
    run.abandon("again")
    assert (run.state, events(run)) == (State.ABANDONED, ["run.started", "run.abandoned"])


def test_no_state_is_left_backwards(run: Run) -> None:
    with pytest.raises(InternalError, match="expected no run that is not started to be settled"):
        run.settled()
    run.end()
    with pytest.raises(InternalError, match="expected no run that is ending to be ending"):
        run.end()


def test_what_the_ledger_does_not_take_did_not_start(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_entries: object) -> str:
        raise Refusal(
            Finding("DISK_UNWRITABLE", {"case": "write", "place": "x", "found": "no space left"})
        )

    monkeypatch.setattr(run.site.ledger, "append", full)
    with pytest.raises(Refusal):
        run.start()
    assert (run.state, run.id) == (State.NOT_STARTED, "")


def test_nothing_is_added_to_a_settled_run(run: Run) -> None:
    run.start()
    run.keep_traceback("crash-1.txt", b"first")
    run.end()
    run.settled()
    run.keep_traceback("crash-2.txt", b"second")
    raw = run.site.store.root / layout.RunFolder.of(run.id).raw
    assert [path.name for path in raw.iterdir()] == ["crash-1.txt"]
