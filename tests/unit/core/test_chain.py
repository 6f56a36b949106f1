"""A chain says what does not follow."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.log.chain import GENESIS, ChainError, Head, check, followed, written
from factory.strict import canonical


def made(count: int) -> list[Any]:
    links: list[Any] = []
    head = Head()
    for number in range(count):
        line, head = written(head, {"what": number})
        links.append(SimpleNamespace(**json.loads(line)))
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


NAMES = st.sampled_from(["a", "event", "event_", "event_ie", "seq", "tail", "é", "\U0001f600", "Z"])


@given(st.dictionaries(NAMES, st.integers(-9, 9) | st.text(max_size=4) | st.none()))
def test_a_line_is_canonical_and_has_the_id_of_its_content(members: dict[str, object]) -> None:
    line, head = written(Head(4, "5" * 64), members)
    body = {**members, "seq": 5, "prev": "5" * 64}
    assert head == Head(5, canonical.digest(body))
    assert line == canonical.encode({**body, "event_id": head.event_id})
    check(json.loads(line), line)
