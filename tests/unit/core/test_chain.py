"""A chain says what does not follow."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from factory.log.chain import GENESIS, ChainError, Head, followed, linked


def made(count: int) -> list[Any]:
    links: list[Any] = []
    head = Head()
    for number in range(count):
        members = linked(head, {"what": number})
        head = Head(members["seq"], members["event_id"])
        links.append(SimpleNamespace(**members))
    return links


def test_links_follow_from_any_head() -> None:
    links = made(4)
    assert links[0].prev == GENESIS
    assert list(followed(Head(), links)) == links
    assert list(followed(Head(2, links[1].event_id), links[2:])) == links[2:]


@pytest.mark.parametrize("order", [[0, 2], [1], [0, 0], [0, 1, 3, 2]])
def test_what_does_not_follow_is_named(order: list[int]) -> None:
    links = made(4)
    with pytest.raises(ChainError, match="expected seq"):
        list(followed(Head(), [links[at] for at in order]))
