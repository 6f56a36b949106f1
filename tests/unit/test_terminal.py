"""What reaches a terminal is inert, fits, and is coloured only where that is wanted."""

from __future__ import annotations

import io
import os
import unicodedata
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.model.inert import Shown
from factory.report.terminal import (
    Palette,
    fit,
    fitted,
    is_terminal,
    palette_for,
    plain,
    sanitize,
    tolerate,
    width,
    wrapped,
    write_lines,
)

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=60)


class Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain · 41 − ü 字", "plain · 41 − ü 字"),
        ("\x1b[2Jgone", "\\x1b[2Jgone"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("a\rb\nc\td", "a\\x0db\\x0ac d"),
        ("\x9b31m", "\\x9b31m"),
        ("abc\u202edef", "abc\\u202edef"),
        ("zero\u200bwidth\ufeff", "zero\\u200bwidth\\ufeff"),
        ("\u2028\u2029", "\\u2028\\u2029"),
        ("\udcff", "\\udcff"),
        ("\U000e0041", "\\U000e0041"),
    ],
)
def test_sanitize_shows_what_could_act(text: str, shown: str) -> None:
    assert sanitize(text) == shown


@given(ANY_TEXT)
def test_sanitized_text_is_inert_and_stays_as_it_is(text: str) -> None:
    shown = sanitize(text)
    assert not {unicodedata.category(char) for char in shown} & {
        "Cc",
        "Cf",
        "Cs",
        "Co",
        "Cn",
        "Zl",
        "Zp",
    }
    assert sanitize(shown) == shown
    shown.encode()


@given(ANY_TEXT, st.integers(0, 40))
def test_fitted_text_never_exceeds_its_columns(text: str, columns: int) -> None:
    shown = sanitize(text)
    fitted = fit(shown, columns)
    assert width(fitted) <= columns
    assert fitted == shown or fitted.endswith("…") or columns == 0


@given(st.lists(ANY_TEXT, max_size=8).map(" ".join), st.integers(40, 200), st.booleans())
def test_wrapped_text_loses_nothing_and_only_a_long_word_is_wider(
    text: str, columns: int, labelled: bool
) -> None:
    line = sanitize(f"Report    {text}" if labelled else f"    {text}")
    pieces = list(wrapped(line, columns))
    assert "".join("".join(pieces).split()) == "".join(line.split())
    for piece in pieces:
        assert width(piece) <= columns or width(Shown(piece.strip().split(" ")[-1])) > columns // 2
    for piece in pieces[1:]:
        assert piece.startswith(" " * (10 if labelled else 4))


def test_a_line_is_wrapped_below_its_text_and_a_path_stays_whole() -> None:
    path = ".factory/runs/factory_20261201_091502_1f0c9a2e_001/Z_integrator/FINAL_REPORT.md"
    assert list(wrapped(Shown(f"Report    {path}"), 40)) == [f"Report    {path}"]
    red = Palette(True).paint(Shown("BLOCKED"), "red")
    assert list(wrapped(Shown(f"launch    {red} one two"), 21)) == [
        f"launch    {red} one",
        "          two",
    ]
    assert list(wrapped(Shown("  字字字字字字字字字字"), 12)) == [
        "  字字字字字",
        "    字字字字",
        "    字",
    ]


def test_only_a_terminal_gets_wrapped_lines() -> None:
    line = Shown("word " * 40)
    assert list(fitted([line], io.StringIO(), {"TERM": "xterm"})) == [line]
    assert len(list(fitted([line], Tty(), {"TERM": "xterm"}))) == 3


def test_wide_and_combining_characters_are_counted() -> None:
    assert [width(Shown(text)) for text in ("ab", "字", "e\u0301", "→")] == [2, 2, 1, 1]
    assert fit(Shown("字字字"), 5) == "字字…"
    assert fit(Shown("字字字"), 4) == "字…"
    assert fit(Shown("abc"), 3) == "abc"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x07", "link"),
        ("\x1b(Btext\x1b7", "text"),
        ("\x1bP+q\x1b\\dcs", "dcs"),
        ("cut \x1b[3", "cut \\x1b[3"),
        ("\u202eevil", "\\u202eevil"),
    ],
)
def test_plain_drops_colours_and_keeps_the_rest_inert(text: str, shown: str) -> None:
    assert plain(text) == shown


@pytest.mark.parametrize(
    ("environ", "terminal", "coloured"),
    [
        ({"TERM": "xterm"}, True, True),
        ({"TERM": "xterm", "NO_COLOR": "1"}, True, False),
        ({"TERM": "xterm", "NO_COLOR": ""}, True, True),
        ({"TERM": "dumb"}, False, False),
        ({}, False, False),
    ],
)
def test_colours_are_for_terminals_that_want_them(
    environ: Mapping[str, str], terminal: bool, coloured: bool
) -> None:
    assert is_terminal(Tty(), environ) is terminal
    assert palette_for(Tty(), environ) == Palette(coloured)
    assert palette_for(io.StringIO(), environ) == Palette(False)


def test_paint() -> None:
    assert Palette(True).paint(Shown("PASS"), "green") == "\x1b[32mPASS\x1b[0m"
    assert Palette(False).paint(Shown("PASS"), "green") == "PASS"


def test_a_closed_stream_is_no_terminal() -> None:
    stream = io.StringIO()
    stream.close()
    assert not is_terminal(stream, {"TERM": "xterm"})


def test_lines_nobody_reads_are_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w", encoding="utf-8") as stream:
        assert not write_lines(stream, [Shown("x" * 100_000)])
        assert write_lines(stream, [Shown("now nowhere")])


def test_a_stream_that_lacks_characters_replaces_them() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    tolerate(stream)
    assert write_lines(stream, [Shown("a → b")])
    assert raw.getvalue() == b"a ? b\n"
    tolerate(io.StringIO())
