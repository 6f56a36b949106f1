"""Canonical bytes against the reference implementation, over every kind of value and character."""

from __future__ import annotations

import enum
from types import MappingProxyType
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from factory.strict.canonical import NotCanonical, digest, encode

EDGE = 2**53 - 1
TEXT = st.text(st.characters(exclude_categories=["Cs"])) | st.text(
    'ab\x00\x1f\x7f"\\\\/\n\u2028\ud7ff\ue000\U0001f600'
)
LEAF = st.none() | st.booleans() | st.integers(-EDGE, EDGE) | TEXT
VALUE = st.recursive(
    LEAF, lambda below: st.lists(below) | st.dictionaries(TEXT, below), max_leaves=20
)


@given(VALUE)
def test_the_bytes_are_those_of_the_reference(value: Any) -> None:
    assert encode(value) == rfc8785.dumps(value)


@given(st.dictionaries(TEXT, LEAF, min_size=1))
def test_views_and_tuples_are_as_what_they_hold(value: dict[str, object]) -> None:
    assert encode((MappingProxyType(value),)) == encode([value])
    assert len(digest(value)) == 64


class Colour(enum.StrEnum):
    RED = "red"


class Number(enum.IntEnum):
    TWO = 2


def test_members_of_enumerations_are_their_values() -> None:
    assert encode([Colour.RED, Number.TWO, True]) == b'["red",2,true]'


@pytest.mark.parametrize(
    "value",
    [1.0, float("nan"), {1: 2}, {None: 1}, b"x", {1}, EDGE + 1, -EDGE - 1, "\ud800", {"\udfff": 1}],
)
def test_what_has_no_canonical_form_is_refused(value: object) -> None:
    for place in (value, [value], {"a": value}):
        with pytest.raises(NotCanonical):
            encode(place)


def test_depth_ends_in_a_refusal() -> None:
    value: object = 1
    for _ in range(100_000):
        value = [value]
    with pytest.raises(NotCanonical):
        encode(value)
