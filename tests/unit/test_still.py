"""The pipeline that only says that what held still holds: for all else it gives way, and every byte
is read again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from factory.engine import doit_checker
from factory.engine.still import Remembered, StillPipeline
from factory.engine.wiring import Silent
from factory.model.card import Card, CardResult, Closing, Progress
from factory.model.errors import InternalError, Refusal
from factory.model.finding import Finding
from factory.model.verdict import Status

ONE, TWO = (Card(name, "launch", name, "", (), ()) for name in ("launch:A", "launch:B"))
RECORDS = {"launch:A": {"verdict": "PASS", "key": "a"}, "launch:B": {"verdict": "PASS", "key": "b"}}
STILL, REAL = Closing(Status.PASS, ("still",), "run"), Closing(Status.BLOCKED, ("real",))


class Real:
    """A pipeline that writes down what it is asked; `holding` are the cards that it finds to
    hold.
    """

    def __init__(
        self,
        holding: tuple[str, ...] = ("launch:A", "launch:B"),
        cards: tuple[Card, ...] = (ONE, TWO),
    ) -> None:
        self.told: list[str] = []
        self._holding = holding
        self._cards = cards

    def cards(self) -> tuple[Card, ...]:
        return self._cards

    def begin(self, progress: Progress) -> None:
        self.told.append("begin")

    def holds(self, card: Card, stored: Mapping[str, object]) -> bool:
        self.told.append(f"holds {card.name}")
        return card.name in self._holding

    def execute(self, card: Card) -> CardResult:
        self.told.append(f"execute {card.name}")
        return CardResult(Status.PASS, "")

    def close(self, selected: Mapping[str, Status], executed: frozenset[str]) -> Closing:
        self.told.append("close")
        return REAL

    def abandon(self, reason: str) -> None:
        self.told.append(f"abandon: {reason}")


class Still:
    """One such pipeline over a real one, with what becomes of lock and memory."""

    def __init__(self, path: Path, real: Real, stands: bool = True) -> None:
        self.locked = 0
        self.forgotten = False
        self.stands = stands
        self.real = real
        known = Remembered((ONE, TWO), RECORDS, {str(path): "vouched"}, STILL)
        self.pipeline = StillPipeline(
            known, lambda: self.stands, self._lock, lambda: real, self._forget
        )

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        self.locked += 1
        yield
        self.locked -= 1

    def _forget(self) -> None:
        self.forgotten = True


@pytest.fixture(autouse=True)
def _nobody_vouches() -> Iterator[None]:
    yield
    doit_checker.withdraw()


def test_where_all_is_as_it_was_the_real_one_is_never_made(tmp_path: Path) -> None:
    still = Still(tmp_path / "file", Real())
    still.pipeline.begin(Silent())
    assert still.locked == 1
    assert all(still.pipeline.holds(card, RECORDS[card.name]) for card in (ONE, TWO))
    assert doit_checker.digest_of(str(tmp_path / "file")) == "vouched"
    assert (
        still.pipeline.close({"launch:A": Status.PASS, "launch:B": Status.PASS}, frozenset())
        == STILL
    )
    assert (still.locked, still.real.told) == (0, [])


def test_a_state_that_is_another_is_looked_at_by_the_real_one(tmp_path: Path) -> None:
    still = Still(tmp_path / "file", Real(), stands=False)
    still.pipeline.begin(Silent())
    assert still.pipeline.holds(ONE, {})
    assert still.real.told == ["begin", "holds launch:A"]
    assert doit_checker.digest_of(str(tmp_path / "file")) == doit_checker.ABSENT
    assert still.pipeline.close({"launch:A": Status.PASS}, frozenset()) == REAL


def test_the_state_is_asked_for_again_once_the_lock_is_held(tmp_path: Path) -> None:
    still = Still(tmp_path / "file", Real())
    assert still.pipeline.holds(ONE, RECORDS["launch:A"])
    still.stands = False  # another process ran something in between
    still.pipeline.begin(Silent())
    assert still.real.told[0] == "begin"
    assert doit_checker.digest_of(str(tmp_path / "file")) == doit_checker.ABSENT


def test_what_the_engine_lost_is_asked_of_the_real_one_which_looks_again_at_what_held(
    tmp_path: Path,
) -> None:
    still = Still(tmp_path / "file", Real(holding=("launch:A",)))
    still.pipeline.begin(Silent())
    assert still.pipeline.holds(ONE, RECORDS["launch:A"])
    assert not still.pipeline.holds(TWO, {"verdict": "PASS", "key": "another"})
    assert still.real.told == ["begin", "holds launch:A", "holds launch:B"]
    assert still.locked == 0, "the real one takes the lock itself"
    still.pipeline.execute(TWO)
    assert doit_checker.digest_of(str(tmp_path / "file")) == doit_checker.ABSENT
    assert still.pipeline.close({}, frozenset({"launch:B"})) == REAL


def test_nothing_is_executed_beside_what_only_seemed_to_hold(tmp_path: Path) -> None:
    still = Still(tmp_path / "file", Real(holding=()))
    still.pipeline.begin(Silent())
    assert still.pipeline.holds(ONE, RECORDS["launch:A"])
    for _ in range(2):
        with pytest.raises(
            InternalError,
            match="expected launch:A to be as when this began, found a change; run it",
        ):
            still.pipeline.execute(TWO)
    assert still.forgotten
    assert still.real.told == ["begin", "holds launch:A", "abandon: what had held does not"]
    still.pipeline.abandon("defect")


def test_other_tasks_than_the_engine_has_are_not_run(tmp_path: Path) -> None:
    still = Still(tmp_path / "file", Real(cards=(ONE,)), stands=False)
    with pytest.raises(InternalError, match="expected tasks to be as when this began"):
        still.pipeline.begin(Silent())
    assert still.real.told == []


def test_cards_that_were_not_reached_are_told_by_the_real_one(tmp_path: Path) -> None:
    still = Still(tmp_path / "file", Real())
    still.pipeline.begin(Silent())
    assert (
        still.pipeline.close({"launch:A": Status.PASS, "launch:B": Status.BLOCKED}, frozenset())
        == REAL
    )
    assert still.real.told == ["begin", "close"]


def test_an_interrupt_frees_the_lock(tmp_path: Path) -> None:
    still = Still(tmp_path / "file", Real())
    still.pipeline.begin(Silent())
    still.pipeline.abandon("interrupted")
    assert (still.locked, still.real.told) == (0, [])


def test_a_lock_that_another_holds_is_refused(tmp_path: Path) -> None:
    still = Still(tmp_path / "file", Real())

    def locked() -> contextlib.AbstractContextManager[None]:
        raise Refusal(Finding("LOCKED", {"case": "unknown", "lock": "run", "who": "another run"}))

    still.pipeline._lock = locked
    with pytest.raises(Refusal, match="another run"):
        still.pipeline.begin(Silent())
    assert still.real.told == []


def test_less_than_everything_is_no_word_for_the_whole_run(tmp_path: Path) -> None:
    still = Still(tmp_path / "file", Real())
    still.pipeline.begin(Silent())
    assert still.pipeline.holds(ONE, RECORDS["launch:A"])
    assert still.pipeline.close({"launch:A": Status.PASS}, frozenset()) == REAL
    assert still.real.told == ["begin", "holds launch:A", "close"]
