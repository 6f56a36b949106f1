"""The strict TOML reader: tomllib's meaning, our places and bounds."""

from __future__ import annotations

import contextlib
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.strict import toml as strict_toml
from factory.strict.source_text import DEPTH_LIMIT
from factory.strict.values import DocumentError, freeze, pointers

SOURCE = b'''# configuration
version = 1
a.b = [1, "x", {c = 2, "d e" = 'q'}]
[packs]
folder = "p"  # where
text = """
two ""quoted"" lines"""
[[t]]
x = 1
[[t]]
x = [ # first
  1,
  2,
]
[t.u]
"y.z" = false
'''


def refusals(raw: bytes) -> list[tuple[str, int, int]]:
    with pytest.raises(DocumentError) as caught:
        strict_toml.parse(raw)
    return [(problem.problem, problem.line, problem.column) for problem in caught.value.problems]


def test_every_node_has_its_place() -> None:
    document = strict_toml.parse(SOURCE)
    assert document.value == freeze(tomllib.loads(SOURCE.decode()))
    assert document.places["/a/b/2/d e"] == (3, 32)
    assert document.keys["/a/b/2/d e"] == (3, 24)
    assert document.places["/packs/folder"] == (5, 10)
    assert document.keys["/packs"] == (4, 2)
    assert document.places["/t/0/x"] == (9, 5)
    assert document.places["/t/1/x/1"] == (13, 3)
    assert document.places["/t/1/u/y.z"] == (16, 9)


@pytest.mark.parametrize(
    ("raw", "sentence", "line", "column"),
    [
        (b"a = 1\na = 2\n", 'the key "a" is given twice, first at line 1', 2, 1),
        (b"[a]\nb = 1\n[a]\n", 'the key "a" is given twice, first at line 1', 3, 2),
        (b"a = {b = 1, b = 2}\n", 'the key "b" is given twice, first at line 1', 1, 13),
        (b"a = 1979-05-27\n", "a date or time is not used here", 1, 5),
        (b"a = [07:32:00]\n", "a date or time is not used here", 1, 6),
        (b"a = inf\n", "inf is not a finite number", 1, 5),
        (
            b"a = 9007199254740992\n",
            "this number is beyond ±9007199254740991, where numbers stop being exact",
            1,
            5,
        ),
        (b'a = "\\u0000"\n', "the character U+0000 is not allowed", 1, 5),
        (b"a = \n", "this is not TOML", 1, 5),
        (b"a", "this is not TOML", 1, 2),
        (b"a = 'x", "this is not TOML", 1, 7),
        (b"a = {b = 1}\na.c = 2\n", "this is not TOML", 2, 8),
        (b"\xff", "byte 0xff is not UTF-8", 1, 1),
        (b"a = \x00\n", "the character U+0000 is not allowed", 1, 5),
        (b"a = " + b"[" * 60_000, f"this is nested deeper than {DEPTH_LIMIT} levels", 1, 36),
        (
            b".".join([b"a"] * 30_000) + b" = 1\n",
            f"this is nested deeper than {DEPTH_LIMIT} levels",
            1,
            66,
        ),
        (
            b"[" + b".".join([b"a"] * 30_000) + b"]\n",
            f"this is nested deeper than {DEPTH_LIMIT} levels",
            1,
            67,
        ),
    ],
)
def test_what_is_refused_has_a_place(raw: bytes, sentence: str, line: int, column: int) -> None:
    assert refusals(raw) == [(sentence, line, column)]


def test_digits_beyond_all_limits_are_refused() -> None:
    assert (
        refusals(b"a = " + b"9" * 6000)[0][0] == "this TOML is nested or counted beyond all limits"
    )


TOML_LIKE = st.lists(
    st.sampled_from(
        [
            "a",
            "b",
            ".",
            " = ",
            "1",
            "'x'",
            '"y"',
            "[",
            "]",
            "{",
            "}",
            ",",
            "\n",
            " ",
            "#",
            '"""',
            "'''",
            "\\",
            "[[",
            "]]",
            "1.5",
            "true",
            "é",
        ]
    ),
    max_size=25,
).map("".join)


@given(TOML_LIKE.map(str.encode) | st.binary(max_size=100))
def test_no_bytes_raise_anything_else_and_meaning_is_tomllibs(raw: bytes) -> None:
    with contextlib.suppress(DocumentError):
        document = strict_toml.parse(raw)
        assert document.value == freeze(tomllib.loads(raw.decode("utf-8").removeprefix("\ufeff")))
        assert set(pointers(document.value)) <= set(document.places)


@given(TOML_LIKE)
def test_what_tomllib_reads_plainly_is_read_here(text: str) -> None:
    with contextlib.suppress(tomllib.TOMLDecodeError):
        tree = tomllib.loads(text)
        assert strict_toml.parse(text.encode()).value == freeze(tree)


def test_a_quoted_key_that_is_no_text_is_refused_at_its_place() -> None:
    ((sentence, line, _),) = refusals(b'a = 1\n"\\q" = 1\n')
    assert (sentence, line) == ("this is not TOML", 2)


@pytest.mark.parametrize("raw", [b"a = {b = 1 c = 2}\n", b"a = [1 2]\n", b"a = {b = 1]\n"])
def test_items_without_a_comma_between_them_are_no_toml(raw: bytes) -> None:
    ((sentence, line, _),) = refusals(raw)
    assert (sentence, line) == ("this is not TOML", 1)
