"""Planted bad locks and tables: each must be named, and none may yield an inventory."""

from __future__ import annotations

import json
import unittest

from rules import (
    DEV,
    RUNTIME,
    Problems,
    Review,
    Reviewed,
    direct_names,
    format_json,
    format_markdown,
    licence_holds,
    parse_lock,
    parse_review,
    take_inventory,
)

A, B = "a" * 64, "b" * 64
LOCK = f"""# made by a tool
Alpha_One==1.0 \\
    --hash=sha256:{A} \\
    --hash=sha256:{B}
beta==2.0.post1 ; sys_platform == 'win32' \\
    --hash=sha256:{A}
"""
REVIEW = Review(
    frozenset({"MIT", "Apache-2.0"}),
    {"beta": "MPL-2.0: unchanged"},
    {"alpha-one": Reviewed("MIT", RUNTIME), "beta": Reviewed("MPL-2.0", DEV)},
)


class Lock(unittest.TestCase):
    """Reading a lock."""

    def problem(self, line: str) -> str:
        _, problems = parse_lock(line + "\n")
        self.assertEqual(len(problems), 1, problems)
        return problems[0]

    def test_sound_lock_is_read_whole(self) -> None:
        pins, problems = parse_lock(LOCK)
        self.assertEqual(problems, ())
        self.assertEqual(
            [(pin.name, pin.version, pin.hashes) for pin in pins],
            [("alpha-one", "1.0", 2), ("beta", "2.0.post1", 1)],
        )
        self.assertEqual(pins[1].marker, "sys_platform == 'win32'")

    def test_range_is_no_pin(self) -> None:
        self.assertIn("expected NAME==VERSION", self.problem(f"alpha>=1.0 --hash=sha256:{A}"))

    def test_wildcard_is_no_pin(self) -> None:
        self.assertIn("expected NAME==VERSION", self.problem(f"alpha==1.* --hash=sha256:{A}"))

    def test_address_is_no_pin(self) -> None:
        self.assertIn(
            "expected NAME==VERSION",
            self.problem(f"alpha @ https://example.org/a.whl --hash=sha256:{A}"),
        )

    def test_other_index_is_no_pin(self) -> None:
        self.assertIn(
            "expected NAME==VERSION", self.problem("--index-url https://example.org/simple")
        )

    def test_editable_is_no_pin(self) -> None:
        self.assertIn("expected NAME==VERSION", self.problem("-e ."))

    def test_missing_hash_is_named(self) -> None:
        self.assertIn("found none", self.problem("alpha==1.0"))

    def test_weak_hash_is_named(self) -> None:
        self.assertIn(
            "only SHA-256", self.problem(f"alpha==1.0 --hash=sha256:{A} --hash=md5:{'0' * 32}")
        )

    def test_short_hash_is_named(self) -> None:
        self.assertIn("only SHA-256", self.problem("alpha==1.0 --hash=sha256:abc"))

    def test_hash_twice_is_named(self) -> None:
        self.assertIn("one twice", self.problem(f"alpha==1.0 --hash=sha256:{A} --hash=sha256:{A}"))

    def test_package_twice_is_named_whatever_its_spelling(self) -> None:
        line = f"--hash=sha256:{A}"
        self.assertIn("found twice", self.problem(f"al.pha==1.0 {line}\nAl_Pha==2.0 {line}"))

    def test_package_twice_for_different_platforms_is_fine(self) -> None:
        line = f"--hash=sha256:{A}"
        text = f"a==1.0 ; os_name == 'nt' {line}\na==2.0 ; os_name == 'posix' {line}\n"
        self.assertEqual(parse_lock(text)[1], ())


class Policy(unittest.TestCase):
    """What may be in an inventory."""

    def problems(
        self, lock: str, review: Review, direct: frozenset[str] = frozenset()
    ) -> tuple[str, ...]:
        with self.assertRaises(Problems) as caught:
            take_inventory(lock, review, direct)
        return caught.exception.sentences

    def test_unknown_licence_is_named(self) -> None:
        review = Review(REVIEW.allowed, REVIEW.accepted, {"beta": REVIEW.packages["beta"]})
        self.assertEqual(
            self.problems(LOCK, review),
            ("alpha-one: expected a reviewed licence, found none; see runbook.md",),
        )

    def test_copyleft_without_acceptance_is_named(self) -> None:
        review = Review(REVIEW.allowed, {}, REVIEW.packages)
        self.assertIn("beta: MPL-2.0 is not allowed", self.problems(LOCK, review)[0])

    def test_entry_without_package_is_named(self) -> None:
        review = Review(
            REVIEW.allowed, REVIEW.accepted, {**REVIEW.packages, "gone": Reviewed("MIT", DEV)}
        )
        self.assertIn("gone: reviewed, and not in the lock", self.problems(LOCK, review)[0])

    def test_needless_exception_is_named(self) -> None:
        review = Review(
            REVIEW.allowed, {**REVIEW.accepted, "alpha-one": "MIT: why not"}, REVIEW.packages
        )
        self.assertIn("alpha-one: accepted as an exception", self.problems(LOCK, review)[0])

    def test_direct_dependency_is_not_dev(self) -> None:
        self.assertIn(
            "asks for it at run time", self.problems(LOCK, REVIEW, frozenset({"beta"}))[0]
        )

    def test_direct_dependency_outside_the_lock_is_named(self) -> None:
        self.assertIn("does not hold it", self.problems(LOCK, REVIEW, frozenset({"missing"}))[0])

    def test_empty_lock_is_no_inventory(self) -> None:
        self.assertIn("found none", self.problems("# nothing\n", Review(frozenset(), {}, {}))[0])

    def test_everything_wrong_is_said_at_once(self) -> None:
        self.assertEqual(len(self.problems("alpha==1.0\ngamma>=2\n", REVIEW)), 5)

    def test_licence_expressions(self) -> None:
        allowed = frozenset({"MIT", "Apache-2.0"})
        for expression in (
            "MIT",
            "GPL-3.0-only OR MIT",
            "MIT AND Apache-2.0",
            "MIT OR GPL-3.0-only AND X",
        ):
            self.assertTrue(licence_holds(expression, allowed), expression)
        for expression in (
            "",
            "mit",
            "GPL-3.0-only",
            "MIT AND GPL-3.0-only",
            "(MIT)",
            "MIT WITH X",
            "MIT OR",
            "MIT  OR X",
        ):
            self.assertFalse(licence_holds(expression, allowed), expression)


class Table(unittest.TestCase):
    """Reading the reviewed table."""

    def test_names_are_read_in_their_normal_spelling(self) -> None:
        review = parse_review(
            {
                "allowed": ["MIT"],
                "accepted": {},
                "packages": {"A.b": {"licence": "MIT", "role": DEV}},
            }
        )
        self.assertEqual(review.packages, {"a-b": Reviewed("MIT", DEV)})

    def test_wrong_shapes_are_refused(self) -> None:
        for entry in (
            {"licence": "MIT"},
            {"licence": "", "role": DEV},
            {"licence": "MIT", "role": "test"},
            "MIT",
        ):
            with self.subTest(entry=entry), self.assertRaises(Problems):
                parse_review({"allowed": [], "accepted": {}, "packages": {"a": entry}})
        with self.assertRaises(Problems):
            parse_review({"packages": {}})


class Text(unittest.TestCase):
    """What is written."""

    def test_same_input_gives_the_same_bytes_in_any_order(self) -> None:
        first, second = LOCK.index("Alpha"), LOCK.index("beta")
        turned = LOCK[:first] + LOCK[second:] + LOCK[first:second]
        one, other = (take_inventory(text, REVIEW, frozenset()) for text in (LOCK, turned))
        self.assertEqual(format_json(one), format_json(other))
        self.assertEqual(format_markdown(one, REVIEW), format_markdown(other, REVIEW))

    def test_json_holds_every_package(self) -> None:
        rows = take_inventory(LOCK, REVIEW, direct_names(["Alpha.One>=1,<2 ; os_name == 'nt'"]))
        packages = json.loads(format_json(rows))["packages"]
        self.assertEqual([one["name"] for one in packages], ["alpha-one", "beta"])
        self.assertEqual(packages[0]["hashes"], 2)


if __name__ == "__main__":
    unittest.main()
