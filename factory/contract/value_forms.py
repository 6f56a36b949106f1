"""Define the forms of values that settings take: how one is read from a document or from text, and
the JSON schema that says the same.

Pure. Does not know which settings there are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from factory.model import forms
from factory.model.wording import found, quoted
from factory.strict.values import Value


class Unfit(Exception):
    """Report a value that a setting does not take: one clause, what to do, and the item's index in
    a list.
    """

    def __init__(self, clause: str, hint: str, item: int | None = None) -> None:
        super().__init__(clause)
        self.clause, self.hint, self.item = clause, hint, item


@dataclass(frozen=True, slots=True, eq=False)
class ValueForm:
    """Describe the values that a setting takes.

    `read` turns a document's value into what Config contains, or raises Unfit; `schema` says the
    same as a JSON schema, as far as one can. Where a variable or a flag gives the value as text, a
    list is separated by commas.
    """

    read: Callable[[Value], object]
    schema: Mapping[str, Any]

    def parse_text(self, text: str) -> object:
        """Return the value of a variable or flag. Raise Unfit."""
        if self._takes("array"):
            return self.read(tuple(item.strip() for item in text.split(",") if item.strip()))
        if self._takes("integer") and re.fullmatch(r"[0-9]{1,17}", text):
            return self.read(int(text))
        if self._takes("boolean") and text in ("true", "false"):
            return self.read(text == "true")
        return self.read(text)

    def _takes(self, kind: str) -> bool:
        return any(arm.get("type") == kind for arm in self.schema.get("anyOf", (self.schema,)))


def text_form(form: str, clause: str, hint: str) -> ValueForm:
    """Return the form of text that matches `form` whole."""
    expression = re.compile(form)

    def read(value: Value) -> object:
        if not isinstance(value, str):
            raise Unfit(f"expected text, found {found(value)}", "put it in quotes")
        if not expression.fullmatch(value):
            raise Unfit(f"{quoted(value)} {clause}", hint)
        return value

    return ValueForm(read, matching(form))


def matching(form: str) -> Mapping[str, Any]:
    """Return the schema of text that matches `form` whole."""
    return {"type": "string", "pattern": forms.anchored(form)}


def whole_number(least: int, most: int) -> ValueForm:
    """Return the form of a whole number between two bounds."""

    def read(value: Value) -> object:
        if not isinstance(value, int) or isinstance(value, bool):
            raise Unfit(
                f"expected a whole number, found {found(value)}",
                "write digits, without quotes or fraction",
            )
        return _bounded(value, least, most)

    return ValueForm(read, _between(least, most))


def _between(least: int, most: int) -> Mapping[str, Any]:
    return {"type": "integer", "minimum": least, "maximum": most}


def measure(
    parse: Callable[[str], int | None],
    form: str,
    most: int,
    wanted: str,
    hint: str,
    least: int = 1,
) -> ValueForm:
    """Return the form of a number that may be text with a unit, which `parse` reads."""

    def read(value: Value) -> object:
        number = parse(value) if isinstance(value, str) else value
        if not isinstance(number, int) or isinstance(number, bool):
            raise Unfit(f"expected {wanted}, found {found(value)}", hint)
        return _bounded(number, least, most)

    return ValueForm(read, {"anyOf": [_between(least, most), matching(form)]})


def _bounded(number: int, least: int, most: int) -> int:
    if number < least:
        raise Unfit(
            f"expected at least {least}, found the number {number}", f"write at least {least}"
        )
    if number > most:
        raise Unfit(f"expected at most {most}, found the number {number}", f"write at most {most}")
    return number


def choice(choices: type[Enum]) -> ValueForm:
    """Return the form of a member of an enumeration, by its value."""
    name = one_of(tuple(choice.value for choice in choices))
    return ValueForm(lambda value: choices(name.read(value)), name.schema)


def one_of(names: tuple[str, ...]) -> ValueForm:
    """Return the form of one of several words."""
    wanted = " or ".join(quoted(name) for name in names)

    def read(value: Value) -> object:
        if value not in names:
            raise Unfit(f"expected {wanted}, found {found(value)}", f"write {wanted}")
        return value

    return ValueForm(read, {"type": "string", "enum": list(names)})


def true_or_false(value: Value) -> object:
    """Return a truth value. Raise Unfit for anything else."""
    if not isinstance(value, bool):
        raise Unfit(f"expected true or false, found {found(value)}", "write true or false")
    return value


def many(read_one: Callable[[str], object], one: Mapping[str, Any]) -> ValueForm:
    """Return the form of a list; `one` is the schema of an item."""

    def read(value: Value) -> object:
        if not isinstance(value, tuple):
            raise Unfit(f"expected a list, found {found(value)}", "write [...]")
        return tuple(_item(read_one, index, item) for index, item in enumerate(value))

    return ValueForm(read, {"type": "array", "items": one})


def _item(read_one: Callable[[str], object], index: int, item: Value) -> object:
    if not isinstance(item, str):
        raise Unfit(f"expected text, found {found(item)}", "put it in quotes", index)
    try:
        return read_one(item)
    except Unfit as error:
        raise Unfit(error.clause, error.hint, index) from None


def sound(text: str, problem_with: Callable[[str], str]) -> str:
    """Return text in which `problem_with` finds no problem. Raise Unfit."""
    clause, _, hint = problem_with(text).partition("; ")
    if clause:
        raise Unfit(f"{quoted(text)} {clause}", hint)
    return text
