"""The graph of cards: in an order that respects what comes before, whatever the ids, circles
included.
"""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from factory.contract.catalogue import Catalogue, PackEntry
from factory.engine.cards import make_cards
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
