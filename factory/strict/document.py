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
    factory.strict.field_types.Mismatch: x: Input should be a valid integer

Strict: no value is converted; unknown keys, wrong types and lists in place of tuples are errors,
and all of them are reported at once. Does not know where a document was read from.
"""

from __future__ import annotations

import inspect
import json
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, ClassVar, Literal, NamedTuple, dataclass_transform

from factory.strict.field_types import (
    ABSENT,
    AfterValidator,
    BeforeValidator,
    Check,
    Field,
    FieldRule,
    Mismatch,
    Objection,
    WithJsonSchema,
    check_of,
)
from factory.strict.values import DocumentError, Problem

__all__ = [
    "AfterValidator",
    "BeforeValidator",
    "Document",
    "Field",
    "FieldRule",
    "Mismatch",
    "Objection",
    "WithJsonSchema",
    "with_tuples",
]


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
