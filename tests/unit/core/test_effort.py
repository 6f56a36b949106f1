"""What comparing takes, from bytes alone, and what is refused by it. That Git counts no less is in
test_objects.
"""

from __future__ import annotations

import hashlib

import pytest

from factory.judge.effort import (
    LARGE,
    MOST,
    MOST_BYTES,
    Effort,
    Measured,
    effort_of,
    judge_bytes,
    judge_effort,
    judge_overdue,
    measured,
)
from factory.judge.judge import rules_of
from factory.judge.scope import compile_patterns
from factory.model.pack import Limits
from factory.model.tree import MODE_EXECUTABLE, MODE_FILE, MODE_SUBMODULE, Difference, Leaf
from tests.pack_values import pack

CONTENTS = {
    "none": b"", "one": b"a\n", "open": b"a", "three": b"a\nb\nc", "binary": b"a\n\0\n",
    "late": b"x" * 8000 + b"\0\n\n",
}  # fmt: skip
BLOBS = {name: measured(content) for name, content in CONTENTS.items()}
RULES = rules_of(pack(limits=Limits(changed_lines=5)), compile_patterns(()))


def change(before: str, after: str, mode: int = MODE_FILE) -> Difference:
    return Difference(
        "f", Leaf(MODE_FILE, before) if before else None, Leaf(mode, after) if after else None
    )


@pytest.mark.parametrize(
    ("before", "after", "least", "lines"),
    [
        ("", "three", 3, 3),
        ("three", "", 3, 3),
        ("one", "three", 2, 4),
        ("one", "open", 0, 2),
        ("none", "one", 1, 1),
        ("", "none", 0, 0),
        ("three", "binary", 0, 0),
        ("binary", "three", 0, 0),
        ("", "late", 2, 2),
        ("", "held back", 0, 0),
    ],
)
def test_lines_of_a_change(before: str, after: str, least: int, lines: int) -> None:
    assert effort_of([change(before, after)], BLOBS) == Effort(least, lines)


def test_a_mode_and_a_submodule_have_no_lines() -> None:
    changes = [change("three", "three", MODE_EXECUTABLE), change("", "three", MODE_SUBMODULE)]
    assert effort_of(changes, BLOBS) == Effort()


def test_all_files_count() -> None:
    assert effort_of([change("", "three"), change("three", "one")], BLOBS) == Effort(5, 7)


@pytest.mark.parametrize(
    ("effort", "message"),
    [
        (
            Effort(LARGE, LARGE),
            "",
        ),  # what is small is compared, so that the patch shows what was too much
        (Effort(5, LARGE + 1), ""),
        (Effort(5, MOST), ""),
        (
            Effort(6, LARGE + 1),
            (
                "at least 6 lines were changed; limits.changed_lines allows 5, "
                "and so large a change is neither compared nor kept"
            ),
        ),
        (
            Effort(0, MOST + 1),
            (
                "10000001 lines are to be compared; expected at most 10000000, so the change is not"
                " kept"
            ),
        ),
    ],
)
def test_what_is_refused_uncompared(effort: Effort, message: str) -> None:
    found = judge_effort(RULES, effort)
    assert [finding.message for finding in found] == [message] * bool(message)
    assert all(
        (finding.id, finding.hint, finding.blocks) == ("CHANGE_TOO_LARGE", "Split the work.", True)
        for finding in found
    )


def test_what_took_too_long() -> None:
    (finding,) = judge_overdue(RULES, 30.0)
    assert (finding.id, finding.message, finding.hint) == (
        "CHANGE_TOO_LARGE",
        (
            "expected to compare the change line by line within 30 seconds, found that it takes longer,"
            " so it is not kept"
        ),
        "Change fewer lines of large files in one pack, or raise limits.timeout.",
    )


def test_what_is_measured() -> None:
    digest = hashlib.sha256(b"a\n\0\n").hexdigest()
    assert measured(b"a\n\0\n") == Measured(4, None, digest)
    assert measured(b"a\nb").lines == 2


def test_more_bytes_than_git_compares_in_memory_are_not_kept() -> None:
    assert judge_bytes(RULES, [MOST_BYTES - 1, 1]) == ()
    (finding,) = judge_bytes(RULES, [MOST_BYTES, 1])
    assert (finding.id, finding.hint, finding.blocks) == (
        "CHANGE_TOO_LARGE",
        "Split the work, or keep what is large out of the change.",
        True,
    )
    assert finding.message == (
        "the changed files have 268435457 bytes, old and new together; expected at most 268435456,"
        " so the change is not kept"
    )
