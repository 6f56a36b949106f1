"""Check values of the types that documents have: one check a type, which returns or raises.

A type may be marked (`Annotated`) with bounds of a field, with functions that read or judge the
value, and with a schema. Does not know documents but by their `model_validate`.
"""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Union

Place = tuple[str | int, ...]
Check = Callable[[Any], Any]
ABSENT: Any = object()


class Objection(NamedTuple):
    """Describe one mismatch: its kind, its place from the top, and what a sentence about it needs.

    Kinds and messages are those of pydantic.
    """

    kind: str
    place: Place
    context: Mapping[str, Any]

    @property
    def message(self) -> str:
        """Return the objection as a clause."""
        return _MESSAGES[self.kind].format_map(self.context)


class Mismatch(ValueError):
    """Report every place where a value is not what its document demands."""

    def __init__(self, *objections: Objection) -> None:
        first = objections[0]
        place = "/".join(map(str, first.place)) or "the document"
        super().__init__(f"{place}: {first.message}")
        self.objections = objections

    @classmethod
    def of(cls, kind: str, **context: Any) -> Mismatch:
        """Return one objection to the value itself."""
        return cls(Objection(kind, (), context))

    def below(self, *place: str | int) -> Iterator[Objection]:
        """Yield the objections, seen from where the value is at `place`."""
        return (it._replace(place=(*place, *it.place)) for it in self.objections)


_MESSAGES = {
    "missing": "Field required",
    "extra_forbidden": "Extra inputs are not permitted",
    "string_type": "Input should be a valid string",
    "int_type": "Input should be a valid integer",
    "bool_type": "Input should be a valid boolean",
    "none_required": "Input should be None",
    "tuple_type": "Input should be a valid tuple",
    "dict_type": "Input should be a valid dictionary",
    "mapping_type": "Input should be a valid mapping",
    "model_type": "Input should be a valid dictionary",
    "union": "Input should be one of: {expected}",
    "length": "Tuple should have {expected} items",
    "literal_error": "Input should be {expected}",
    "greater_than_equal": "Input should be greater than or equal to {ge}",
    "less_than_equal": "Input should be less than or equal to {le}",
    "string_pattern_mismatch": "String should match pattern '{pattern}'",
    "too_long": "Input should have at most {max_length} items or characters",
    "unfit": "{problem}",
    "unexpected": "expected {wanted}",
}


@dataclass(frozen=True, slots=True, eq=False)
class FieldRule:
    """Describe one field: its default, what people read about it, and bounds of its value."""

    default: Any = ABSENT
    default_factory: Callable[[], Any] | None = None
    annotation: Any = None
    alias: str = ""
    description: str = ""
    ge: int | None = None
    le: int | None = None
    pattern: str | None = None
    max_length: int | None = None
    json_schema_extra: Mapping[str, Any] | None = None

    @property
    def required(self) -> bool:
        """Return whether the field has no default."""
        return self.default is ABSENT and self.default_factory is None

    def value(self) -> Any:
        """Return the default; a fresh one where it could be changed."""
        if self.default_factory is not None:
            return self.default_factory()
        return dict(self.default) if isinstance(self.default, dict) else self.default


def Field(default: Any = ABSENT, **given: Any) -> Any:  # noqa: N802  named as pydantic's
    """Return what is known of a field besides its type: a FieldRule of `default` or
    `default_factory`, `alias`, `description`, and the bounds `ge`, `le`, `pattern` (of the whole
    text), `max_length`.
    """
    return FieldRule(default, **given)


@dataclass(frozen=True, slots=True, eq=False)
class BeforeValidator:
    """Let a function read a value before its type is checked; it raises Mismatch."""

    func: Check
    json_schema_input_type: Any = ABSENT


@dataclass(frozen=True, slots=True, eq=False)
class AfterValidator:
    """Let a function judge or replace a value of the right type; it raises Mismatch."""

    func: Check


@dataclass(frozen=True, slots=True, eq=False)
class WithJsonSchema:
    """Give the schema of a type; checks nothing."""

    json_schema: Mapping[str, Any]


def check_of(hint: Any) -> Check:
    """Return the check of a type: it returns a value of this type or raises Mismatch.

    Raise TypeError for a type that no document has.
    """
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is None and hint in _SCALARS:
        return _SCALARS[hint]
    if origin is None and hasattr(hint, "model_validate"):
        return typing.cast("Check", hint.model_validate)
    if origin is typing.Annotated:
        return _annotated(check_of(arguments[0]), arguments[1:])
    if origin is Literal:
        return _one_of(arguments)
    if origin in (Union, types.UnionType):
        return _any_of(arguments)
    if origin is tuple:
        items = arguments[0] if arguments[-1] is ... else None
        return _fixed(tuple(map(check_of, arguments))) if items is None else _each(check_of(items))
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        kind = "dict_type" if origin is dict else "mapping_type"
        return _mapping(origin, kind, check_of(arguments[0]), check_of(arguments[1]))
    raise TypeError(f"expected a type that documents have, found {hint!r}")


def _exactly(kind: str, wanted: type, unwanted: type | None = None) -> Check:
    def check(value: Any) -> Any:
        if isinstance(value, wanted) and not (unwanted and isinstance(value, unwanted)):
            return value
        raise Mismatch.of(kind)

    return check


_SCALARS: dict[Any, Check] = {
    str: _exactly("string_type", str),
    int: _exactly("int_type", int, bool),
    bool: _exactly("bool_type", bool),
    type(None): _exactly("none_required", type(None)),
    object: lambda value: value,
}


def _annotated(check: Check, marks: tuple[Any, ...]) -> Check:
    """Return a check with its marks: readers from the last to the first, the type, then bounds and
    judges in order.
    """
    before = [mark.func for mark in reversed(marks) if isinstance(mark, BeforeValidator)]
    after = [step for mark in marks for step in _steps(mark)]

    def whole(value: Any) -> Any:
        for read in before:
            value = read(value)
        value = check(value)
        for judge in after:
            value = judge(value)
        return value

    return whole


def _steps(mark: Any) -> Iterator[Check]:
    if isinstance(mark, AfterValidator):
        yield mark.func
    if isinstance(mark, FieldRule):
        if mark.pattern is not None:
            yield _matches(mark.pattern)
        if mark.ge is not None:
            yield _bound("greater_than_equal", "ge", mark.ge, lambda value, ge: value >= ge)
        if mark.le is not None:
            yield _bound("less_than_equal", "le", mark.le, lambda value, le: value <= le)
        if mark.max_length is not None:
            most = mark.max_length
            yield _bound("too_long", "max_length", most, lambda value, most: len(value) <= most)


def _bound(kind: str, name: str, bound: int, keeps: Callable[[Any, int], bool]) -> Check:
    def judge(value: Any) -> Any:
        if keeps(value, bound):
            return value
        raise Mismatch.of(kind, **{name: bound})

    return judge


def _matches(pattern: str) -> Check:
    whole = re.compile(pattern)

    def judge(text: str) -> str:
        if whole.fullmatch(text):  # `$` alone would let a final newline pass
            return text
        raise Mismatch.of("string_pattern_mismatch", pattern=pattern)

    return judge


def _one_of(options: tuple[Any, ...]) -> Check:
    by_type = {(type(option), option): option for option in options}
    shown = [repr(option) for option in options]
    expected = " or ".join([*([", ".join(shown[:-1])] if shown[1:] else []), shown[-1]])

    def check(value: Any) -> Any:
        kind = str if isinstance(value, str) else type(value)
        try:
            return by_type[kind, value]  # by type, since True == 1
        except (KeyError, TypeError):
            raise Mismatch.of("literal_error", expected=expected) from None

    return check


def _any_of(hints: tuple[Any, ...]) -> Check:
    """Return the check of a union. Of one type or None, report what that type reports."""
    checks = tuple(map(check_of, hints))
    rest = [check for check, hint in zip(checks, hints, strict=True) if hint is not type(None)]
    expected = ", ".join(getattr(hint, "__name__", str(hint)) for hint in hints)

    def check(value: Any) -> Any:
        if len(rest) == 1 and len(checks) == 2:
            return None if value is None else rest[0](value)
        for one in checks:
            try:
                return one(value)
            except Mismatch:
                continue
        raise Mismatch.of("union", expected=expected)

    return check


def _each(check: Check) -> Check:
    def whole(value: Any) -> Any:
        if not isinstance(value, tuple):
            raise Mismatch.of("tuple_type")
        try:
            return tuple(map(check, value))
        except Mismatch:
            raise Mismatch(*_objections(enumerate(value), check)) from None

    return whole


def _fixed(checks: tuple[Check, ...]) -> Check:
    def whole(value: Any) -> Any:
        if not isinstance(value, tuple):
            raise Mismatch.of("tuple_type")
        if len(value) != len(checks):
            raise Mismatch.of("length", expected=len(checks))
        return tuple(_at(place, checks[place], item) for place, item in enumerate(value))

    return whole


def _at(place: int, check: Check, item: Any) -> Any:
    try:
        return check(item)
    except Mismatch as error:
        raise Mismatch(*error.below(place)) from None


def _objections(items: Iterator[tuple[Any, Any]], check: Check) -> Iterator[Objection]:
    for place, item in items:
        try:
            check(item)
        except Mismatch as error:
            yield from error.below(place)


def _mapping(
    origin: type[Mapping[Any, Any]], kind: str, check_key: Check, check_member: Check
) -> Check:
    def whole(value: Any) -> Any:
        if not isinstance(value, origin):
            raise Mismatch.of(kind)
        found: dict[Any, Any] = {}
        objections: list[Objection] = []
        for key, member in value.items():
            try:
                name = check_key(key)
            except Mismatch as error:
                objections += error.below(key, "[key]")
                continue
            try:
                found[name] = check_member(member)
            except Mismatch as error:
                objections += error.below(key)
        if objections:
            raise Mismatch(*objections)
        return found

    return whole
