"""Read strict YAML from parser events into a value tree with places; nothing is ever constructed.

Refused, each with its place: duplicate keys, anchors, aliases, tags, merge keys, directives, a
second document, keys that are not text, nesting over 32, more than 64 KiB, invisible characters.
Scalars follow the core schema of YAML 1.2 (`no` is text, `010` is 10, no dates), limited to finite
numbers and integers that JSON keeps exactly. Does not know what a document is for.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import yaml

from factory.strict.source_text import DEPTH_LIMIT, decode_text, named, unseen_in
from factory.strict.values import (
    LARGEST_INTEGER,
    DocumentError,
    Place,
    Problem,
    StrictDocument,
    Value,
    child,
)

PARSER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MOST_PROBLEMS = 25  # more are likely to follow from the first ones

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEAN = {
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")


def parse(raw: bytes, parser: Any = PARSER) -> StrictDocument:
    """Read one YAML document; an empty one has the value None. Raise DocumentError and nothing
    else.

    `parser` is a PyYAML loader class, by default the one on libyaml if that is present.
    """
    text = decode_text(raw)
    reader = _TreeBuilder()
    try:
        for event in yaml.parse(text, Loader=parser):
            reader.take(event)
    except yaml.MarkedYAMLError as error:
        reader.problems.append(_syntax_problem(text, error, reader.last_bracket()))
    except yaml.YAMLError as error:  # characters that only PyYAML's reader refuses
        reader.problems.append(
            Problem(f"this is not YAML: {_one_line(str(error))}", hint="retype the line")
        )
    if reader.problems:
        raise DocumentError(*reader.problems)
    return StrictDocument(
        reader.root, MappingProxyType(reader.places), MappingProxyType(reader.keys)
    )


@dataclass(slots=True)
class _Open:
    """Describe a collection that is being read; `key` is the key of the next value, None if a key
    is next.

    `bracket` is the place of its opening bracket; None for one that is written by indentation.
    """

    pointer: str
    bracket: Place | None
    members: dict[str, Value] | None
    items: list[Value] = field(default_factory=list)
    key: str | None = None
    dropped: bool = False

    def next_pointer(self) -> str:
        return child(self.pointer, len(self.items) if self.members is None else self.key or "")

    def closed(self) -> Value:
        return tuple(self.items) if self.members is None else MappingProxyType(self.members)


class _TreeBuilder:
    """Build a tree from events. Collects problems after which reading can continue."""

    def __init__(self) -> None:
        self.root: Value = None
        self.places: dict[str, Place] = {"": (1, 1)}
        self.keys: dict[str, Place] = {}
        self.problems: list[Problem] = []
        self._open: list[_Open] = []
        self._documents = 0

    def take(self, event: Any) -> None:
        if isinstance(event, yaml.ScalarEvent):
            self._scalar(event)
        elif isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            self._start(event)
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            self._put(self._open.pop().closed())
        elif isinstance(event, yaml.AliasEvent):
            self._alias(event)
        elif isinstance(event, yaml.DocumentStartEvent):
            self._document(event)

    def _document(self, event: Any) -> None:
        self._documents += 1
        if self._documents > 1:
            self._stop("a second document starts here", _place(event), "keep one document a file")
        if event.version or event.tags:
            self._add("a directive (%YAML or %TAG) is not allowed", _place(event), "remove it")

    def _start(self, event: Any) -> None:
        self._refuse_properties(event)
        place = _place(event)
        if self._wants_key():
            self._stop("a key must be text, found a collection", place, "write a plain key")
        if len(self._open) >= DEPTH_LIMIT:
            self._stop(f"this is nested deeper than {DEPTH_LIMIT} levels", place, "flatten it")
        pointer = self._enter(place)
        members: dict[str, Value] | None = {} if isinstance(event, yaml.MappingStartEvent) else None
        self._open.append(_Open(pointer, place if event.flow_style else None, members))

    def _scalar(self, event: Any) -> None:
        self._refuse_properties(event)
        place = _place(event)
        value = self._resolved(event, place)
        if self._wants_key():
            self._key(event, value, place)
        else:
            self._enter(place)
            self._put(value)

    def _alias(self, event: Any) -> None:
        self._add(
            f"an alias (*{event.anchor}) is not allowed", _place(event), "write the value out"
        )
        if self._wants_key():
            raise DocumentError(*self.problems)
        self._put(None)

    def _key(self, event: Any, value: Value, place: Place) -> None:
        here = self._open[-1]
        if not isinstance(value, str):
            self._add(f"the key {_shown(event.value)} is not text", place, "put it in quotes")
        elif value == "<<" and event.implicit[0]:
            self._add("a merge key (<<) is not allowed", place, "write the keys out")
        here.key = value if isinstance(value, str) else event.value
        pointer = here.next_pointer()
        here.dropped = here.members is not None and here.key in here.members
        if here.dropped:
            first = self.keys[pointer][0]
            self._add(
                f"the key {_shown(here.key)} is given twice, first at line {first}",
                place,
                "keep one of them",
            )
        self.keys.setdefault(pointer, place)

    def _enter(self, place: Place) -> str:
        """Record the place of the next value; return its pointer."""
        if not self._open:
            self.places[""] = place
            return ""
        pointer = self._open[-1].next_pointer()
        self.places.setdefault(pointer, place)
        return pointer

    def _put(self, value: Value) -> None:
        if not self._open:
            self.root = value
            return
        here = self._open[-1]
        if here.members is None:
            here.items.append(value)
            return
        if not here.dropped and here.key is not None:
            here.members[here.key] = value
        here.key, here.dropped = None, False

    def last_bracket(self) -> Place | None:
        """Return the place of the innermost open bracket; None if there is none."""
        return next(
            (here.bracket for here in reversed(self._open) if here.bracket is not None), None
        )

    def _wants_key(self) -> bool:
        return (
            bool(self._open) and self._open[-1].members is not None and self._open[-1].key is None
        )

    def _refuse_properties(self, event: Any) -> None:
        if event.anchor is not None:
            self._add(
                f"an anchor (&{event.anchor}) is not allowed", _place(event), "write the value out"
            )
        if event.tag is not None:
            self._add(f"a tag ({_short_tag(event.tag)}) is not allowed", _place(event), "remove it")

    def _resolved(self, event: Any, place: Place) -> Value:
        text: str = event.value
        unseen = unseen_in(text)
        if unseen:
            self._add(f"the character {named(unseen)} is not allowed", place, "remove it")
            return ""
        if not event.implicit[0]:
            return text
        value, problem = plain_scalar(text)
        if problem:
            self._add(problem, place, "put it in quotes if it is text")
        return value

    def _add(self, problem: str, place: Place, hint: str) -> None:
        self.problems.append(Problem(problem, *place, hint))
        if len(self.problems) >= _MOST_PROBLEMS:
            raise DocumentError(*self.problems)

    def _stop(self, problem: str, place: Place, hint: str) -> None:
        raise DocumentError(*self.problems, Problem(problem, *place, hint))


def plain_scalar(text: str) -> tuple[None | bool | int | float | str, str]:
    """Return (value, problem) of an unquoted scalar under the 1.2 core schema; problem "" if it is
    fine.
    """
    if text in _NULL:
        return None, ""
    if text in _BOOLEAN:
        return _BOOLEAN[text], ""
    if _INTEGER.fullmatch(text):
        return _integer(text)
    if _FLOAT.fullmatch(text):
        number = float(text)
        return (
            (number, "")
            if math.isfinite(number)
            else (0.0, f"{_clipped(text)} is not a finite number")
        )
    if _NOT_FINITE.fullmatch(text):
        return 0.0, f"{text} is not a finite number"
    return text, ""


def _integer(text: str) -> tuple[int, str]:
    base = {"0o": 8, "0x": 16}.get(text[:2], 10)
    too_large = f"{_clipped(text)} is beyond ±{LARGEST_INTEGER}, where numbers stop being exact"
    digits = text.lstrip(
        "+-0xo"
    )  # without leading zeros, of which Python's own reading takes only some thousands
    if len(digits) > 20:
        return 0, too_large
    number = int(digits or "0", base) * (-1 if text.startswith("-") else 1)
    return (number, "") if abs(number) <= LARGEST_INTEGER else (0, too_large)


def _place(event: Any) -> Place:
    return event.start_mark.line + 1, event.start_mark.column + 1


def _short_tag(tag: str) -> str:
    return tag.replace("tag:yaml.org,2002:", "!!")


def _clipped(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "…"


def _shown(text: str) -> str:
    return f'"{_clipped(_one_line(text))}"'


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _syntax_problem(text: str, error: yaml.MarkedYAMLError, bracket: Place | None) -> Problem:
    """Return a problem worded the same for both parsers; `bracket` is the last one left open."""
    mark = error.problem_mark or error.context_mark
    if mark is None:
        return Problem("this is not YAML", hint="check quotes, brackets and indentation")
    lines = text.split("\n")
    if mark.line >= len(lines) - 1 and not lines[-1][mark.column :].strip():
        opened = error.context_mark
        quote = (
            (opened.line + 1, opened.column + 1) if opened and opened.line < mark.line else bracket
        )
        if quote is not None:
            return Problem(
                "what starts here is never closed", *quote, "add the closing quote or bracket"
            )
    line = lines[mark.line] if mark.line < len(lines) else ""
    character = line[mark.column : mark.column + 1]
    place = mark.line + 1, mark.column + 1
    if character == "\t":
        return Problem("a tab is not allowed here", *place, "indent with spaces")
    if character in {"@", "`", "%"}:
        return Problem(f"unquoted text cannot start with {character}", *place, "put it in quotes")
    return Problem(
        "this is not YAML", *place, "check quotes, brackets, colons and indentation here and above"
    )
