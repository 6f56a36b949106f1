"""The checker tells files apart by content alone and never raises or waits."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.engine.doit_checker import ABSENT, UNKNOWN, ContentChecker, digest_of, expect


@given(st.binary(max_size=300), st.integers(0, 200_000))
def test_the_digest_is_that_of_all_bytes(
    tmp_path_factory: pytest.TempPathFactory, head: bytes, zeros: int
) -> None:
    path = tmp_path_factory.mktemp("file") / "file"
    content = head + bytes(zeros)
    path.write_bytes(content)
    assert digest_of(str(path)) == hashlib.sha256(content).hexdigest()


def test_what_is_no_plain_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").write_text("x", encoding="utf-8")
    (tmp_path / "zero").symlink_to("/dev/zero")
    assert digest_of(str(tmp_path / "none")) == ABSENT
    assert digest_of(str(tmp_path / "file" / "below")) == ABSENT
    for name in ("", "fifo", "loop", "zero"):
        assert digest_of(str(tmp_path / name)) == UNKNOWN


def test_times_do_not_count_and_sizes_do_not_either(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("one", encoding="utf-8")
    expect([str(path)])
    checker = ContentChecker()
    stored = checker.get_state(str(path), None)
    os.utime(path, (1, 1))
    assert not checker.check_modified(str(path), checker.info(str(path)), stored)
    path.write_text("two", encoding="utf-8")
    os.utime(path, (1, 1))
    assert checker.check_modified(str(path), checker.info(str(path)), stored)
    assert checker.exists(str(path))


@pytest.mark.parametrize(
    ("now", "stored", "modified"),
    [
        (ABSENT, ABSENT, False),
        (ABSENT, "a" * 64, True),
        (UNKNOWN, UNKNOWN, True),
        ("a" * 64, [1, 2], True),
    ],
)
def test_what_counts_as_modified(now: str, stored: object, modified: bool) -> None:
    assert ContentChecker().check_modified("", now, stored) is modified


def test_a_file_of_no_card_is_compared_as_doit_does(tmp_path: Path) -> None:
    path = tmp_path / "own"
    path.write_text("one", encoding="utf-8")
    checker = ContentChecker()
    stored = checker.get_state(str(path), None)
    assert checker.get_state(str(path), stored) is None, "unchanged by its time: not read again"
    assert not checker.check_modified(str(path), checker.info(str(path)), stored)
    assert checker.check_modified(str(path), checker.info(str(path)), "a" * 64), "was a card's"
    path.unlink()
    with pytest.raises(FileNotFoundError):
        checker.info(str(path))
    expect([str(path)])
    assert checker.info(str(path)) == ABSENT
