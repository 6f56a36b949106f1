"""Strategies for documents: what a class accepts, and trees that are nearly that."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from factory.strict.document import Document, FieldRule

_OTHER = st.sampled_from([None, True, 0, -1, 2**53, "", "x", "a" * 64, (), ("x",), {}, {"x": 1}])


def trees_of(kind: type[Document]) -> st.SearchStrategy[dict[str, Any]]:
    """Trees of dicts, tuples and scalars that `kind` accepts."""
    return st.fixed_dictionaries(
        {field.alias: trees(field.annotation) for field in kind.model_fields.values()}
    )


def documents_of(kind: type[Document]) -> st.SearchStrategy[Any]:
    """Documents of a class."""
    return trees_of(kind).map(kind.model_validate)


def trees(hint: Any) -> st.SearchStrategy[Any]:
    """Values of one type, as a tree."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        bounds = next((mark for mark in arguments[1:] if isinstance(mark, FieldRule)), FieldRule())
        return _bounded(arguments[0], bounds)
    if origin is typing.Literal:
        return st.sampled_from(arguments)
    if origin in (typing.Union, types.UnionType):
        return st.one_of(*map(trees, arguments))
    if origin is tuple:
        if arguments[-1] is ...:
            return st.lists(trees(arguments[0]), max_size=3).map(tuple)
        return st.tuples(*map(trees, arguments))
    if origin is dict:
        return st.dictionaries(trees(arguments[0]), trees(arguments[1]), max_size=3)
    if isinstance(hint, type) and issubclass(hint, Document):
        return trees_of(hint)
    return st.from_type(hint)


def _bounded(hint: Any, bounds: FieldRule) -> st.SearchStrategy[Any]:
    if bounds.pattern is not None:
        return st.from_regex(bounds.pattern, fullmatch=True)
    if hint is int:
        return st.integers(bounds.ge, bounds.le)
    return trees(hint)


@st.composite
def nearly(draw: st.DrawFn, tree: Any) -> Any:
    """The same tree with one member replaced, left out or added."""
    if isinstance(tree, Mapping) and tree:
        key = draw(st.sampled_from(sorted(tree)))
        how = draw(st.sampled_from(["inside", "without", "more"]))
        if how == "without":
            return {name: member for name, member in tree.items() if name != key}
        if how == "more":
            return {**tree, "more": draw(_OTHER)}
        return {**tree, key: draw(nearly(tree[key]))}
    if isinstance(tree, tuple) and tree and draw(st.booleans()):
        place = draw(st.integers(0, len(tree) - 1))
        return (*tree[:place], draw(nearly(tree[place])), *tree[place + 1 :])
    return draw(_OTHER)
