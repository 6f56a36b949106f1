"""What a content set must keep: references, worth, chances, maps, and that it can be won.

Rule: each rule is a function from a set to sentences; averages are exact fractions, so no machine
rounds them another way. Expects references that hold where it says so. Does not know files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction

from content_set import ContentSet, Level, Table

WALL, FLOOR, START, CHEST, EXIT = "#.@$>"


def problems(content: ContentSet) -> list[str]:
    """Everything wrong with a set. Rules that need sound references are asked only where these
    hold.
    """
    found = [*_items(content), *_references(content), *_maps(content)]
    found += [] if found else _circles(content)
    if not found:
        found = [*_chances(content), *_worth(content), *_progress(content)]
    return found


def _items(content: ContentSet) -> Iterator[str]:
    rules = content.rules
    for item in content.items.values():
        where = f"{item.file}: {item.id}"
        rarity = rules.rarities.get(item.rarity)
        if item.kind not in rules.kinds:
            yield (
                f"{where}: expected a kind among {', '.join(sorted(rules.kinds))}, found"
                f" {item.kind!r}"
            )
        if item.weight < 1:
            yield f"{where}: expected a weight of at least 1, found {item.weight}"
        if not item.name.strip():
            yield f"{where}: expected a name, found none"
        if rarity is None:
            yield (
                f"{where}: expected a rarity among {', '.join(rules.rarities)}, found"
                f" {item.rarity!r}"
            )
        elif item.kind != "key" and not rarity.value[0] <= item.value <= rarity.value[1]:
            least, most = rarity.value
            yield (
                f"{where}: expected a value from {least} to {most} for {item.rarity}, found"
                f" {item.value}"
            )


def _references(content: ContentSet) -> Iterator[str]:
    if content.rules.first_level not in content.levels:
        yield f"rules.toml: first_level: there is no level {content.rules.first_level!r}"
    for table in content.tables.values():
        where = f"{table.file}: {table.id}"
        if table.rolls < 1 or not table.entries or any(entry.weight < 1 for entry in table.entries):
            yield f"{where}: expected at least one roll and one entry, and weights of at least 1"
        for entry in table.entries:
            if entry.item and entry.item not in content.items:
                yield f"{where}: there is no item {entry.item!r}"
            if entry.table and entry.table not in content.tables:
                yield f"{where}: there is no table {entry.table!r}"
    orders: dict[int, str] = {}
    for level in content.levels.values():
        yield from _level_references(level, content)
        if level.order in orders:
            yield (
                f"{level.file}: {level.id}: order {level.order} is that of"
                f" {orders[level.order]} too"
            )
        orders[level.order] = level.id


def _level_references(level: Level, content: ContentSet) -> Iterator[str]:
    where = f"{level.file}: {level.id}"
    if level.difficulty not in content.rules.worth:
        yield f"{where}: expected a difficulty that rules.toml knows, found {level.difficulty}"
    for chest in level.chests:
        if chest not in content.tables:
            yield f"{where}: there is no table {chest!r}"
    for way in level.exits:
        if way.to not in content.levels:
            yield f"{where}: there is no level {way.to!r}"
        if way.needs and (way.needs not in content.items or content.items[way.needs].kind != "key"):
            yield f"{where}: there is no key {way.needs!r}"


def _maps(content: ContentSet) -> Iterator[str]:
    for level in content.levels.values():
        for clause in map_problems(
            level.map, content.rules.largest, len(level.chests), len(level.exits)
        ):
            yield f"{level.file}: {level.id}: {clause}"


def map_problems(
    rows: tuple[str, ...], largest: tuple[int, int], chests: int, exits: int
) -> Iterator[str]:
    """What is wrong with one map, given how large it may be and how many chests and exits its level
    lists.
    """
    if not rows or len({len(row) for row in rows}) != 1:
        yield "expected rows of one length"
        return
    width, height = len(rows[0]), len(rows)
    if width > largest[0] or height > largest[1]:
        yield f"expected at most {largest[0]} by {largest[1]}, found {width} by {height}"
    text = "".join(rows)
    strange = sorted(set(text) - {WALL, FLOOR, START, CHEST, EXIT})
    if strange:
        yield f"expected only # . @ $ and >, found {' '.join(strange)}"
    for sign, name, wanted in (
        (START, "start", 1),
        (CHEST, "chests", chests),
        (EXIT, "exits", exits),
    ):
        if text.count(sign) != wanted:
            yield f"expected {wanted} {name} on the map, found {text.count(sign)}"
    edge = rows[0] + rows[-1] + "".join(row[0] + row[-1] for row in rows)
    if set(edge) - {WALL, EXIT}:
        yield "expected a closed edge of walls and exits, found a gap"
    if text.count(START) == 1:
        walked = _walk(rows)
        lost = sum(sign in (CHEST, EXIT) and at not in walked for at, sign in _cells(rows))
        if lost:
            yield (
                f"expected a way from the start to every chest and exit, found none to {lost} of"
                " them"
            )


def _cells(rows: tuple[str, ...]) -> Iterator[tuple[tuple[int, int], str]]:
    for y, row in enumerate(rows):
        for x, sign in enumerate(row):
            yield (x, y), sign


def _walk(rows: tuple[str, ...]) -> set[tuple[int, int]]:
    """Every cell that can be walked to; an exit is entered, not crossed."""
    signs = dict(_cells(rows))
    ahead = [at for at, sign in signs.items() if sign == START]
    seen = set(ahead)
    while ahead:
        x, y = ahead.pop()
        if signs[x, y] == EXIT:
            continue
        for near in ((x + 1, y), (x - 1, y), (x, y + 1), (x, y - 1)):
            if near not in seen and signs.get(near, WALL) != WALL:
                seen.add(near)
                ahead.append(near)
    return seen


def _circles(content: ContentSet) -> list[str]:
    """One sentence for each table that contains itself."""
    inside = {
        name: {one.table for one in table.entries if one.table}
        for name, table in content.tables.items()
    }
    found = []
    for name, table in content.tables.items():
        seen: set[str] = set()
        ahead = list(inside[name])
        while ahead:
            other = ahead.pop()
            if other not in seen:
                seen.add(other)
                ahead += inside[other]
        if name in seen:
            found.append(f"{table.file}: {name}: expected no table inside itself, found a circle")
    return found


def worth_of(table: Table, content: ContentSet) -> Fraction:
    """The expected value of a table, in cogs."""
    total = sum(entry.weight for entry in table.entries)
    each = sum(
        (
            Fraction(entry.weight, total)
            * (
                content.items[entry.item].value
                if entry.item
                else worth_of(content.tables[entry.table], content)
            )
            for entry in table.entries
        ),
        Fraction(),
    )
    return table.rolls * each


def level_worth(level: Level, content: ContentSet) -> Fraction:
    """The expected value of all chests of a level, in cogs."""
    return sum((worth_of(content.tables[chest], content) for chest in level.chests), Fraction())


def chance_of(rarity: str, table: Table, content: ContentSet) -> Fraction:
    """How likely one roll yields an item of a rarity; a table inside counts with all its own
    rolls.
    """
    total = sum(entry.weight for entry in table.entries)
    return sum(
        (
            Fraction(one.weight, total) * _once(rarity, one.item, one.table, content)
            for one in table.entries
        ),
        Fraction(),
    )


def _once(rarity: str, item: str, table: str, content: ContentSet) -> Fraction:
    if item:
        return Fraction(content.items[item].rarity == rarity)
    inner = content.tables[table]
    return 1 - (1 - chance_of(rarity, inner, content)) ** inner.rolls


def _chances(content: ContentSet) -> Iterator[str]:
    for table in content.tables.values():
        for name, rarity in content.rules.rarities.items():
            chance = chance_of(name, table, content)
            if chance * 100 > rarity.percent:
                where = f"{table.file}: {table.id}"
                yield (
                    f"{where}: expected {name} in at most {rarity.percent} % of rolls, found"
                    f" {chance}"
                )


def _worth(content: ContentSet) -> Iterator[str]:
    for level in content.levels.values():
        least, most = content.rules.worth[level.difficulty]
        worth = level_worth(level, content)
        if not least <= worth <= most:
            yield (
                f"{level.file}: {level.id}: expected chests worth {least} to {most} cogs together,"
                f" found {worth}"
            )


def certain_items(table: Table, content: ContentSet) -> frozenset[str]:
    """Items that a table yields whatever is rolled: those that every entry yields."""
    each = [
        (
            frozenset({entry.item})
            if entry.item
            else certain_items(content.tables[entry.table], content)
        )
        for entry in table.entries
    ]
    return frozenset.intersection(*each)


def possible_items(table: Table, content: ContentSet) -> frozenset[str]:
    """Items that a table may yield."""
    each = [
        (
            frozenset({entry.item})
            if entry.item
            else possible_items(content.tables[entry.table], content)
        )
        for entry in table.entries
    ]
    return frozenset().union(*each)


def _progress(content: ContentSet) -> Iterator[str]:
    """Whether every level can be reached with keys that are certain, and every item found
    somewhere.
    """
    reached, keys = _play(content)
    for name in sorted(content.levels.keys() - reached):
        level = content.levels[name]
        yield f"{level.file}: {name}: expected a way to it with keys that are certain, found none"
    chests = [content.tables[chest] for level in content.levels.values() for chest in level.chests]
    found = frozenset[str]().union(*(possible_items(table, content) for table in chests))
    for name in sorted(content.items.keys() - found):
        yield f"{content.items[name].file}: {name}: expected it in some chest, found it in none"
    needed = {way.needs for level in content.levels.values() for way in level.exits if way.needs}
    for name in sorted(keys - needed):
        yield (
            f"{content.items[name].file}: {name}: expected an exit that needs this key, found none"
        )


def _play(content: ContentSet) -> tuple[set[str], set[str]]:
    """Levels that are reached, and keys held, by a player with the worst luck."""
    reached = {content.rules.first_level}
    keys: set[str] = set()
    while True:
        before = len(reached) + len(keys)
        for name in sorted(reached):
            for chest in content.levels[name].chests:
                keys |= _keys(certain_items(content.tables[chest], content), content)
            reached |= {
                way.to for way in content.levels[name].exits if not way.needs or way.needs in keys
            }
        if len(reached) + len(keys) == before:
            return reached, keys


def _keys(items: frozenset[str], content: ContentSet) -> set[str]:
    return {name for name in items if content.items[name].kind == "key"}


def counts(content: ContentSet) -> Mapping[str, int]:
    """How much there is of each."""
    return {
        "items": len(content.items),
        "levels": len(content.levels),
        "tables": len(content.tables),
    }
