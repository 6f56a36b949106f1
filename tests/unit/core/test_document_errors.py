"""What a model has against a document: each kind of complaint as a sentence, at its place."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest

from factory.contract.document_errors import in_order, load
from factory.strict import toml as strict_toml
from factory.strict.document import Document, Field
from factory.strict.values import DocumentError, Problem


class Part(Document):
    size: Annotated[int, Field(ge=1, le=9)] = 1


class Whole(Document):
    name: Annotated[str, Field(max_length=4)]
    kind: Literal["plain", "odd"] = "plain"
    parts: dict[str, Part] = Field(default_factory=dict)
    rows: tuple[Part, ...] = ()
    tags: dict[str, tuple[int, ...]] = Field(default_factory=dict)


def problems(text: str) -> list[tuple[str, int, int, str]]:
    with pytest.raises(DocumentError) as caught:
        load(Whole, strict_toml.parse(text.encode()))
    return [
        (found.problem, found.line, found.column, found.hint) for found in caught.value.problems
    ]


def test_a_sound_document_is_its_model() -> None:
    text = 'name = "n"\nkind = "odd"\nrows = [{size = 2}]\n[parts.a]\nsize = 3\n'
    found = load(Whole, strict_toml.parse(text.encode()))
    assert found == Whole(name="n", kind="odd", rows=(Part(size=2),), parts={"a": Part(size=3)})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ('the key "name" is missing', 1, 1, "add it")),
        ("name = 1\n", ("name: expected text, found the number 1", 1, 8, "put it in quotes")),
        ("name = [1]\n", ("name: expected text, found a list", 1, 8, "write a single value")),
        (
            'name = "long one"\n',
            (
                "name: Input should have at most 4 items or characters",
                1,
                8,
                "write it as the schema says",
            ),
        ),
        (
            'name = "n"\nkind = "new"\n',
            ("kind: expected 'plain' or 'odd', found \"new\"", 2, 8, "write 'plain' or 'odd'"),
        ),
        (
            'name = "n"\n[[rows]]\n[[rows]]\nsize = 10\n',
            ("rows[1].size: expected at most 9, found the number 10", 4, 8, "write at most 9"),
        ),
        (
            'name = "n"\nparts = {a = {size = 0}}\n',
            ("size: expected at least 1, found the number 0", 2, 22, "write at least 1"),
        ),
        (
            'name = "n"\nparts = 3\n',
            ("parts: expected a mapping, found the number 3", 2, 9, "write key and value pairs"),
        ),
        (
            'name = "n"\ntags = {a = 3}\n',
            ("a: expected a list, found the number 3", 2, 13, "write [a, b], or one item a line"),
        ),
    ],
)
def test_each_complaint_is_a_sentence_at_its_place(
    text: str, expected: tuple[str, int, int, str]
) -> None:
    assert problems(text) == [expected]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('name = "n"\nparts = {a = {sice = 1}}\n', (2, 15)),
        ('name = "n"\n[[rows]]\nsice = 1\n', (3, 1)),
    ],
)
def test_an_unknown_key_is_held_against_those_of_its_own_mapping(
    text: str, place: tuple[int, int]
) -> None:
    ((problem, line, column, hint),) = problems(text)
    assert ((line, column), problem) == (place, 'unknown key "sice"')
    assert '"size"' in hint


def test_problems_come_in_the_order_of_the_file_and_once() -> None:
    late, early = Problem("late", 9, 1), Problem("early", 2, 5)
    assert in_order([late, early, late, Problem("whole")]) == (Problem("whole"), early, late)
    assert [row[1] for row in problems("kind = 1\nrows = 2\nname = 3\n")] == [1, 2, 3]
