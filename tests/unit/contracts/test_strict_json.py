"""The strict JSON reader and the canonical form."""

from __future__ import annotations

import contextlib
import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.strict import canonical
from factory.strict import json as strict_json
from factory.strict.values import LARGEST_INTEGER, DocumentError, freeze

LIMIT = 1 << 20


def refusal(raw: bytes, **options: bool) -> str:
    with pytest.raises(DocumentError) as caught:
        strict_json.parse(raw, max_bytes=LIMIT, **options)
    return caught.value.problems[0].problem


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (b'{"a": 1, "a": 1}', 'the key "a" is given twice'),
        (b'[{"a": {"\\u0061": 1, "a": 2}}]', 'the key "a" is given twice'),
        (b"NaN", "NaN is not a finite number"),
        (b"[-Infinity]", "-Infinity is not a finite number"),
        (b"1.0", "1.0 is not a whole number"),
        (b"1e2", "1e2 is not a whole number"),
        (b"9007199254740992", "a number of 16 digits is beyond ±9007199254740991"),
        (b"-9007199254740992", "a number of 17 digits is beyond ±9007199254740991"),
        (b"1" * 5000, "a number of 5000 digits is beyond ±9007199254740991"),
        (b"[" * 65 + b"]" * 65, "the JSON is nested deeper than 64 levels"),
        (b"[" * 100_000, "the JSON is nested deeper than 64 levels"),
        (b'"\\ud800"', "a string contains half of a surrogate pair"),
        (b'{"\\udc00": 1}', "a string contains half of a surrogate pair"),
        (b"\xff", "byte 0 (0xff) is not UTF-8"),
        (b"", "this is not JSON"),
        (b"1 2", "this is not JSON"),
        (b"\xef\xbb\xbf1", "this is not JSON"),
        (b'"' + b"a" * LIMIT, f"the JSON has {LIMIT + 1} bytes, the limit is {LIMIT}"),
    ],
)
def test_what_is_refused(raw: bytes, sentence: str) -> None:
    assert refusal(raw) == sentence


def test_what_two_readers_agree_on_is_read() -> None:
    assert strict_json.parse(b"[9007199254740991, -9007199254740991]", max_bytes=LIMIT) == [
        LARGEST_INTEGER,
        -LARGEST_INTEGER,
    ]
    assert strict_json.parse(b'"\\ud83c\\udf88"', max_bytes=LIMIT) == "\U0001f388"
    assert strict_json.parse(b'"' + b"[" * 500 + b'"', max_bytes=LIMIT) == "[" * 500
    assert strict_json.parse(b"[" * 64 + b"]" * 64, max_bytes=LIMIT)


def test_floats_only_where_asked_for() -> None:
    assert strict_json.parse(b"1.5", max_bytes=LIMIT, floats=True) == 1.5
    assert refusal(b"1e999", floats=True) == "1e999 is not a finite number"


@given(
    st.binary(max_size=200)
    | st.text('{}[]",:\\ud0123456789eE.-+ntfa ', max_size=60).map(str.encode)
)
def test_no_bytes_raise_anything_else(raw: bytes) -> None:
    for floats in (False, True):
        with contextlib.suppress(DocumentError):
            json.dumps(
                strict_json.parse(raw, max_bytes=LIMIT, floats=floats), allow_nan=False
            ).encode()


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-LARGEST_INTEGER, LARGEST_INTEGER)
    | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(VALUES)
def test_canonical_bytes_are_read_back_and_printed_again(value: object) -> None:
    raw = canonical.encode(value)
    assert strict_json.parse(raw, max_bytes=LIMIT) == value
    assert canonical.encode(freeze(value)) == raw
    assert canonical.digest(value) == hashlib.sha256(raw).hexdigest()


def test_the_canonical_form_is_the_rfcs() -> None:
    value = {"\ufb33": 1, "\U0001f600": 2, "€": '\u0007\n"\\é', "1": [True, None, ()], "a": {}}
    assert (
        canonical.encode(value)
        == '{"1":[true,null,[]],"a":{},"€":"\\u0007\\n\\"\\\\é","\U0001f600":2,"\ufb33":1}'.encode()
    )


@pytest.mark.parametrize(
    "value",
    [
        1.0,
        {"a": [1.5]},
        {1: "a"},
        b"a",
        {"a": {1, 2}},
        LARGEST_INTEGER + 1,
        "\ud800",
        {"\ud800": 1},
        object(),
    ],
)
def test_what_has_no_canonical_form_is_refused(value: object) -> None:
    with pytest.raises(canonical.NotCanonical) as caught:
        canonical.encode(value)
    assert isinstance(caught.value, ValueError)


def test_deep_values_are_refused_not_crashed_on() -> None:
    value: list[object] = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(canonical.NotCanonical):
        canonical.encode(value)


def test_json_agrees_with_the_standard_library_where_both_accept() -> None:
    raw = b'{"a": [1, "x", {"b": null}], "c": false}'
    assert strict_json.parse(raw, max_bytes=LIMIT) == json.loads(raw)
