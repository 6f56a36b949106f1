"""What may act on a person's terminal passes whole; everything that answers, writes or lasts is
dropped.
"""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.sandbox.terminal_filter import TerminalFilter

PASSES = {
    "colours": b"\x1b[1;38;5;196mred\x1b[0m",
    "true colour": b"\x1b[38:2::1:2:3mx\x1b[m",
    "moves": b"\x1b[2;3H\x1b[A\x1b[10C\x1b[5d\x1b[3G",
    "erasing": b"\x1b[2J\x1b[K\x1b[1J\x1b[3P\x1b[2X\x1b[L\x1b[M\x1b[4@",
    "scrolling": b"\x1b[2;20r\x1b[3S\x1b[T\x1bM\x1bD\x1bE",
    "the alternate screen": b"\x1b[?1049h\x1b[?1049l",
    "the cursor": b"\x1b[?25l\x1b[?25h\x1b7\x1b8\x1b[s\x1b[u\x1b[5 q",
    "line drawing": b"\x1b(0lqk\x1b(B\x1b)0\x0eq\x0f",
    "keypad and cursor keys": b"\x1b[?1h\x1b=\x1b[?1l\x1b>",
    "bracketed paste": b"\x1b[?2004h\x1b[?2004l",
    "insert mode": b"\x1b[4hx\x1b[4l",
    "control characters": b"a\tb\r\nc\x08\x07",
    "other scripts": "żółć 日本 👩‍🚀 é".encode(),
    "soft reset": b"\x1b[!p",
    "repeat": b"-\x1b[79b",
}

DROPPED = {
    "a clipboard": b"\x1b]52;c;aGk=\x07",
    "a clipboard, ended by ST": b"\x1b]52;c;aGk=\x1b\\",
    "a title": b"\x1b]0;evil\x07",
    "a link": b"\x1b]8;;http://evil/\x1b\\",
    "a palette question": b"\x1b]4;0;?\x07",
    "DECRQSS": b"\x1bP$qm\x1b\\",
    "terminfo question": b"\x1bP+q544e\x1b\\",
    "sixel": b"\x1bPq#0;2;0;0;0#0~~\x1b\\",
    "APC": b"\x1b_Gf=100;AAAA\x1b\\",
    "PM and SOS": b"\x1b^x\x1b\\\x1bXy\x1b\\",
    "device status": b"\x1b[6n\x1b[5n\x1b[?6n",
    "device attributes": b"\x1b[c\x1b[>c\x1b[=c\x1bZ\x1b[0c",
    "answerback": b"\x05",
    "title report and window operations": b"\x1b[21t\x1b[18t\x1b[3;0;0t",
    "terminal parameters": b"\x1b[x",
    "mode question": b"\x1b[?1$p\x1b[4$p",
    "checksum": b"\x1b[1;1;1;1;5;5*y",
    "printing": b"\x1b[5i\x1b[?5i",
    "mouse": b"\x1b[?1000h\x1b[?1003h\x1b[?1006h",
    "mouse highlight": b"\x1b[1;2;3;4;5T",
    "focus reports": b"\x1b[?1004h",
    "what scrolled away": b"\x1b[3J",
    "keyboard protocols": b"\x1b[>4;2m\x1b[>1u\x1b[?u\x1b[=1;1u",
    "left and right margins": b"\x1b[3;20s",
    "another encoding": b"\x1b%@\x1b%G",
    "full reset": b"\x1bc",
    "single characters that introduce": "\x9b6n\x9d52;c;aGk=\x9c\x90".encode()[:1],
    "NUL, XON, XOFF, DEL": b"\x00\x11\x13\x7f",
    "no end": b"\x1b[" + b"1;" * 400,
    "large numbers": b"\x1b[99999999b\x1b[100000C",
}

CONTROL = r"[\x07\x08\t\n\x0b\x0c\r\x0e\x0f]"
SEQUENCE = (
    r"\x1b(?:[78DEHM=>]|[()][0AB]|\[[0-9:;]*[A-HILMPSTXZ@JKa`bdefghlmrsu]|\[\?[0-9;]+[hl]|\[[0-6]?"
    r" q|\[!p)"
)
SOUND = re.compile(rf"(?:[ -~\u00a0-\U0010ffff]|{CONTROL}|{SEQUENCE})*")

pieces = st.one_of(
    st.sampled_from(
        [*PASSES.values(), *DROPPED.values(), b"\x1b", b"\x1b[", b"\x1b]", b"\x9b", b"\xc2\x9b"]
    ),
    st.binary(max_size=12),
    st.text(max_size=12).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.text("\x1b[]?;:0123456789hlmJKnctPqbuprst!$ >=\x07\\", max_size=16).map(str.encode),
)
streams = st.lists(pieces, max_size=12).map(b"".join)


def passed(stream: bytes, **how: bool) -> bytes:
    return TerminalFilter(**how).feed(stream)


@pytest.mark.parametrize("name", PASSES)
def test_what_a_program_draws_with_passes(name: str) -> None:
    assert passed(PASSES[name]) == PASSES[name]


@pytest.mark.parametrize("name", DROPPED)
def test_what_answers_writes_or_lasts_is_dropped_whole(name: str) -> None:
    assert passed(b"a" + DROPPED[name] + b"\x18").replace(b"\xef\xbf\xbd", b"") == b"a"


def test_after_what_was_dropped_the_stream_goes_on() -> None:
    for dropped in DROPPED.values():
        assert passed(dropped + b"\x18\x1b[1mb").endswith(b"\x1b[1mb")


def test_introducers_as_single_characters_do_not_pass_in_any_spelling() -> None:
    assert passed("\x9b6n".encode()) == b"6n"
    assert passed(b"\x9b6n") == "\ufffd6n".encode()
    assert passed("\x85\x84".encode()) == b""


def test_of_several_modes_only_those_allowed_pass() -> None:
    assert passed(b"\x1b[?1049;1000;25h") == b"\x1b[?1049;25h"


def test_a_control_character_breaks_a_sequence_off_and_acts() -> None:
    assert passed(b"\x1b[3\n1mx") == b"\n1mx"


def test_bidirectional_and_invisible_characters_are_shown_as_such() -> None:
    assert (
        passed("a\u202eb\u2066c\u2028d\U000e0041".encode()).decode()
        == "a\ufffdb\ufffdc\ufffdd\ufffd"
    )


def test_a_terminal_that_does_not_read_utf_8_gets_none() -> None:
    assert passed("Û\u009b6n é".encode(), ascii_only=True) == b"?6n ?"


def test_the_end_undoes_what_was_changed() -> None:
    stream = TerminalFilter()
    stream.feed(b"\x1b[?1049h\x1b[?25l\x1b[?1h\x1b[?2004h\x1b[?2004l\x1b[31m\x1b]0;")
    end = stream.end()
    assert all(
        each in end
        for each in (b"\x1b[?1049l", b"\x1b[?25h", b"\x1b[?1l", b"\x1b[m", b"\x0f", b"\x1b(B")
    )
    assert b"2004" not in end
    assert SOUND.fullmatch(end.decode())
    assert stream.feed(b"plain") == b"plain"


def test_nothing_is_undone_where_nothing_was_done() -> None:
    stream = TerminalFilter()
    stream.feed(b"plain \x1b]0;title\x07 text\r\n")
    assert stream.end() == b""


@given(streams)
def test_whatever_comes_only_the_allowed_passes(stream: bytes) -> None:
    assert SOUND.fullmatch(passed(stream).decode("utf-8"))


@given(streams)
def test_in_ascii_nothing_else_passes(stream: bytes) -> None:
    assert passed(stream, ascii_only=True).isascii()


@given(streams, st.lists(st.integers(0, 200), max_size=8))
def test_every_cut_gives_the_same(stream: bytes, cuts: list[int]) -> None:
    split = TerminalFilter()
    at = sorted({0, len(stream), *(min(cut, len(stream)) for cut in cuts)})
    parts = [split.feed(stream[start:stop]) for start, stop in itertools.pairwise(at)]
    assert b"".join(parts) == passed(stream)


@given(streams)
def test_what_passed_passes_again(stream: bytes) -> None:
    once = passed(stream)
    assert passed(once) == once


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126)))
def test_plain_text_is_not_touched(text: str) -> None:
    assert passed(text.encode()) == text.encode()
