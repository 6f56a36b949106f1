"""The strict YAML reader: what it refuses, where it says so, and that nothing else ever escapes."""

from __future__ import annotations

import contextlib
import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from factory.strict import yaml as strict_yaml
from factory.strict.source_text import DEPTH_LIMIT, SIZE_LIMIT
from factory.strict.values import LARGEST_INTEGER, DocumentError, freeze, plain, pointers

PARSERS = [strict_yaml.PARSER, yaml.SafeLoader]


def refusals(raw: bytes, parser: type = strict_yaml.PARSER) -> list[tuple[str, int, int]]:
    with pytest.raises(DocumentError) as caught:
        strict_yaml.parse(raw, parser)
    return [(problem.problem, problem.line, problem.column) for problem in caught.value.problems]


@pytest.mark.parametrize("parser", PARSERS)
@pytest.mark.parametrize(
    ("raw", "sentence", "line", "column"),
    [
        (b"a: 1\na: 2\n", 'the key "a" is given twice, first at line 1', 2, 1),
        (b"x: {a: 1, a: 2}\n", 'the key "a" is given twice, first at line 1', 1, 11),
        (b"a: &x 1\n", "an anchor (&x) is not allowed", 1, 4),
        (b"&x a: 1\n", "an anchor (&x) is not allowed", 1, 1),
        (b"a: *x\n", "an alias (*x) is not allowed", 1, 4),
        (b"*x : 1\n", "an alias (*x) is not allowed", 1, 1),
        (b"a: !!str 1\n", "a tag (!!str) is not allowed", 1, 4),
        (b"a: ! 1\n", "a tag (!) is not allowed", 1, 4),
        (b"!!map {a: 1}\n", "a tag (!!map) is not allowed", 1, 1),
        (b"a: {<<: {b: 1}}\n", "a merge key (<<) is not allowed", 1, 5),
        (b"a: 1\n---\nb: 2\n", "a second document starts here", 2, 1),
        (b"1: a\n", 'the key "1" is not text', 1, 1),
        (b"true: a\n", 'the key "true" is not text', 1, 1),
        (b"? {a: b}\n: c\n", "a key must be text, found a collection", 1, 3),
        (b'a: "\\0"\n', "the character U+0000 is not allowed", 1, 4),
        (b'a: "\\u202e"\n', "the character U+202E is not allowed", 1, 4),
        (b"a: \x00\n", "the character U+0000 is not allowed", 1, 4),
        (b"a: \xff\n", "byte 0xff is not UTF-8", 1, 4),
        (b"\xc3\xa4: \xed\xa0\x80\n", "byte 0xed is not UTF-8", 1, 4),
        (b"a\rb: 1\n", "the character U+000D is not allowed", 1, 2),
        (b"%YAML 1.2\n---\na: 1\n", "a directive (%YAML or %TAG) is not allowed", 1, 1),
        (b"a: .inf\n", ".inf is not a finite number", 1, 4),
        (b"a: 1e999\n", "1e999 is not a finite number", 1, 4),
        (b"a:\n\tb: 1\n", "a tab is not allowed here", 2, 1),
        (b"a: [1,\n", "what starts here is never closed", 1, 4),
        (b"a: `b`\n", "unquoted text cannot start with `", 1, 4),
        (b"a: b: c\n", "this is not YAML", 1, 5),
    ],
)
def test_what_is_refused_has_a_place(
    raw: bytes, sentence: str, line: int, column: int, parser: type
) -> None:
    assert refusals(raw, parser) == [(sentence, line, column)]


def test_several_problems_are_told_at_once() -> None:
    found = refusals(b"a: &x 1\na: !!int 2\nb: *x\n")
    assert [line for _, line, _ in found] == [1, 2, 2, 3]


def test_problems_are_bounded() -> None:
    assert len(refusals(b"a: &x 1\n" * 1000)) <= 30


def test_a_lone_surrogate_written_as_an_escape_is_refused() -> None:
    for parser in PARSERS:
        assert refusals(b'a: "\\ud800"\n', parser)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("off", "off"),
        ("010", 10),
        ("0o10", 8),
        ("0x1F", 31),
        ("-3", -3),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("2020-01-01", "2020-01-01"),
        ("12:30:45", "12:30:45"),
        ("1.5", 1.5),
        (".5", 0.5),
        ("True", True),
        ("~", None),
        ("null", None),
        ("nUll", "nUll"),
        ("=", "="),
        ('"<<"', "<<"),
        (str(LARGEST_INTEGER), LARGEST_INTEGER),
        ("-" + "0" * 5000 + "7", -7),
        ("0x" + "0" * 5000 + "f", 15),
        ("0o0", 0),
        ("-0", 0),
    ],
)
def test_scalars_follow_the_core_schema(text: str, value: object) -> None:
    for parser in PARSERS:
        assert strict_yaml.parse(f"a: {text}\n".encode(), parser).value == {"a": value}


def test_depth_and_size_have_an_exact_limit() -> None:
    assert strict_yaml.parse(b"[" * DEPTH_LIMIT + b"]" * DEPTH_LIMIT).value is not None
    assert refusals(b"[" * (DEPTH_LIMIT + 1) + b"]" * (DEPTH_LIMIT + 1)) == [
        (f"this is nested deeper than {DEPTH_LIMIT} levels", 1, DEPTH_LIMIT + 1)
    ]
    assert refusals(b"[" * 60_000)[0][2] == DEPTH_LIMIT + 1
    assert strict_yaml.parse(b"#" * SIZE_LIMIT).value is None
    assert refusals(b"#" * (SIZE_LIMIT + 1)) == [
        (f"the file has {SIZE_LIMIT + 1} bytes, the limit is {SIZE_LIMIT}", 0, 0)
    ]


def test_every_node_and_key_has_its_place() -> None:
    document = strict_yaml.parse("a: 1\nb:\n  - x\n  - {ü/~: [y]}\n".encode())
    assert document.places == {
        "": (1, 1),
        "/a": (1, 4),
        "/b": (3, 3),
        "/b/0": (3, 5),
        "/b/1": (4, 5),
        "/b/1/ü~1~0": (4, 11),
        "/b/1/ü~1~0/0": (4, 12),
    }
    assert document.keys == {"/a": (1, 1), "/b": (2, 1), "/b/1/ü~1~0": (4, 6)}
    assert document.place("/b/7/c") == (3, 3)
    assert document.key_place("/b/0") == (3, 5)


def test_the_tree_cannot_be_changed() -> None:
    value = strict_yaml.parse(b"a: {b: [1]}\n").value
    with pytest.raises(TypeError):
        value["a"] = 1  # type: ignore[index]
    assert value == {"a": {"b": (1,)}}


@given(
    st.binary(max_size=300)
    | st.text(max_size=300).map(lambda text: text.encode("utf-8", "surrogatepass"))
)
def test_no_bytes_raise_anything_else(raw: bytes) -> None:
    for parser in PARSERS:
        with contextlib.suppress(DocumentError):
            document = strict_yaml.parse(raw, parser)
            assert set(pointers(document.value)) == set(document.places)


YAML_LIKE = st.lists(
    st.sampled_from(
        [
            "a",
            "b: ",
            "- ",
            "\n",
            "  ",
            "[",
            "]",
            "{",
            "}",
            ", ",
            "'",
            '"',
            "&x ",
            "*x ",
            "!t ",
            "<<: ",
            "? ",
            ": ",
            "|\n",
            "#",
            "\t",
            "\\",
            "é",
            "%",
            "---\n",
        ]
    ),
    max_size=30,
).map("".join)


@given(YAML_LIKE)
def test_both_parsers_read_the_same(text: str) -> None:
    outcomes: list[object] = []
    for parser in PARSERS:
        try:
            document = strict_yaml.parse(text.encode(), parser)
            outcomes.append((document.value, dict(document.keys)))
        except DocumentError:
            outcomes.append(None)
    if None not in outcomes:
        assert outcomes[0] == outcomes[1]


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-LARGEST_INTEGER, LARGEST_INTEGER)
    | st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=20).filter(
        lambda text: (
            not any(
                c == "\0" or "\u202a" <= c <= "\u202e" or "\u2066" <= c <= "\u2069" for c in text
            )
        )
    ),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text("abc/~ ", max_size=4), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(JSON_VALUES)
def test_what_is_written_as_json_is_read_back(value: object) -> None:
    raw = json.dumps(value, ensure_ascii=True).encode()
    if b"\\ud" not in raw:  # YAML has no surrogate pairs; escapes are one character each
        document = strict_yaml.parse(raw)
        assert document.value == freeze(value)
        assert set(pointers(document.value)) == set(document.places)
        assert freeze(plain(document.value)) == document.value
