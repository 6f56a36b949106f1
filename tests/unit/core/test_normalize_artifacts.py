"""Logs: what varies goes, what acts goes, the rest stays as it was printed."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.steady.normal_text import Counts, constant_tokens
from factory.steady.normalize_artifacts import normalize_log, pieces


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


PARTS = st.lists(
    st.sampled_from(
        [
            b"\n", b"\r", b"\r\n", b"a", b" ", b"1", b"2026-11-22T10:15:02Z", b"10:15:02", b"1.5s", b"12 ms", b"0x123abc",
            b"pid 7", b"/tmp/tmpx/y", b"\x1b", b"\x1b]", b"\x1b[1m", b"\x1b\\", b"\\", b"]", b"\x07", b"\x00", b"\xe2\x82",
            b"\xac", b"\xff", "é".encode(), "٣".encode(),
        ]
    ),
    max_size=30,
).map(b"".join)  # fmt: skip


@given(PARTS, st.integers(1, 60))
def test_in_pieces_a_log_has_the_same_normal_form(raw: bytes, size: int) -> None:
    parts = list(pieces(raw, size))
    assert b"".join(parts) == raw
    assert all(len(part) >= size and part.endswith(b"\n") for part in parts[:-1])
    assert b"".join(map(normalize_log, parts)) == as_a_whole(raw)


OLD_RULES = (
    (r"\b\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(?:[.,]\d+)?(?:Z|[+-]\d{2}:?\d{2})?", "<TIME>"),
    (r"\b\d{2}:\d{2}:\d{2}(?:[.,]\d+)?\b", "<TIME>"),
    (r"\b\d+(?:\.\d+)? ?(?:ns|us|µs|ms|s|sec|secs|seconds?|minutes?)\b", "<DURATION>"),
    (r"\b0x[0-9a-fA-F]{6,16}\b", "<ADDRESS>"),
    (r"/tmp/[A-Za-z0-9._-]*(?:tmp|pytest-of-)[A-Za-z0-9._/-]*", "<TMP>"),
    (r"\b(pid|PID)([ =:]+)\d+\b", r"\1\2<PID>"),
)


def plainly(text: str) -> str:
    """The tokens of a text made constant by the rules as one would write them."""
    for pattern, constant in OLD_RULES:
        text = re.sub(pattern, constant, text)
    return text


def as_a_whole(raw: bytes) -> bytes:
    """The normal form of a log by the rules as one would write them, over all of it at once."""
    text = raw.decode("utf-8", "replace")
    text = re.sub(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])", "", text)
    text = "\n".join(line.rstrip("\r").rsplit("\r", 1)[-1] for line in text.split("\n"))
    text = plainly(re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", "\ufffd", text))
    return (text if not text or text.endswith("\n") else text + "\n").encode()


@given(st.text(st.sampled_from("0123459:.,-+TZ xabpidPIDmsnuµec=/ty_\n٣é"), max_size=60))
def test_tokens_are_those_of_the_rules_as_one_would_write_them(text: str) -> None:
    assert constant_tokens(text, Counts()) == plainly(text)


def test_a_title_over_many_lines_is_one_sequence() -> None:
    raw = b"a\n\x1b]0;t" + b"\nlong" * 100 + b"\x07b\nc\n" + b"\x1b]never\n" * 3
    assert normalize_log(raw) == as_a_whole(raw)
    assert b"".join(map(normalize_log, pieces(raw, 8))) == as_a_whole(raw)
