"""What doit drives: it answers from memory while nothing changed; for all else the pipeline is
opened, and every byte is read again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from factory.engine import doit_checker
from factory.engine.driver import Driver
from factory.engine.memory import Asked, Memory, Places, UpToDate
from factory.engine.start import is_listing
from factory.engine.wiring import Silent
from factory.model.card import Card, CardResult, Closing, Progress
from factory.model.errors import InternalError, Refusal
from factory.model.finding import Finding
from factory.model.verdict import Status

ONE, TWO = (Card(name, "launch", name, "", (), ()) for name in ("launch:A", "launch:B"))
RECORDS: dict[str, dict[str, object]] = {
    "launch:A": {"verdict": "PASS", "key": "a", "targets": {}},
    "launch:B": {"verdict": "PASS", "key": "b", "targets": {}},
}
REMEMBERED = Closing(Status.PASS, ("up to date",), "run")
REAL = Closing(Status.BLOCKED, ("real",))


class Real:
    """A pipeline that writes down what it is asked; `valid` are the cards that it finds up to
    date.
    """

    def __init__(
        self,
        valid: tuple[str, ...] = ("launch:A", "launch:B"),
        cards: tuple[Card, ...] = (ONE, TWO),
    ) -> None:
        self.told: list[str] = []
        self._valid = valid
        self._cards = cards

    def cards(self) -> tuple[Card, ...]:
        return self._cards

    def begin(self, progress: Progress) -> None:
        self.told.append("begin")

    def is_up_to_date(self, card: Card, stored: Mapping[str, object]) -> bool:
        self.told.append(f"is_up_to_date {card.name}")
        return card.name in self._valid

    def execute(self, card: Card) -> CardResult:
        self.told.append(f"execute {card.name}")
        return CardResult(Status.PASS, "")

    def close(self, selected: Mapping[str, Status], executed: frozenset[str]) -> Closing:
        self.told.append("close")
        return REAL

    def abandon(self, reason: str) -> None:
        self.told.append(f"abandon: {reason}")


class Remembering:
    """A driver that remembers, over a real pipeline; with what becomes of lock and memory."""

    def __init__(self, path: Path, real: Real, unchanged: bool = True) -> None:
        self.locked = 0
        self.unchanged = unchanged
        self.real = real
        known = UpToDate(
            Asked("HEAD", "", (), ()), "", RECORDS, REMEMBERED, {str(path): "vouched"}, Places()
        )
        made = Memory(path.parent, "", "taskpacks", (ONE, TWO), Places(), "", known)
        self.memory = Told(made, lambda: self.unchanged)
        self.driver = Driver(lambda: real, self.memory, self._lock)  # type: ignore[arg-type]

    def begin(self, *asked: str) -> None:
        self.driver.begin(asked or ("launch:A", "launch:B"), Silent())

    def valid(self, card: Card) -> bool:
        """As doit asks: and notes it."""
        valid = not self.driver.why_not_up_to_date(card, RECORDS[card.name])
        if valid:
            self.driver.note_up_to_date(card.name)
        return valid

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        self.locked += 1
        yield
        self.locked -= 1


class Told:
    """A memory that is told whether the state folder is as it was."""

    def __init__(self, made: Memory, unchanged: Callable[[], bool]) -> None:
        self.cards, self.up_to_date = made.cards, made.up_to_date
        self.state_unchanged = unchanged
        self.forgotten = False

    def forget(self) -> None:
        self.forgotten = True


@pytest.fixture(autouse=True)
def _nobody_vouches() -> Iterator[None]:
    yield
    doit_checker.withdraw()


def test_where_nothing_changed_no_pipeline_is_opened(tmp_path: Path) -> None:
    here = Remembering(tmp_path / "file", Real())
    here.begin()
    assert here.locked == 1
    assert all(here.valid(card) for card in (ONE, TWO))
    assert doit_checker.digest_of(str(tmp_path / "file")) == "vouched"
    assert here.driver.close() == REMEMBERED
    assert (here.locked, here.real.told) == (0, [])


def test_a_state_that_changed_is_looked_at_by_the_pipeline(tmp_path: Path) -> None:
    here = Remembering(tmp_path / "file", Real(), unchanged=False)
    here.begin("launch:A")
    assert here.valid(ONE)
    assert here.real.told == ["begin", "is_up_to_date launch:A"]
    assert doit_checker.digest_of(str(tmp_path / "file")) == doit_checker.ABSENT
    assert here.driver.close() == REAL


def test_the_state_is_compared_again_once_the_lock_is_taken(tmp_path: Path) -> None:
    here = Remembering(tmp_path / "file", Real())
    assert here.valid(ONE)
    here.unchanged = False  # another process ran something in between
    here.begin()
    assert here.real.told[0] == "begin"
    assert doit_checker.digest_of(str(tmp_path / "file")) == doit_checker.ABSENT


def test_what_doit_lost_is_asked_of_the_pipeline_which_looks_again_at_what_memory_said(
    tmp_path: Path,
) -> None:
    here = Remembering(tmp_path / "file", Real(valid=("launch:A",)))
    here.begin()
    assert here.valid(ONE)
    other = {"verdict": "PASS", "key": "another", "targets": {}}
    assert here.driver.why_not_up_to_date(TWO, other) == (
        "no, its action key changed; `factory why launch:B` shows what did"
    )
    assert here.real.told == ["begin", "is_up_to_date launch:A", "is_up_to_date launch:B"]
    assert here.locked == 0, "the pipeline takes the lock itself"
    here.driver.execute(TWO)
    assert doit_checker.digest_of(str(tmp_path / "file")) == doit_checker.ABSENT
    assert here.driver.close() == REAL


def test_nothing_is_executed_beside_what_only_seemed_valid(tmp_path: Path) -> None:
    here = Remembering(tmp_path / "file", Real(valid=()))
    here.begin()
    assert here.valid(ONE)
    for _ in range(2):
        assert here.driver.execute(TWO)["verdict"] == "FAIL"
    assert here.memory.forgotten
    assert here.real.told == [
        "begin",
        "is_up_to_date launch:A",
        "abandon: what was up to date is not",
    ]
    closing = here.driver.close()
    assert closing.status is Status.FAIL
    assert "expected launch:A to be as when this began, found a change; run it" in closing.lines[0]


def test_other_tasks_than_doit_has_are_not_run(tmp_path: Path) -> None:
    here = Remembering(tmp_path / "file", Real(cards=(ONE,)), unchanged=False)
    with pytest.raises(InternalError, match="expected tasks to be as when this began"):
        here.begin()
    assert here.real.told == []


def test_cards_that_were_only_listed_begin_no_run(tmp_path: Path) -> None:
    real = Real(cards=(ONE,))
    listed = Memory(tmp_path, "", "taskpacks", (ONE, TWO), Places(), "content")
    driver = Driver(lambda: real, listed)
    assert list(driver.cards) == ["launch:A", "launch:B"]
    with pytest.raises(InternalError, match="expected tasks to be as when this began"):
        driver.begin(("launch:A",), Silent())
    assert not real.told
    Driver(lambda: real, listed._replace(cards=(ONE,))).begin(("launch:A",), Silent())
    assert real.told == ["begin"]


def test_cards_that_were_not_reached_are_reported_by_the_pipeline(tmp_path: Path) -> None:
    here = Remembering(tmp_path / "file", Real())
    here.begin()
    assert here.valid(ONE)
    closing = here.driver.close()
    assert closing.status is Status.BLOCKED
    assert closing.lines[1].startswith("not reached, so BLOCKED: launch:B;")
    assert here.real.told == ["begin", "is_up_to_date launch:A", "close"]


def test_an_interrupt_frees_the_lock(tmp_path: Path) -> None:
    here = Remembering(tmp_path / "file", Real())
    here.begin()
    here.driver.abandon("interrupted")
    assert (here.locked, here.real.told) == (0, [])


def test_a_lock_that_another_has_is_refused(tmp_path: Path) -> None:
    here = Remembering(tmp_path / "file", Real())

    def locked() -> contextlib.AbstractContextManager[None]:
        raise Refusal(Finding("LOCKED", {"case": "unknown", "lock": "run", "who": "another run"}))

    here.driver._lock = locked
    with pytest.raises(Refusal, match="another run"):
        here.begin()
    assert here.real.told == []


def test_less_than_everything_is_no_verdict_of_the_whole_run(tmp_path: Path) -> None:
    here = Remembering(tmp_path / "file", Real())
    here.begin("launch:A")
    assert here.valid(ONE)
    assert here.driver.close() == REAL
    assert here.real.told == ["begin", "is_up_to_date launch:A", "close"]


@pytest.mark.parametrize("words", ["list", "list --all", "base_ref=main list -s"])
def test_words_that_list(words: str) -> None:
    assert is_listing(words.split())


@pytest.mark.parametrize(
    "words", ["", "oneshot", "run list", "-f other.py list", "info list", "-n 2 list", "--version"]
)
def test_words_that_may_run(words: str) -> None:
    assert not is_listing(words.split())
