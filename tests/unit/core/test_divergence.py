"""The first difference of two folders: which file, which byte, and how it reads."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from factory.engine.divergence import Sides, first_difference, first_divergence

SIDES = Sides("here", "there")
SMALL = st.binary(max_size=12)


def test_what_a_person_can_read_comes_before_what_hangs_on_it() -> None:
    one = {
        "manifest.json": b"a",
        "CHANGES.bundle": b"a",
        "ARTIFACTS/x": b"a",
        "LOGS/s.log": b"a\n",
        "DIFF.patch": b"+a\n",
    }
    two = {name: content.replace(b"a", b"b") for name, content in one.items()}
    order = []
    while one:
        found = first_divergence(one, two, SIDES)
        assert found is not None
        order.append(found.file)
        del one[found.file], two[found.file]
    assert order == ["DIFF.patch", "LOGS/s.log", "ARTIFACTS/x", "CHANGES.bundle", "manifest.json"]


def test_sentence_offset_and_diff_of_text() -> None:
    found = first_divergence({"LOGS/a.log": b"one\ntwo\n"}, {"LOGS/a.log": b"one\ntwa\n"}, SIDES)
    assert found is not None
    assert (found.file, found.offset) == ("LOGS/a.log", 6)
    assert found.what == "LOGS/a.log: byte 6: expected 'o\\\\u000a', found 'a\\\\u000a'"
    assert found.diff == ("--- here", "+++ there", "@@ -1,2 +1,2 @@", " one", "-two", "+twa")


def test_bytes_are_shown_in_hexadecimal() -> None:
    found = first_divergence({"ARTIFACTS/z": b"PK\0\1"}, {"ARTIFACTS/z": b"PK\0\2"}, SIDES)
    assert found is not None
    assert found.diff == (
        "--- here",
        "+++ there",
        "-00000000  50 4b 00 01",
        "+00000000  50 4b 00 02",
    )


def test_missing_and_additional_files() -> None:
    assert first_divergence({"a": b""}, {}, SIDES).what == "a: there lacks it"  # type: ignore[union-attr]
    assert first_divergence({}, {"a": b""}, SIDES).what == "a: only there has it"  # type: ignore[union-attr]


@given(
    st.dictionaries(st.text(max_size=3), SMALL, max_size=4),
    st.dictionaries(st.text(max_size=3), SMALL, max_size=4),
)
def test_none_exactly_where_all_is_alike(one: dict[str, bytes], two: dict[str, bytes]) -> None:
    assert (first_divergence(one, two, SIDES) is None) == (one == two)


@given(SMALL, SMALL)
def test_offset_is_that_of_a_plain_loop(one: bytes, two: bytes) -> None:
    loop = next(
        (at for at in range(min(len(one), len(two))) if one[at] != two[at]), min(len(one), len(two))
    )
    assert first_difference(one, two) == loop
