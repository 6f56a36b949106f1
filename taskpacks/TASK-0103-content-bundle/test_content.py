"""Planted bad content: each rule must name its flaw, and only that flaw."""

from __future__ import annotations

import unittest
from fractions import Fraction

from balance import chance_of, map_problems, problems, worth_of
from content import build_twice, index_of, load
from content_set import Malformed, parse

GOOD = {
    "rules.toml": (
        """
first_level = "one"
kinds = ["key", "tool"]
rarity.common = { value = [1, 20], percent = 100 }
rarity.rare = { value = [50, 100], percent = 25 }
level = { largest = [8, 4], worth = { 1 = [1, 40] } }
"""
    ),
    "items/all.toml": (
        """
item = [
    { id = "nut", name = "Nut", kind = "tool", rarity = "common", value = 4, weight = 1 },
    { id = "gem", name = "Gem", kind = "tool", rarity = "rare", value = 60, weight = 1 },
    { id = "red-key", name = "Key", kind = "key", rarity = "common", value = 0, weight = 1 },
]
"""
    ),
    "loot/all.toml": (
        """
table = [
    { id = "box", rolls = 2, entries = [{ item = "nut", weight = 3 }, { table = "gems", weight = 1 }] },
    { id = "gems", rolls = 1, entries = [{ item = "nut", weight = 3 }, { item = "gem", weight = 1 }] },
    { id = "hook", rolls = 1, entries = [{ item = "red-key", weight = 1 }] },
]
"""
    ),
    "levels/one.toml": (
        """
id = "one"
name = "One"
order = 1
difficulty = 1
chests = ["box", "hook"]
exits = [{ to = "two", needs = "red-key" }]
map = '''
#####
#@$$>
#####
'''
"""
    ),
    "levels/two.toml": (
        """
id = "two"
name = "Two"
order = 2
difficulty = 1
chests = ["box"]
exits = [{ to = "one" }]
map = '''
####
>@$#
####
'''
"""
    ),
}
FILES = {path: text.encode() for path, text in GOOD.items()}


def flaws(path: str, old: str, new: str) -> tuple[str, ...]:
    """What is said of the good set with one text in one file replaced."""
    text = GOOD[path]
    if text.count(old) != 1:
        raise AssertionError(f"{old!r} stands {text.count(old)} times in {path}")
    try:
        load({**FILES, path: text.replace(old, new).encode()})
    except Malformed as malformed:
        return malformed.sentences
    return ()


class Flaws(unittest.TestCase):
    """One flaw, one sentence."""

    def flaw(self, path: str, old: str, new: str, words: str) -> None:
        found = flaws(path, old, new)
        self.assertEqual(len(found), 1, found)
        self.assertIn(words, found[0])
        self.assertTrue(
            found[0].startswith(("rules.toml", path, "items/", "levels/", "loot/")), found[0]
        )

    def test_good_set_is_good(self) -> None:
        self.assertEqual(problems(parse(FILES)), [])

    def test_items(self) -> None:
        path = "items/all.toml"
        self.flaw(
            path,
            "value = 4,",
            "value = 21,",
            "nut: expected a value from 1 to 20 for common, found 21",
        )
        self.flaw(
            path,
            'name = "Nut", kind = "tool"',
            'name = "Nut", kind = "toll"',
            "expected a kind among key, tool",
        )
        self.flaw(
            path,
            'name = "Nut", kind = "tool", rarity = "common"',
            'name = "Nut", kind = "tool", rarity = "odd"',
            "expected a rarity among common, rare",
        )
        self.flaw(
            path,
            "value = 4, weight = 1",
            "value = 4, weight = 0",
            "expected a weight of at least 1",
        )
        self.flaw(path, '"Nut"', '" "', "expected a name")

    def test_shapes(self) -> None:
        path = "items/all.toml"
        self.flaw(path, "value = 4,", 'value = "4",', "value: expected int, found '4'")
        self.flaw(path, "value = 60,", "value = true,", "value: expected int, found True")
        self.flaw(path, "value = 4,", "value = 4, colour = 1,", "nut: unknown key 'colour'")
        self.flaw(
            "loot/all.toml",
            '{ item = "red-key", weight = 1 }',
            "{ weight = 1 }",
            "expected an item or a table",
        )
        self.flaw("levels/two.toml", "order = 2", "", "order: expected int, found nothing")
        self.flaw("rules.toml", "[1, 20]", "[20, 1]", "two whole numbers, the smaller first")
        self.flaw("rules.toml", "[8, 4]", "[8]", "expected a width and a height")

    def test_broken_file(self) -> None:
        with self.assertRaises(Malformed) as caught:
            parse({**FILES, "items/all.toml": b"item = [", "items/b.toml": b"\xff"})
        self.assertEqual(
            [one.partition(":")[0] for one in caught.exception.sentences][:2],
            ["items/all.toml", "items/b.toml"],
        )

    def test_file_in_the_wrong_place(self) -> None:
        with self.assertRaises(Malformed) as caught:
            parse({**FILES, "extra/a.toml": b""})
        self.assertEqual(
            caught.exception.sentences, ("extra/a.toml: expected a file in items, loot or levels",)
        )

    def test_id_twice(self) -> None:
        self.flaw(
            "loot/all.toml",
            'id = "hook", rolls = 1',
            'id = "gems", rolls = 1',
            "gems: expected each id once",
        )

    def test_bad_id(self) -> None:
        self.flaw("levels/two.toml", 'id = "two"', 'id = "Two!"', "expected an id of small letters")

    def test_references(self) -> None:
        self.flaw("rules.toml", '"one"', '"none"', "there is no level 'none'")
        self.flaw("loot/all.toml", 'item = "gem"', 'item = "jem"', "gems: there is no item 'jem'")
        self.flaw(
            "loot/all.toml", 'table = "gems"', 'table = "jems"', "box: there is no table 'jems'"
        )
        self.flaw("levels/two.toml", '["box"]', '["bocks"]', "two: there is no table 'bocks'")
        self.flaw("levels/two.toml", 'to = "one"', 'to = "three"', "two: there is no level 'three'")
        self.flaw("levels/one.toml", '"red-key"', '"nut"', "one: there is no key 'nut'")
        self.flaw(
            "levels/two.toml",
            "difficulty = 1",
            "difficulty = 9",
            "expected a difficulty that rules.toml knows",
        )
        self.flaw("levels/two.toml", "order = 2", "order = 1", "two: order 1 is that of one too")

    def test_tables(self) -> None:
        self.flaw(
            "loot/all.toml", 'id = "gems", rolls = 1', 'id = "gems", rolls = 0', "at least one roll"
        )
        self.flaw(
            "loot/all.toml",
            '{ item = "red-key", weight = 1 }',
            '{ item = "red-key", weight = 0 }',
            "weights of at least 1",
        )

    def test_circle_of_tables(self) -> None:
        found = flaws("loot/all.toml", 'item = "gem"', 'table = "box"')
        self.assertEqual(len(found), 2, found)
        self.assertTrue(all("found a circle" in one for one in found), found)

    def test_rarity_too_often(self) -> None:
        self.flaw(
            "loot/all.toml",
            '{ item = "nut", weight = 3 }, { item = "gem", weight = 1 }',
            '{ item = "nut", weight = 2 }, { item = "gem", weight = 1 }',
            "gems: expected rare in at most 25 % of rolls, found 1/3",
        )

    def test_worth_of_a_level(self) -> None:
        found = flaws("rules.toml", "[1, 40]", "[16, 40]")
        self.assertEqual(
            found,
            tuple(
                f"levels/{one}.toml: {one}: expected chests worth 16 to 40 cogs together, found 15"
                for one in ("one", "two")
            ),
        )

    def test_key_that_is_not_certain(self) -> None:
        self.flaw(
            "loot/all.toml",
            '{ item = "red-key", weight = 1 }',
            '{ item = "red-key", weight = 99 }, { item = "nut", weight = 1 }',
            "two: expected a way to it with keys that are certain",
        )

    def test_key_behind_its_own_door(self) -> None:
        one = (
            GOOD["levels/one.toml"].replace('["box", "hook"]', '["box"]').replace("#@$$>", "#@$.>")
        )
        two = (
            GOOD["levels/two.toml"]
            .replace('["box"]', '["box", "hook"]')
            .replace("####\n>@$#", "#####\n>@$$#")
            .replace("\n####\n'''", "\n#####\n'''")
        )
        with self.assertRaises(Malformed) as caught:
            load({**FILES, "levels/one.toml": one.encode(), "levels/two.toml": two.encode()})
        self.assertEqual([text.split(": ")[1] for text in caught.exception.sentences], ["two"])

    def test_item_that_is_nowhere(self) -> None:
        self.flaw(
            "loot/all.toml",
            '{ item = "nut", weight = 3 }, { item = "gem", weight = 1 }',
            '{ item = "nut", weight = 1 }',
            "gem: expected it in some chest",
        )

    def test_key_that_opens_nothing(self) -> None:
        self.flaw(
            "levels/one.toml",
            ', needs = "red-key"',
            "",
            "red-key: expected an exit that needs this key",
        )


class Maps(unittest.TestCase):
    """What a map must be."""

    def flaw(self, rows: str, words: str, chests: int = 1, exits: int = 1) -> None:
        found = list(map_problems(tuple(rows.split()), (8, 4), chests, exits))
        self.assertEqual(len(found), 1, found)
        self.assertIn(words, found[0])

    def test_flaws(self) -> None:
        self.flaw("#### #@$> ###", "rows of one length")
        self.flaw("######### #@$.....> #########", "at most 8 by 4, found 9 by 3")
        self.flaw("##### #@$~> #####", "found ~")
        self.flaw("##### #@@$> #####", "expected 1 start on the map, found 2")
        self.flaw("##### #@..> #####", "expected 1 chests on the map, found 0")
        self.flaw("##### #@$.. #####", "a closed edge", exits=0)
        self.flaw("##### #@#$> #####", "found none to 2 of them")

    def test_exit_is_not_crossed(self) -> None:
        self.flaw("###### #@>.$# ######", "found none to 1 of them")

    def test_no_map(self) -> None:
        self.flaw("", "rows of one length")


class Numbers(unittest.TestCase):
    """Averages and chances are exact."""

    def test_expected_values(self) -> None:
        content = parse(FILES)
        self.assertEqual(worth_of(content.tables["gems"], content), Fraction(18))
        self.assertEqual(worth_of(content.tables["box"], content), Fraction(15))

    def test_chances_count_every_roll_of_a_table_inside(self) -> None:
        content = parse(
            {
                **FILES,
                "loot/all.toml": (
                    GOOD["loot/all.toml"].replace('"gems", rolls = 1', '"gems", rolls = 2').encode()
                ),
            }
        )
        self.assertEqual(
            chance_of("rare", content.tables["box"], content),
            Fraction(1, 4) * (1 - Fraction(3, 4) ** 2),
        )


class Bundle(unittest.TestCase):
    """The same bytes from the same content."""

    def test_order_of_files_does_not_matter(self) -> None:
        turned = dict(reversed(FILES.items()))
        self.assertEqual(index_of(FILES, load(FILES)), index_of(turned, load(turned)))
        self.assertEqual(build_twice(FILES), build_twice(turned))

    def test_every_byte_of_content_matters(self) -> None:
        other = {**FILES, "rules.toml": FILES["rules.toml"] + b"\n"}
        self.assertNotEqual(build_twice(FILES), build_twice(other))


if __name__ == "__main__":
    unittest.main()
