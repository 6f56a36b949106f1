"""Find the places of keys and values in a TOML source.

A scanner, not a judge: it follows well-formed TOML and stops at the first thing that it cannot
follow, which `tomllib` then names. Only duplicate keys and depth are reported here, since only the
scan knows their places.
"""

from __future__ import annotations

import bisect
import contextlib
import re
import tomllib
from dataclasses import dataclass, field

from factory.strict.source_text import DEPTH_LIMIT
from factory.strict.values import Place, Problem, child

_BLANK = re.compile(r"[ \t]*")
_BLANKS = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_QUOTED = re.compile(r'"(?:[^"\\\n]|\\[^\n])*"|\'[^\'\n]*\'')
_MULTILINE = re.compile(
    r'"""(?:[^"\\]|\\.|"(?!""))*""""{0,2}|\'\'\'(?:[^\']|\'(?!\'\'))*\'\'\'\'{0,2}', re.DOTALL
)
_BARE_VALUE = re.compile(r"[^\s,\]}#\"'\[{][^,\]}#\n]*")


class ScanStopped(Exception):
    """Report that the scan cannot follow the source any further."""


@dataclass(slots=True)
class Scanned:
    """Collect what a scan found: places by JSON pointer, and problems that only the scan can
    place.
    """

    places: dict[str, Place] = field(default_factory=lambda: {"": (1, 1)})
    keys: dict[str, Place] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def scan(text: str) -> Scanned:
    """Scan `text` as far as it can be followed. Raise nothing."""
    scanner = _Scanner(text)
    with contextlib.suppress(ScanStopped):  # what cannot be followed is for tomllib to name
        scanner.document()
    return scanner.seen


@dataclass(slots=True)
class _Key:
    name: str
    place: Place


class _Scanner:
    def __init__(self, text: str) -> None:
        self.seen = Scanned()
        self._text = text
        self._at = 0
        self._line_starts = [0, *(found.end() for found in re.finditer("\n", text))]
        self._assigned: set[str] = set()
        self._counts: dict[str, int] = {}

    def document(self) -> None:
        table, depth = "", 0
        self._take(_BLANKS)
        while self._at < len(self._text):
            if self._text.startswith("[", self._at):
                table, depth = self._header()
            else:
                self._assignment(table, depth)
            self._take(_BLANKS)

    def _header(self) -> tuple[str, int]:
        place = self._place()
        many = self._text.startswith("[[", self._at)
        self._at += 2 if many else 1
        keys = self._dotted_key()
        self._expect("]]" if many else "]")
        parent = self._descend("", keys[:-1], place)
        pointer = child(parent, keys[-1].name)
        self.seen.keys.setdefault(pointer, keys[-1].place)
        if not many:
            pointer = self._last_of(pointer)
            self._assign(pointer, keys[-1])
            self.seen.places.setdefault(pointer, place)
            return pointer, len(keys)
        self.seen.places.setdefault(pointer, place)
        index = self._counts.get(pointer, 0)
        self._counts[pointer] = index + 1
        item = child(pointer, index)
        self.seen.places.setdefault(item, place)
        return item, len(keys) + 1

    def _assignment(self, table: str, depth: int) -> None:
        keys = self._dotted_key()
        self._expect("=")
        self._take(_BLANK)
        self._bound(depth + len(keys))
        parent = self._descend(table, keys[:-1], keys[0].place)
        pointer = child(parent, keys[-1].name)
        self.seen.keys.setdefault(pointer, keys[-1].place)
        self._assign(pointer, keys[-1])
        self._value(pointer, depth + len(keys))

    def _value(self, pointer: str, depth: int) -> None:
        self.seen.places.setdefault(pointer, self._place())
        for quoted in (_MULTILINE, _QUOTED):
            found = quoted.match(self._text, self._at)
            if found:
                self._at = found.end()
                return
        if self._text.startswith("[", self._at):
            self._array(pointer, depth + 1)
        elif self._text.startswith("{", self._at):
            self._inline_table(pointer, depth + 1)
        else:
            self._take(_BARE_VALUE)

    def _array(self, pointer: str, depth: int) -> None:
        self._bound(depth)
        self._at += 1
        index = 0
        self._take(_BLANKS)
        while not self._text.startswith("]", self._at):
            self._value(child(pointer, index), depth)
            index += 1
            self._comma("]")
        self._at += 1

    def _inline_table(self, pointer: str, depth: int) -> None:
        self._bound(depth)
        self._at += 1
        self._take(_BLANKS)
        while not self._text.startswith("}", self._at):
            self._assignment(pointer, depth)
            self._comma("}")
        self._at += 1

    def _comma(self, closing: str) -> None:
        self._take(_BLANKS)
        if self._text.startswith(",", self._at):
            self._at += 1
            self._take(_BLANKS)
        elif not self._text.startswith(closing, self._at):
            raise ScanStopped

    def _dotted_key(self) -> list[_Key]:
        keys = [self._one_key()]
        while self._text.startswith(".", self._at):
            self._at += 1
            keys.append(self._one_key())
            self._bound(len(keys))
        return keys

    def _one_key(self) -> _Key:
        self._take(_BLANK)
        place = self._place()
        quoted = _QUOTED.match(self._text, self._at)
        if quoted:
            self._at = quoted.end()
            name = _unquoted(quoted[0])
        else:
            name = self._take(_BARE_KEY)
        self._take(_BLANK)
        return _Key(name, place)

    def _descend(self, pointer: str, keys: list[_Key], place: Place) -> str:
        for key in keys:
            pointer = child(pointer, key.name)
            self.seen.keys.setdefault(pointer, key.place)
            self.seen.places.setdefault(pointer, place)
            pointer = self._last_of(pointer)
        return pointer

    def _last_of(self, pointer: str) -> str:
        """Return the last table of `pointer` if it is an array of tables, otherwise `pointer`."""
        count = self._counts.get(pointer, 0)
        return child(pointer, count - 1) if count else pointer

    def _assign(self, pointer: str, key: _Key) -> None:
        if pointer in self._assigned:
            first = self.seen.keys[pointer][0] if pointer in self.seen.keys else 0
            sentence = f'the key "{key.name}" is given twice, first at line {first}'
            self.seen.problems.append(Problem(sentence, *key.place, "keep one of them"))
        self._assigned.add(pointer)

    def _bound(self, depth: int) -> None:
        if depth > DEPTH_LIMIT:
            sentence = f"this is nested deeper than {DEPTH_LIMIT} levels"
            self.seen.problems.append(Problem(sentence, *self._place(), "flatten it"))
            raise ScanStopped

    def _expect(self, token: str) -> None:
        if not self._text.startswith(token, self._at):
            raise ScanStopped
        self._at += len(token)

    def _take(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self._text, self._at)
        if not found:
            raise ScanStopped
        self._at = found.end()
        return found[0]

    def _place(self) -> Place:
        line = bisect.bisect_right(self._line_starts, self._at)
        return line, self._at - self._line_starts[line - 1] + 1


def _unquoted(key: str) -> str:
    """Return the name that a quoted key means. Raise Unreadable."""
    try:
        (name,) = tomllib.loads(f"{key} = 0")
    except (tomllib.TOMLDecodeError, ValueError):
        raise ScanStopped from None
    return name
