"""The phases: their cards come in an order that respects what comes before, whatever the ids,
circles included; and a phase that there is not is an error, never a default.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.commands import command_table
from factory.contract.catalogue import Catalogue, PackEntry
from factory.engine import phases
from factory.engine.driver import Driver
from factory.engine.phases import PHASES, Graph, Phase, card_key, make_cards
from factory.engine.run import CardOutcome
from factory.engine.wiring import Silent
from factory.model.card import Card
from factory.model.errors import InternalError
from factory.model.verdict import Status
from tests.pack_values import pack

NAMES = tuple(f"T-{number}" for number in range(1, 6))
EDGES = st.sets(st.tuples(st.sampled_from(NAMES), st.sampled_from((*NAMES, "T-9"))), max_size=12)


def entry(name: str, needs: tuple[str, ...], folder: str = "") -> PackEntry:
    folder = folder or f"taskpacks/{name}-x"
    return PackEntry(folder, name, pack(id=name, folder=folder, depends_on=needs), (), ())


@given(EDGES)
def test_every_card_comes_after_those_it_names(edges: set[tuple[str, str]]) -> None:
    entries = tuple(entry(name, tuple(sorted(o for n, o in edges if n == name))) for name in NAMES)
    cards = make_cards(Catalogue(entries, ()), Path("/r"), Path("/r/.factory"))
    seen: set[str] = set()
    for card in cards:
        assert set(card.after) <= seen
        seen.add(card.name)
    assert len(seen) == len(cards) == 2 * len(NAMES) + 3


def test_a_pack_may_depend_on_one_of_a_later_name() -> None:
    entries = (entry("T-1", ("T-2",)), entry("T-2", ("T-3",)), entry("T-3", ()))
    cards = make_cards(Catalogue(entries, ()), Path("/r"), Path("/s"))
    launches = [(card.name, card.after) for card in cards if card.phase == "launch"]
    assert launches == [
        ("launch:T-3-x", ("preflight",)),
        ("launch:T-2-x", ("preflight", "launch:T-3-x")),
        ("launch:T-1-x", ("preflight", "launch:T-2-x")),
    ]


def test_an_environment_comes_once_before_every_pack() -> None:
    entries = (
        PackEntry("p/T-1-x", "T-1", pack(id="T-1", folder="p/T-1-x", environments=("py",)), (), ()),
        PackEntry("p/T-2-x", "T-2", pack(id="T-2", folder="p/T-2-x", environments=("py",)), (), ()),
        entry("T-3", ()),
    )
    made = make_cards(Catalogue(entries, ()), Path("/r"), Path("/s"))
    cards = {card.name: card.after for card in made if card.phase in ("environment", "launch")}
    assert cards == {
        "environment:py": ("preflight",),
        "launch:T-1-x": ("preflight", "environment:py"),
        "launch:T-2-x": ("preflight", "environment:py"),
        "launch:T-3-x": ("preflight", "environment:py"),
    }


def test_two_folders_of_one_id_are_two_cards() -> None:
    entries = (
        entry("T-1", (), "p/T-1-a"),
        entry("T-1", ("T-2",), "p/T-1-b"),
        entry("T-2", ("T-1",)),
    )
    cards = make_cards(Catalogue(entries, ()), Path("/r"), Path("/s"))
    assert [card.name for card in cards if card.phase == "launch"] == [
        "launch:T-1-a",
        "launch:T-1-b",
        "launch:T-2-x",
    ]


def test_no_pack_still_has_a_graph() -> None:
    cards = make_cards(Catalogue((), ()), Path("/r"), Path("/s"))
    assert [(card.name, card.after) for card in cards] == [
        ("preflight", ()),
        ("integrate", ("preflight",)),
        ("summary", ("integrate",)),
    ]


def test_each_phase_is_a_command_in_its_order() -> None:
    # `factory environment` prepares one; it is no command of a run.
    named = [phase.name for phase in PHASES if phase.name != "environment"]
    assert named == [each.name for each in command_table.PHASES]


class Cards:
    """A pipeline of given cards; nobody asks it anything else."""

    def __init__(self, cards: tuple[Card, ...]) -> None:
        self._cards = cards

    def cards(self) -> tuple[Card, ...]:
        return self._cards


UNKNOWN = Card("judge:T-1-x", "judge", "T-1", "judge it", (), ())


def test_a_phase_that_there_is_not_has_no_key() -> None:
    nothing: Any = None
    with pytest.raises(InternalError, match=r"^expected one of the phases, found 'judge'$"):
        card_key(UNKNOWN, nothing)


def test_a_card_of_no_known_phase_is_no_task() -> None:
    ended = Driver(lambda: Cards((UNKNOWN,)))  # type: ignore[arg-type,return-value]
    assert list(ended.cards) == ["preflight"], "the stand-in that says why"
    ended.begin(["preflight"], Silent())
    ended.execute(ended.cards["preflight"])
    closing = ended.close()
    assert closing.status is Status.FAIL
    assert "expected one of the phases, found 'judge'" in closing.lines[0]


class Late(Phase):
    """A phase somebody adds before integration, and nothing more."""

    name = "late"
    help = "look once more"

    def cards(self, graph: Graph) -> Iterable[Card]:
        return (graph.card(self, (), graph.of_phase("bundle-validate")),)

    def inputs(self, card: Card, run: object) -> object:
        return []

    def execute(self, card: Card, run: object) -> CardOutcome:
        return CardOutcome(Status.PASS)

    def stays_valid(self, card: Card, marker: object, run: object) -> bool:
        return True


def test_an_added_phase_comes_where_it_stands_in_the_tuple(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phases, "PHASES", (*PHASES[:4], Late(), *PHASES[4:]))
    made = make_cards(Catalogue((entry("T-1", ()),), ()), Path("/r"), Path("/s"))
    assert [card.phase for card in made] == [
        *(phase.name for phase in PHASES[:4] if phase.name != "environment"),
        "late",
        *(phase.name for phase in PHASES[4:]),
    ]


def test_a_phase_that_leaves_something_unsaid_cannot_be_made() -> None:
    class Half(Phase):
        name = "half"
        help = "half of it"

    with pytest.raises(TypeError, match="abstract"):
        Half()  # type: ignore[abstract]
