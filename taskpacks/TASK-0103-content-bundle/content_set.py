"""A content set as frozen values, read strictly from the bytes of its files.

Rule: all that is malformed is named at once, with file and id, and then there is no set. Does not
know what is balanced, nor where files are.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

_ID = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class Item:
    """Something a player can carry; `value` in cogs."""

    id: str
    name: str
    kind: str
    rarity: str
    value: int
    weight: int
    file: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One outcome of a roll: an item, or a whole table (the other name is empty)."""

    item: str
    table: str
    weight: int


@dataclass(frozen=True, slots=True)
class Table:
    """A loot table: `rolls` times one of `entries` by weight."""

    id: str
    rolls: int
    entries: tuple[Entry, ...]
    file: str


@dataclass(frozen=True, slots=True)
class Exit:
    """A way to another level; `needs` is the id of a key, or empty."""

    to: str
    needs: str


@dataclass(frozen=True, slots=True)
class Level:
    """A level; chests and exits in the reading order of the map's `$` and `>`."""

    id: str
    name: str
    order: int
    difficulty: int
    chests: tuple[str, ...]
    exits: tuple[Exit, ...]
    map: tuple[str, ...]
    file: str


@dataclass(frozen=True, slots=True)
class Rarity:
    """Least and most value of an item, and the most percent of rolls that may yield the rarity."""

    value: tuple[int, int]
    percent: int


@dataclass(frozen=True, slots=True)
class Rules:
    """The balance; `worth` maps a difficulty to the least and most expected value of a level."""

    first_level: str
    kinds: frozenset[str]
    rarities: Mapping[str, Rarity]
    largest: tuple[int, int]
    worth: Mapping[int, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class ContentSet:
    """Everything there is, by id."""

    rules: Rules
    items: Mapping[str, Item]
    tables: Mapping[str, Table]
    levels: Mapping[str, Level]


class Malformed(Exception):
    """Why there is no content set, one sentence each."""

    def __init__(self, sentences: Iterable[str]) -> None:
        self.sentences = tuple(sentences)
        super().__init__("\n".join(self.sentences))


@dataclass(slots=True)
class _Part:
    """A mapping that is read key by key; what is wrong with it is collected."""

    where: str
    values: Mapping[str, Any]
    problems: list[str]
    read: set[str] = field(default_factory=set)

    def take(self, key: str, kind: type, default: Any = None) -> Any:
        """The value of a key; the default, or an empty value and a problem, where it is absent or
        of another type.
        """
        self.read.add(key)
        value = self.values.get(key, default)
        if isinstance(value, kind) and not (kind is int and isinstance(value, bool)):
            return value
        found = "nothing" if value is None else repr(value)
        self.problems.append(f"{self.where}: {key}: expected {kind.__name__}, found {found}")
        return kind()

    def words(self, key: str) -> tuple[str, ...]:
        """A list of texts."""
        values = self.take(key, list)
        if not all(isinstance(value, str) for value in values):
            self.problems.append(f"{self.where}: {key}: expected only texts")
            return ()
        return tuple(values)

    def pair(self, key: str) -> tuple[int, int]:
        """Two whole numbers, the smaller first."""
        values = self.take(key, list)
        if (
            len(values) == 2
            and all(type(value) is int for value in values)
            and values[0] <= values[1]
        ):
            return values[0], values[1]
        self.problems.append(
            f"{self.where}: {key}: expected two whole numbers, the smaller first, found {values}"
        )
        return 0, 0

    def parts(self, key: str) -> list[_Part]:
        """A list of mappings."""
        return [
            self._part(f"{self.where}: {key} {number}", one)
            for number, one in enumerate(self.take(key, list), 1)
        ]

    def part(self, key: str) -> _Part:
        """A mapping inside."""
        return self._part(f"{self.where}: {key}", self.take(key, dict))

    def _part(self, where: str, values: object) -> _Part:
        if not isinstance(values, dict):
            self.problems.append(f"{where}: expected a table, found {values!r}")
            values = {}
        return _Part(where, values, self.problems)

    def close(self) -> None:
        """Name what nobody asked for."""
        self.problems += [
            f"{self.where}: unknown key {key!r}" for key in self.values if key not in self.read
        ]


def parse(files: Mapping[str, bytes]) -> ContentSet:
    """The content set from its TOML files by path below `content/`. Raises Malformed."""
    problems: list[str] = []
    parts = {
        path: _Part(path, _toml(path, content, problems), problems)
        for path, content in sorted(files.items())
    }
    rules = _rules(parts.pop("rules.toml", _Part("rules.toml", {}, problems)))
    items: list[Item] = []
    tables: list[Table] = []
    levels: list[Level] = []
    for path, part in parts.items():
        folder = path.partition("/")[0]
        if folder == "items":
            items += [_item(one, path) for one in part.parts("item")]
        elif folder == "loot":
            tables += [_table(one, path) for one in part.parts("table")]
        elif folder == "levels":
            levels.append(_level(part, path))
        else:
            problems.append(f"{path}: expected a file in items, loot or levels")
            continue
        part.close()
    found = ContentSet(
        rules, _by_id(items, problems), _by_id(tables, problems), _by_id(levels, problems)
    )
    if problems:
        raise Malformed(problems)
    return found


def _toml(path: str, content: bytes, problems: list[str]) -> Mapping[str, Any]:
    try:
        return tomllib.loads(content.decode("utf-8"))
    except ValueError as error:
        problems.append(f"{path}: expected TOML in UTF-8, found {error}")
        return {}


def _rules(part: _Part) -> Rules:
    rarities = part.part("rarity")
    read = {}
    for name in rarities.values:
        one = rarities.part(name)
        read[name] = Rarity(one.pair("value"), one.take("percent", int))
        one.close()
    level = part.part("level")
    worth = level.part("worth")
    digits = [key for key in worth.values if key.isascii() and key.isdigit()]
    rules = Rules(
        first_level=part.take("first_level", str),
        kinds=frozenset(part.words("kinds")),
        rarities=read,
        largest=_size(level),
        worth={int(key): worth.pair(key) for key in digits},
    )
    for one in (worth, level, rarities, part):
        one.close()
    return rules


def _size(level: _Part) -> tuple[int, int]:
    values = level.take("largest", list)
    if len(values) == 2 and all(type(value) is int and value > 0 for value in values):
        return values[0], values[1]
    level.problems.append(f"{level.where}: largest: expected a width and a height, found {values}")
    return 0, 0


def _named(part: _Part, path: str) -> str:
    name: str = part.take("id", str)
    part.where = f"{path}: {name or 'without id'}"
    return name


def _item(part: _Part, path: str) -> Item:
    item = Item(
        id=_named(part, path),
        name=part.take("name", str),
        kind=part.take("kind", str),
        rarity=part.take("rarity", str),
        value=part.take("value", int),
        weight=part.take("weight", int),
        file=path,
    )
    part.close()
    return item


def _table(part: _Part, path: str) -> Table:
    name = _named(part, path)
    entries = tuple(_entry(one) for one in part.parts("entries"))
    table = Table(name, part.take("rolls", int), entries, path)
    part.close()
    return table


def _entry(part: _Part) -> Entry:
    entry = Entry(part.take("item", str, ""), part.take("table", str, ""), part.take("weight", int))
    if bool(entry.item) == bool(entry.table):
        part.problems.append(f"{part.where}: expected an item or a table, found both or none")
    part.close()
    return entry


def _level(part: _Part, path: str) -> Level:
    return Level(
        id=_named(part, path),
        name=part.take("name", str),
        order=part.take("order", int),
        difficulty=part.take("difficulty", int),
        chests=part.words("chests"),
        exits=tuple(_exit(one) for one in part.parts("exits")),
        map=tuple(part.take("map", str).splitlines()),
        file=path,
    )


def _exit(part: _Part) -> Exit:
    found = Exit(part.take("to", str), part.take("needs", str, ""))
    part.close()
    return found


def _by_id(things: Iterable[Any], problems: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for one in things:
        if not _ID.fullmatch(one.id):
            problems.append(
                f"{one.file}: expected an id of small letters, digits and -, found {one.id!r}"
            )
        if one.id in found:
            problems.append(
                f"{one.file}: {one.id}: expected each id once, found it in {found[one.id].file} too"
            )
        found[one.id] = one
    return found
