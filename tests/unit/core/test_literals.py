"""One contract for every search for literals: each place of each of them, and nothing else."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.redact import literals
from factory.redact.credential_forms import FORMS
from factory.redact.literals import Compiled, Literals, Plain, literals_of

IMPLEMENTATIONS: list[Callable[[Iterable[bytes]], Literals]] = [Plain, Compiled, literals_of]
SOME = st.lists(st.binary(min_size=1, max_size=9), min_size=1, max_size=8)
NARROW = st.lists(st.text("ab\0", min_size=1, max_size=9).map(str.encode), min_size=1, max_size=8)


def found_by(search: Literals, text: bytes) -> dict[bytes, list[int]]:
    return {literal: list(places) for literal, places in search.find(text).items()}


def named(wanted: Iterable[bytes], text: bytes) -> dict[bytes, list[int]]:
    """The definition: every position at which a literal begins."""
    places = {each: [at for at in range(len(text)) if text.startswith(each, at)] for each in wanted}
    return {each: at for each, at in places.items() if at}


@pytest.mark.parametrize("make", IMPLEMENTATIONS)
@given(wanted=SOME | NARROW, text=st.binary(max_size=60) | st.text("ab\0").map(str.encode))
def test_every_place_is_found_and_no_other(
    make: Callable[[Iterable[bytes]], Literals], wanted: list[bytes], text: bytes
) -> None:
    assert found_by(make(wanted), text) == named(wanted, text)


@pytest.mark.parametrize("make", IMPLEMENTATIONS)
def test_what_lies_over_the_border_of_two_windows_is_found_once(
    make: Callable[[Iterable[bytes]], Literals],
) -> None:
    wanted = [b"0123456789abcdef", b"ab", b"a"]
    for before in range(-20, 3):
        at = literals._WINDOW + before
        text = b"." * at + wanted[0] + b"." * 40
        found = {wanted[0]: [at], b"ab": [at + 10], b"a": [at + 10]}
        assert found_by(make(wanted), text) == found


@pytest.mark.parametrize("make", IMPLEMENTATIONS)
def test_what_overlaps_is_found_each_time(
    make: Callable[[Iterable[bytes]], Literals], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(literals, "_WINDOW", 1 << 16)  # as many windows, of less
    text = b"aaaa" * (literals._WINDOW // 4 + 8)
    found = make([b"aa", b"aaaaaaaa", b"b"]).find(text)
    assert {each: len(places) for each, places in found.items()} == {
        b"aa": len(text) - 1,
        b"aaaaaaaa": len(text) - 7,
    }
    assert list(found[b"aa"]) == list(range(len(text) - 1))


def test_many_long_literals_need_no_full_table() -> None:
    wanted = [b"%06d-and-more" % number for number in range(5_000)]
    assert len(wanted) * literals._HEAD > literals._MOST_TABLED
    text = b"x".join(wanted[::7]) * 2
    assert found_by(Compiled(wanted), text).keys() == set(wanted[::7])


@pytest.mark.parametrize("why", ["it is not installed", "it is not asked for here"])
def test_without_the_library_a_large_text_is_searched_all_the_same(
    monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    if why == "it is not installed":
        monkeypatch.setitem(sys.modules, "ahocorasick_rs", None)
    else:
        monkeypatch.setattr("sysconfig.get_platform", lambda: "win-amd64")
        monkeypatch.setattr(literals, "Compiled", None)  # a call would fail
    text = bytes(literals._WORTH_COMPILING) + b"AKIA"
    search = literals_of(form.anchor for form in FORMS)
    assert found_by(search, text) == {b"AKIA": [literals._WORTH_COMPILING]}


def test_whoever_asks_for_the_library_learns_that_it_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "ahocorasick_rs", None)
    with pytest.raises(ImportError):
        Compiled([b"a"])
