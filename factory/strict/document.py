"""Define documents: frozen values whose fields are checked whenever one is made or read.

A class names its fields by annotations, in the words of pydantic (`Field`, `BeforeValidator`, …),
which prints their schemas (`contract.schemas`) and is a second opinion in tests. It is not loaded
here: building its models took a third of a small run's time. What a class demands is worked out
when it is first used, so that importing it costs next to nothing.

    >>> class Point(Document):
    ...     x: int
    ...     label: str = ""
    >>> Point(x=1)
    Point(x=1, label='')
    >>> Point.model_validate({"x": True, "z": 2})
    Traceback (most recent call last):
    factory.strict.document.Mismatch: x: Input should be a valid integer

Strict: no value is converted; unknown keys, wrong types and lists in place of tuples are errors,
and all of them are reported at once. Does not know where a document was read from.
"""

from __future__ import annotations

import inspect
import json
import re
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, NamedTuple, Union, dataclass_transform

from factory.strict.values import DocumentError, Problem

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


class _Form(NamedTuple):
    """Contain what a class demands: per field its name, key, check and description; all keys."""

    rows: tuple[tuple[str, str, Check, FieldRule], ...]
    keys: frozenset[str]
    fields: Mapping[str, FieldRule]


class _Fields:
    """Read the fields of a class by name: `Some.model_fields`."""

    def __get__(self, _: object, owner: type[Document]) -> Mapping[str, FieldRule]:
        return _form_of(owner).fields


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(Field,))
class Document:
    """Define a frozen, strict document: unknown keys and wrong types are errors.

    Keywords of a subclass: `keeps_unknown` keeps unknown keys as `model_extra`; `alias` makes the
    key of a field from its name, and both are read; `schema` completes the printed schema.
    """

    __slots__ = ("__dict__", "__weakref__", "_extra", "_given")
    model_fields: ClassVar[Any] = _Fields()
    model_keeps_unknown: ClassVar[bool] = False
    model_alias: ClassVar[Callable[[str], str] | None] = None
    model_schema: ClassVar[Callable[[dict[str, Any]], None] | None] = None

    def __init_subclass__(
        cls,
        *,
        keeps_unknown: bool | None = None,
        alias: Callable[[str], str] | None = None,
        schema: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        if keeps_unknown is not None:
            cls.model_keeps_unknown = keeps_unknown
        if alias is not None:
            cls.model_alias = staticmethod(alias)
        if schema is not None:
            cls.model_schema = staticmethod(schema)

    def __init__(self, /, **values: Any) -> None:
        """Raise Mismatch, with every objection."""
        form = _form_of(type(self))
        found: dict[str, Any] = {}
        objections: list[Objection] = []
        for name, key, check, field in form.rows:
            value = values.get(key, ABSENT)
            if value is ABSENT:
                value = values.get(name, ABSENT)
            if value is not ABSENT:
                try:
                    found[name] = check(value)
                except Mismatch as error:
                    objections += error.below(key)
            elif field.required:
                objections.append(Objection("missing", (key,), {}))
            else:
                found[name] = field.value()
        extra = {key: values[key] for key in values if key not in form.keys}
        if extra and not self.model_keeps_unknown:
            objections += (Objection("extra_forbidden", (key,), {}) for key in extra)
        if objections:
            raise Mismatch(*objections)
        self.__setstate__((found, frozenset(values), extra))

    # ── reading ──────────────────────────────────────────────────────────────

    @classmethod
    def model_validate(cls, value: Any) -> typing.Self:
        """Return `value` (a tree of dicts, tuples and scalars) as this document. Raise Mismatch."""
        if isinstance(value, cls):
            return value
        if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
            raise Mismatch.of("model_type")
        return cls(**value)

    @classmethod
    def model_validate_json(cls, content: bytes | str) -> typing.Self:
        """Return JSON as this document. Raise Mismatch, DocumentError for what is no JSON."""
        try:
            value = json.loads(content)
        except ValueError as error:
            raise DocumentError(Problem(f"this is not JSON: {error}")) from None
        return cls.model_validate(with_tuples(value))

    # ── writing ──────────────────────────────────────────────────────────────

    def model_dump(
        self, *, mode: Literal["json"] = "json", exclude: frozenset[str] | set[str] = frozenset()
    ) -> dict[str, Any]:
        """Return the tree of dicts, lists and scalars that is printed, without fields `exclude`."""
        del mode  # there is one form only
        return {name: _plain(value) for name, value in self.__dict__.items() if name not in exclude}

    def model_copy(self, *, update: Mapping[str, Any]) -> typing.Self:
        """Return this document with other values, which are not checked: a forger's tool too."""
        return self.model_construct(**{**self.__dict__, **update})

    @classmethod
    def model_construct(cls, **values: Any) -> typing.Self:
        """Return a document of values that are not checked; absent ones are the defaults."""
        made = object.__new__(cls)
        fields = _form_of(cls).fields.items()
        rest = {name: field.value() for name, field in fields if not field.required}
        ordered = {name: {**rest, **values}[name] for name, _ in fields if name in rest | values}
        made.__setstate__((ordered, frozenset(values), {}))
        return made

    @property
    def model_fields_set(self) -> frozenset[str]:
        """Return the keys that were given, not taken from defaults."""
        return self._given  # type: ignore[no-any-return, attr-defined]

    @property
    def model_extra(self) -> Mapping[str, Any]:
        """Return unknown keys that were kept."""
        return self._extra  # type: ignore[no-any-return, attr-defined]

    # ── as a value ───────────────────────────────────────────────────────────

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen: {name} cannot be set")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen: {name} cannot be removed")

    def __getstate__(self) -> Any:
        return self.__dict__, self.model_fields_set, self.model_extra

    def __setstate__(self, state: tuple[dict[str, Any], frozenset[str], dict[str, Any]]) -> None:
        for name, value in zip(("__dict__", "_given", "_extra"), state, strict=True):
            object.__setattr__(self, name, value)

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self.__dict__ == other.__dict__ and self.model_extra == other.model_extra

    def __hash__(self) -> int:
        return hash((type(self), *self.__dict__.values()))

    def __repr__(self) -> str:
        members = ", ".join(f"{name}={value!r}" for name, value in self.__dict__.items())
        return f"{type(self).__name__}({members})"


def with_tuples(value: Any) -> Any:
    """Return the same tree with tuples in place of lists."""
    if isinstance(value, dict):
        return {key: with_tuples(member) for key, member in value.items()}
    return tuple(map(with_tuples, value)) if isinstance(value, list) else value


def _plain(value: Any) -> Any:
    if isinstance(value, (str, int, type(None))):
        return value
    if isinstance(value, Document):
        return value.model_dump()
    if isinstance(value, Mapping):
        return {key: _plain(member) for key, member in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


# ── what a class demands ─────────────────────────────────────────────────────

_FORMS: dict[type[Document], _Form] = {}


def _form_of(cls: type[Document]) -> _Form:
    """Return what a class demands, worked out once. Two threads may do it at once: it is a
    value.
    """
    found = _FORMS.get(cls)
    if found is None:
        hints = _hints_of(cls)
        fields = {
            name: _field(cls, name, hint)
            for name, hint in hints.items()
            if typing.get_origin(hint) is not ClassVar
        }
        rows = tuple(
            (name, field.alias, check_of(field.annotation), field) for name, field in fields.items()
        )
        keys = frozenset(key for row in rows for key in row[:2])
        found = _FORMS[cls] = _Form(rows, keys, types.MappingProxyType(fields))
    return found


def _hints_of(cls: type[Document]) -> dict[str, Any]:
    """Return the annotations of a class and its bases. Those written as text are evaluated, which
    takes a millisecond a class: modules of many documents go without `annotations` of
    `__future__`.
    """
    found: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        if base is not Document:
            found |= inspect.get_annotations(base)
    if any(isinstance(hint, str) for hint in found.values()):
        return typing.get_type_hints(cls, include_extras=True)
    return found


def _field(cls: type[Document], name: str, hint: Any) -> FieldRule:
    """Return the description of a field from its class attribute and its annotation."""
    given = getattr(cls, name, ABSENT)
    field = given if isinstance(given, FieldRule) else FieldRule(given)
    alias = field.alias or (cls.model_alias(name) if cls.model_alias is not None else name)
    return replace(field, annotation=hint, alias=alias)


def check_of(hint: Any) -> Check:
    """Return the check of a type: it returns a value of this type or raises Mismatch.

    Raise TypeError for a type that no document has.
    """
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is None and hint in _SCALARS:
        return _SCALARS[hint]
    if origin is None and isinstance(hint, type) and issubclass(hint, Document):
        return hint.model_validate
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
