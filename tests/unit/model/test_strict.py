"""What a strict reader yields: frozen trees, places that are always found, problems that say
themselves.
"""

from __future__ import annotations

from types import MappingProxyType

import pytest

from factory.strict.values import (
    DocumentError,
    Problem,
    StrictDocument,
    child,
    freeze,
    plain,
    pointers,
)

TREE = {"a": [1, {"b/c": None}], "d~": "text"}


def test_a_problem_says_its_sentence_and_then_what_to_do() -> None:
    assert str(Problem("this is wrong", 3, 4, "mend it")) == "this is wrong; mend it"
    assert str(Problem("this is wrong")) == "this is wrong"


def test_a_document_error_speaks_for_its_first_problem_and_keeps_them_all() -> None:
    problems = (Problem("one", 1, 2, "mend one"), Problem("two"))
    error = DocumentError(*problems)
    assert (str(error), error.problems) == ("one; mend one", problems)


def test_a_document_error_without_a_problem_cannot_be() -> None:
    with pytest.raises(ValueError, match="at least one Problem"):
        DocumentError()


def test_a_frozen_tree_cannot_be_changed_and_thaws_to_an_equal_one() -> None:
    frozen = freeze(TREE)
    assert frozen == MappingProxyType({"a": (1, MappingProxyType({"b/c": None})), "d~": "text"})
    with pytest.raises(TypeError):
        frozen["a"] = 1  # type: ignore[index]
    thawed = plain(frozen)
    assert thawed == {"a": (1, {"b/c": None}), "d~": "text"}
    assert type(thawed) is dict


@pytest.mark.parametrize(
    ("value", "name"), [({1, 2}, "set"), ({"a": [b"raw"]}, "bytes"), ((1, object()), "object")]
)
def test_what_no_document_holds_is_not_frozen(value: object, name: str) -> None:
    with pytest.raises(TypeError, match=f"^{name} has no place in a document$"):
        freeze(value)


def test_pointers_come_parents_first_and_escape_names() -> None:
    assert list(pointers(freeze(TREE))) == ["", "/a", "/a/0", "/a/1", "/a/1/b~1c", "/d~0"]
    assert child("/x", "a/b~c") == "/x/a~1b~0c"


def test_what_was_not_written_stands_where_its_parent_does() -> None:
    document = StrictDocument(freeze(TREE), {"": (1, 1), "/a": (2, 4)}, {"/a": (2, 1)})
    assert (document.place("/a"), document.place("/a/7/x"), document.place("/e")) == (
        (2, 4),
        (2, 4),
        (1, 1),
    )
    assert (document.key_place("/a"), document.key_place("/a/0")) == ((2, 1), (2, 4))
    assert StrictDocument(None).place("/anything") == (1, 1)
