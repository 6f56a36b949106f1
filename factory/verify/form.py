"""Read documents of the evidence into frozen values; write their layout and canonical form.

Rule: a document is wholly in the one form that may be written, or it is refused with the place of
its first error. Shapes are dataclasses; a field's type says everything that is checked. Does not
know what any document means. Sources: RFC 8259, RFC 7493, RFC 8785.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType, NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from factory.strict import json as strict_json
from factory.strict.canonical import NotCanonical, encode

MOST_BYTES = 256 * 1024 * 1024
Shape = TypeVar("Shape")
Reader = Callable[[Any, str], Any]


class FormError(ValueError):
    """Report that a document is malformed: one clause."""


@dataclasses.dataclass(frozen=True, slots=True)
class Like:
    """State the form of a text, for `Annotated`."""

    pattern: str


@dataclasses.dataclass(frozen=True, slots=True)
class AtLeast:
    """State the smallest value of a number, for `Annotated`."""

    smallest: int


def read(shape: type[Shape], content: bytes) -> Shape:
    """Return the document as a `shape`.

    Raise FormError unless it is strict JSON, in its layout (sorted keys, two spaces) and shape.
    """
    value = value_of(content)
    if layout(value) != content:
        raise FormError(
            "expected the one layout of evidence (sorted keys, two spaces, one newline), found"
            " another"
        )
    return build(shape, value)


def value_of(content: bytes, most: int = MOST_BYTES) -> Any:
    """Return one strict JSON value. Raise FormError."""
    try:
        return strict_json.parse(content, max_bytes=most)
    except ValueError as error:
        raise FormError(f"expected strict JSON, found: {error}") from error


def build(shape: type[Shape], value: object, where: str = "") -> Shape:
    """Return a parsed value as a `shape`. Raise FormError naming the first place that does not
    fit.
    """
    built: Shape = _reader_of(shape)(value, where)
    return built


def layout(value: object) -> bytes:
    """Return the layout of a document on disk."""
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False).encode("utf-8") + b"\n"


def canonical(value: object) -> bytes:
    """Return RFC 8785 for null, booleans, whole numbers, text, lists and mappings.

    Raise FormError for anything else.
    """
    try:
        return encode(value)
    except NotCanonical as error:
        raise FormError(f"expected a value with a canonical form, found: {error}") from error


def plain(value: object) -> Any:
    """Return a shape as JSON values: dataclasses as dicts, tuples as lists."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {each.name: plain(getattr(value, each.name)) for each in dataclasses.fields(value)}
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: plain(member) for key, member in value.items()}
    return value


def _reader_of(kind: Any) -> Reader:
    return _reader(kind)


@lru_cache(maxsize=512)
def _reader(kind: Any) -> Reader:
    """Return the reader of one type; made once."""
    origin = get_origin(kind)
    if origin is Annotated:
        return _narrowed(*get_args(kind))
    if origin is Literal:
        return _one_of(get_args(kind))
    if origin is tuple:
        return _many(get_args(kind))
    if origin in (UnionType, Union):
        arms = get_args(kind)
        some = _any_of([_reader(arm) for arm in arms if arm is not NoneType])
        return _maybe(some) if NoneType in arms else some
    if origin is not None:  # Mapping[str, X]
        return _table(_reader(get_args(kind)[1]))
    return _record(kind) if dataclasses.is_dataclass(kind) else _exactly(kind)


def _exactly(kind: type) -> Reader:
    names = {str: "text", int: "a whole number", bool: "true or false"}

    def reader(value: Any, where: str) -> Any:
        if type(value) is not kind:
            raise _unfit(where, names[kind], value)
        return value

    return reader


def _narrowed(kind: Any, rule: Like | AtLeast) -> Reader:
    inner = _reader(kind)
    pattern = re.compile(rule.pattern) if isinstance(rule, Like) else None

    def reader(value: Any, where: str) -> Any:
        found = inner(value, where)
        if pattern is not None and pattern.fullmatch(found) is None:
            raise _unfit(where, f"text of the form {pattern.pattern}", found)
        if isinstance(rule, AtLeast) and found < rule.smallest:
            raise _unfit(where, f"at least {rule.smallest}", found)
        return found

    return reader


def _one_of(values: tuple[Any, ...]) -> Reader:
    def reader(value: Any, where: str) -> Any:
        if not any(value == known and type(value) is type(known) for known in values):
            raise _unfit(where, " or ".join(map(str, values)), value)
        return value

    return reader


def _many(arms: tuple[Any, ...]) -> Reader:
    endless = len(arms) == 2 and arms[1] is Ellipsis
    readers = [_reader(arm) for arm in arms if arm is not Ellipsis]

    def reader(value: Any, where: str) -> Any:
        if type(value) is not list or (not endless and len(value) != len(readers)):
            raise _unfit(where, "a list" if endless else f"a list of {len(readers)}", value)
        each = [readers[0]] * len(value) if endless else readers
        return tuple(
            one(item, f"{where}/{at}")
            for at, (one, item) in enumerate(zip(each, value, strict=True))
        )

    return reader


def _any_of(readers: list[Reader]) -> Reader:
    """Return a reader of the first kind that fits; where none does, it raises what the last one
    has against the value.
    """
    *others, last = readers

    def reader(value: Any, where: str) -> Any:
        for one in others:
            try:
                return one(value, where)
            except FormError:
                continue
        return last(value, where)

    return reader if others else last


def _maybe(inner: Reader) -> Reader:
    return lambda value, where: None if value is None else inner(value, where)


def _table(inner: Reader) -> Reader:
    def reader(value: Any, where: str) -> Any:
        if type(value) is not dict:
            raise _unfit(where, "a mapping", value)
        return MappingProxyType(
            {key: inner(member, f"{where}/{key}") for key, member in value.items()}
        )

    return reader


def _record(kind: Any) -> Reader:
    hints = get_type_hints(kind, include_extras=True)
    readers = {each.name: _reader(hints[each.name]) for each in dataclasses.fields(kind)}

    def reader(value: Any, where: str) -> Any:
        if type(value) is not dict:
            raise _unfit(where, "a mapping", value)
        missing, unknown = (
            sorted(readers.keys() - value.keys()),
            sorted(value.keys() - readers.keys()),
        )
        if missing:
            raise FormError(
                f"{where or 'the document'}: expected the key {missing[0]!r}, found none"
            )
        if unknown:
            raise FormError(
                f"{where or 'the document'}: expected no key {unknown[0][:80]!r}, found it"
            )
        return kind(**{name: one(value[name], f"{where}/{name}") for name, one in readers.items()})

    return reader


def _unfit(where: str, expected: str, found: object) -> FormError:
    shown = json.dumps(found, default=str)
    return FormError(f"{where or 'the document'}: expected {expected}, found {shown[:80]}")
