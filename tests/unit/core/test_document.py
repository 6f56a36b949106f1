"""Documents: what a class demands, and that pydantic, made of the same declarations, agrees."""

from __future__ import annotations

import copy
import doctest
import json
import pickle
import subprocess
import sys
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import pydantic
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from factory.contract import schemas
from factory.contract.acceptance import AcceptanceDocument
from factory.contract.task import TaskDocument
from factory.strict import document, field_types
from factory.strict.document import AfterValidator, BeforeValidator, Document, Field, Mismatch
from tests.document_values import documents_of, nearly, trees_of
from tests.sample import examples

EVIDENCE = [(name, model) for name, model in schemas.MODELS if name not in ("task", "acceptance")]


def _short(text: str) -> str:
    if len(text) > 3:
        raise Mismatch.of("unfit", problem="is too long", hint="")
    return text.upper()


class Inner(Document):
    size: Annotated[int, Field(ge=1, le=9)] = 1


class Outer(Document):
    name: Annotated[str, Field(pattern="^[a-z]+$")]
    kind: Literal["plain", 2] = "plain"
    inner: Inner = Inner()
    pair: tuple[str, int] = ("a", 1)
    items: Annotated[tuple[Inner, ...], Field(max_length=2)] = ()
    facts: dict[str, str | int | tuple[str, ...]] = Field(default={})
    lines: int | None = None
    flag: bool = False
    more: Mapping[str, object] = Field(default_factory=dict)
    nothing: None = None
    tag: Annotated[str, BeforeValidator(lambda value: value or "x"), AfterValidator(_short)] = "T"


class Open(Document, keeps_unknown=True, alias=str.upper):
    known: str


def objections(kind: type[Document], tree: Any) -> list[tuple[str, str]]:
    with pytest.raises(Mismatch) as caught:
        kind.model_validate(tree)
    return [("/".join(map(str, it.place)), it.message) for it in caught.value.objections]


def agree(kind: type[Document], tree: Any) -> bool:
    """Whether both accept the tree, and then make the same of it.

    What pydantic accepts alone it changed: it takes True where 1 is the one value allowed.
    """
    try:
        ours: Any = kind.model_validate(tree).model_dump()
    except Mismatch:
        ours = None
    try:
        made = schemas.model_of(kind).model_validate(tree)
    except pydantic.ValidationError:
        theirs = None
    else:
        theirs = made.model_dump(mode="json")
    if ours is None and theirs is not None:
        assert json.dumps(theirs) != json.dumps(tree), f"{kind.__name__} of {tree!r}"
    else:
        assert ours == theirs, f"{kind.__name__} of {tree!r}"
    return ours is not None


def test_the_example_runs() -> None:
    assert doctest.testmod(document).attempted
    assert not doctest.testmod(document).failed


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        ([], [("", "Input should be a valid dictionary")]),
        ({1: 2}, [("", "Input should be a valid dictionary")]),
        ({}, [("name", "Field required")]),
        ({"name": "A"}, [("name", "String should match pattern '^[a-z]+$'")]),
        ({"name": "a\n"}, [("name", "String should match pattern '^[a-z]+$'")]),
        ({"name": 1, "x": 1}, [("name", "Input should be a valid string"),
                               ("x", "Extra inputs are not permitted")]),
        ({"name": "a", "kind": True}, [("kind", "Input should be 'plain' or 2")]),
        ({"name": "a", "kind": []}, [("kind", "Input should be 'plain' or 2")]),
        ({"name": "a", "inner": {"size": 0}},
         [("inner/size", "Input should be greater than or equal to 1")]),
        ({"name": "a", "inner": {"size": 10}},
         [("inner/size", "Input should be less than or equal to 9")]),
        ({"name": "a", "inner": {"size": True}},
         [("inner/size", "Input should be a valid integer")]),
        ({"name": "a", "pair": ["a", 1]}, [("pair", "Input should be a valid tuple")]),
        ({"name": "a", "pair": ("a",)}, [("pair", "Tuple should have 2 items")]),
        ({"name": "a", "pair": ("a", "b")}, [("pair/1", "Input should be a valid integer")]),
        ({"name": "a", "items": [{}]}, [("items", "Input should be a valid tuple")]),
        ({"name": "a", "items": ({}, {"size": 0}, 3)},
         [("items/1/size", "Input should be greater than or equal to 1"),
          ("items/2", "Input should be a valid dictionary")]),
        ({"name": "a", "items": ({}, {}, {})},
         [("items", "Input should have at most 2 items or characters")]),
        ({"name": "a", "facts": {1: "a", "b": None}},
         [("facts/1/[key]", "Input should be a valid string"),
          ("facts/b", "Input should be one of: str, int, tuple")]),
        ({"name": "a", "facts": ()}, [("facts", "Input should be a valid dictionary")]),
        ({"name": "a", "lines": "1"}, [("lines", "Input should be a valid integer")]),
        ({"name": "a", "flag": 1}, [("flag", "Input should be a valid boolean")]),
        ({"name": "a", "more": ()}, [("more", "Input should be a valid mapping")]),
        ({"name": "a", "nothing": 0}, [("nothing", "Input should be None")]),
        ({"name": "a", "tag": "long"}, [("tag", "is too long")]),
    ],
)  # fmt: skip
def test_every_objection_is_reported_at_its_place(
    tree: Any, expected: list[tuple[str, str]]
) -> None:
    assert objections(Outer, tree) == expected


def test_what_is_sound_is_kept_and_completed() -> None:
    found = Outer.model_validate({"name": "a", "tag": "", "facts": {"n": 1, "t": ("u",)}})
    assert found == Outer(name="a", tag="x", facts={"n": 1, "t": ("u",)})
    assert found.model_fields_set == {"name", "tag", "facts"}
    assert (found.tag, found.inner, found.items, found.lines) == ("X", Inner(size=1), (), None)
    assert Outer.model_validate(found) is found
    assert Outer.model_validate_json('{"name": "a", "pair": ["b", 2]}').pair == ("b", 2)
    assert found.model_dump(exclude={"more", "inner"})["facts"] == {"n": 1, "t": ["u"]}
    with pytest.raises(ValueError, match="not JSON"):
        Outer.model_validate_json("{")


def test_a_document_is_a_frozen_value() -> None:
    one, other = Outer(name="a", facts={"n": 1}), Outer(name="b")
    assert one != other
    assert one != Inner()
    assert hash(Inner()) == hash(Inner(size=1)) != hash(Inner(size=2))
    assert repr(Inner()) == "Inner(size=1)"
    assert pickle.loads(pickle.dumps(one)) == copy.deepcopy(one) == one
    assert other.facts is not Outer(name="b").facts, "no two documents share what could change"
    for attempt in (lambda: setattr(one, "name", "c"), lambda: delattr(one, "name")):
        with pytest.raises(AttributeError, match="is frozen"):
            attempt()
    assert one.model_copy(update={"name": "B 3"}).name == "B 3", "a copy is not checked"


def test_an_open_document_keeps_unknown_keys_and_an_alias_is_read_and_named() -> None:
    found = Open.model_validate({"KNOWN": "a", "b": 1})
    assert (found.known, found.model_extra) == ("a", {"b": 1})
    assert Open(known="a") == Open.model_validate({"KNOWN": "a"}) != found
    assert objections(Open, {"KNOWN": 1}) == [("KNOWN", "Input should be a valid string")]
    assert Open.model_fields["known"].alias == "KNOWN"


def test_a_type_that_no_document_has_is_refused() -> None:
    for hint in (float, list[str], set[int]):
        with pytest.raises(TypeError, match="expected a type that documents have"):
            field_types.check_of(hint)


@pytest.mark.parametrize(("name", "kind"), EVIDENCE)
@examples(5, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_pydantic_accepts_the_same_trees(
    name: str, kind: type[Document], data: st.DataObject
) -> None:
    del name
    tree = data.draw(trees_of(kind))
    assert agree(kind, tree)
    agree(kind, data.draw(nearly(tree)))


@pytest.mark.parametrize("kind", [TaskDocument, AcceptanceDocument])
@examples(20, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_pydantic_accepts_the_same_contracts(kind: type[Document], data: st.DataObject) -> None:
    whole = {
        "id": "T-1", "scope": {"allowed_paths": ("a",)}, "limits": {"timeout": "10m", "disk": "2MiB"},
        "env": ("A", "B=c"), "steps": ("true", {"run": "x", "timeout": 3}), "tools": ("jq",),
        "inputs": {"description": "x"}, "execution": {"timeout_minutes": 2, "z": 1},
        "constraints": {"allow_network": ("example.org",)}, "artifacts": ("x", "y"),
    } if kind is TaskDocument else {
        "checks": ("x", {"run": "y"}), "tests": ("z",), "lint": {"commands": "x"}, "version": "1",
    }  # fmt: skip
    assert _accepted(kind, whole)
    tree = data.draw(nearly(whole))
    assert _accepted(kind, tree) == _pydantic_accepts(kind, tree), tree


def _accepted(kind: type[Document], tree: Any) -> bool:
    try:
        kind.model_validate(tree)
    except Mismatch:
        return False
    return True


def _pydantic_accepts(kind: type[Document], tree: Any) -> bool:
    try:
        schemas.model_of(kind).model_validate(tree)
    except pydantic.ValidationError:
        return False
    return True


@given(data=st.data())
def test_a_document_survives_its_own_tree(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from([kind for _, kind in EVIDENCE]))
    found = data.draw(documents_of(kind))
    assert kind.model_validate(document.with_tuples(found.model_dump())) == found


def test_declaring_documents_loads_no_pydantic() -> None:
    code = (
        "import sys, factory.model.evidence, factory.model.statement, factory.model.index,"
        " factory.contract.contract; print([n for n in sys.modules if n.startswith('pydantic')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout.strip() == b"[]"
