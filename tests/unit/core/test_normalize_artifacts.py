"""Logs: what varies goes, what acts goes, the rest stays as it was printed."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.steady.normalize_artifacts import normalize_log


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"", ""),
        (b"plain", "plain\n"),
        (b"plain\n", "plain\n"),
        (b"a\r\nb\r\n", "a\nb\n"),
        (b" 10%\r 50%\r100%\n", "100%\n"),
        (b"\x1b[1;31mred\x1b[0m \x1b]0;title\x07x\x1b]8;;http://e\x1b\\y\x1bM\n", "red xy\n"),
        (b"bell\x07 nul\x00 del\x7f c1\xc2\x9b\ttab\n", "bell� nul� del� c1�\ttab\n"),
        (b"\xff\xfe\n", "��\n"),
        (b"at 2026-11-22T10:15:02.123Z and 2026-11-22 10:15:02+01:00\n", "at <TIME> and <TIME>\n"),
        (b"[10:15:02] 10:15:02,5 x\n", "[<TIME>] <TIME> x\n"),
        (b"3 passed in 0.12s\n", "3 passed in <DURATION>\n"),
        ("Ran 3 tests in 0.001s, 5 µs, 1.5 seconds, 2 minutes\n".encode(),
         "Ran 3 tests in <DURATION>, <DURATION>, <DURATION>, <DURATION>\n"),
        (b"<object at 0x7f0123456789>\n", "<object at <ADDRESS>>\n"),
        (b"/tmp/pytest-of-root/pytest-0/x and /tmp/tmpab12/y end\n", "<TMP> and <TMP> end\n"),
        (b"pid 123 PID=77 pid: 5\n", "pid <PID> PID=<PID> pid: <PID>\n"),
        (b"3 files, 12 lines, version 1.2.3, 0xff\n", "3 files, 12 lines, version 1.2.3, 0xff\n"),
        ("Größe – 日本\n".encode(), "Größe – 日本\n"),
    ],
)  # fmt: skip
def test_examples(raw: bytes, expected: str) -> None:
    assert normalize_log(raw).decode() == expected


@given(st.binary(max_size=200))
def test_no_control_character_and_one_end_of_line(raw: bytes) -> None:
    text = normalize_log(raw).decode("utf-8")
    assert all(char in "\n\t" or unicodedata.category(char) != "Cc" for char in text)
    assert text == "" or text.endswith("\n")


@given(st.text(st.characters(categories=("L", "Zs")), max_size=60))
def test_plain_words_are_kept(text: str) -> None:
    assert normalize_log(text.encode()).decode() == (text + "\n" if text else "")


@given(st.integers(0, 23), st.integers(0, 59), st.integers(0, 999), st.integers(0, 10**9))
def test_two_moments_print_one_log(hour: int, minute: int, rest: int, number: int) -> None:
    line = (
        f"{hour:02}:{minute:02}:07.{rest} took {rest}.5 ms at {number + 0x100000:#x} pid {number}\n"
    )
    assert normalize_log(line.encode()) == b"<TIME> took <DURATION> at <ADDRESS> pid <PID>\n"
