"""The ledger as a history: which events are wanted, and what speaks against a checkpoint."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.evidence.history import (
    EventFilter,
    instant_of,
    judge_checkpoint,
    judge_clock,
    judge_fork,
    judge_origin,
    judge_pair,
    prove_consistency,
    select,
)
from factory.log.chain import Head
from factory.log.checkpoint import Checkpoint
from factory.log.merkle import leaf_hash, root_of, verify_consistency
from factory.model.event import Entry
from factory.model.evidence import EventDocument
from tests.ledger_lines import link

ORIGIN = "codex-orchestrator/ledger/0"
LINES = [b"line %d" % number for number in range(9)]


def chained(*entries: tuple[Entry, str]) -> tuple[EventDocument, ...]:
    head, events = Head(), []
    for entry, time in entries:
        event = link(head, entry, time)
        head = Head(event.seq, event.event_id)
        events.append(event)
    return tuple(events)


EVENTS = chained(
    (Entry("run.started", "r1"), "2026-01-31T10:00:00.000Z"),
    (Entry("pack.finished", "r1", rc=2, details={"status": "BLOCKED"}), "2026-01-31T10:00:05.250Z"),
    (Entry("run.started", "r2", actor="worker"), "2026-02-01T00:00:00.000Z"),
    (Entry("pack.finished", "r2", details={"status": "PASS"}), "2026-02-01T08:30:59.999Z"),
)


NOW = "2026-03-01T00:00:00.000Z"


@pytest.mark.parametrize(
    ("newest", "committed", "said"),
    [
        ("", 0, ""),
        ("2024-01-01T00:00:00.000Z", 0, ""),  # a repository that rested
        ("2026-03-01T23:00:00.000Z", 1772400000, ""),  # within a day
        ("2026-03-04T00:00:00.000Z", 0, "3 days before the newest event of the ledger (2026-03-04"),
        ("2026-03-04T00:00:00.000Z", 1773100800, "9 days before the base commit (2026-03-10T00"),
        ("", 99999999999, "before the base commit (5138-11-16T09:46:39)"),
    ],
)
def test_a_clock_behind_what_was_recorded_is_named(newest: str, committed: int, said: str) -> None:
    found = judge_clock(NOW, newest, committed)
    assert [said in one.message for one in found] == ([True] if said else [])


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (EventFilter(), [1, 2, 3, 4]),
        (EventFilter(run_id="r1"), [1, 2]),
        (EventFilter(event_type="pack.finished"), [2, 4]),
        (EventFilter(actor="worker"), [3]),
        (EventFilter(status="PASS"), [4]),
        (EventFilter(rc=0), [1, 3, 4]),
        (EventFilter(rc=2), [2]),
        (EventFilter(since="2026-02-01T00:00:00.000Z"), [3, 4]),
        (EventFilter(until="2026-01-31T23:59:59.999Z"), [1, 2]),
        (EventFilter(since="2026-01-31T10:00:05.250Z", until="2026-02-01T00:00:00.000Z"), [2, 3]),
        (EventFilter(limit=1), [4]),
        (EventFilter(event_type="run.started", limit=9), [1, 3]),
        (EventFilter(run_id="r1", status="PASS"), []),
    ],
)
def test_every_member_that_is_set_must_agree(wanted: EventFilter, expected: list[int]) -> None:
    assert [event.seq for event in select(EVENTS, wanted)] == expected


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("2026-01-31", "2026-01-31T00:00:00.000Z", "2026-01-31T23:59:59.999Z"),
        ("2026-01-31T12:30Z", "2026-01-31T12:30:00.000Z", "2026-01-31T12:30:59.999Z"),
        ("2026-01-31T12:30:07Z", "2026-01-31T12:30:07.000Z", "2026-01-31T12:30:07.999Z"),
        ("2026-01-31T12:30:07.5Z", "2026-01-31T12:30:07.500Z", "2026-01-31T12:30:07.500Z"),
        ("2026-01-31T12:30:07.1239Z", "2026-01-31T12:30:07.123Z", "2026-01-31T12:30:07.123Z"),
    ],
)
def test_a_day_or_time_is_both_its_ends(text: str, first: str, last: str) -> None:
    assert (instant_of(text), instant_of(text, end=True)) == (first, last)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026",
        "2026-02-30",
        "2026-01-31T25:00Z",
        "2026-01-31T12:30",
        "2026-01-31T12:30:61Z",
    ]
    + [
        "2026-01-31T12:30:07.Z",
        "2026-01-31T12:30:.5Z",
        "2026-01-31T12:30:0.1.2Z",
        "2026-01-31 12:30Z",
    ],
)
def test_what_no_calendar_has_is_refused(text: str) -> None:
    for end in (False, True):
        with pytest.raises(ValueError, match=r"."):
            instant_of(text, end=end)


def at(size: int, lines: list[bytes] = LINES, origin: str = ORIGIN) -> Checkpoint:
    return Checkpoint(origin, size, root_of(lines[:size]))


def judged(checkpoint: Checkpoint, lines: list[bytes]) -> str:
    finding = judge_checkpoint(checkpoint, "r1", ORIGIN, iter(lines), len(lines))
    return f"{finding.id}: {finding.message}" if finding is not None else ""


@pytest.mark.parametrize("size", range(len(LINES) + 1))
def test_nothing_speaks_against_an_honest_checkpoint(size: int) -> None:
    assert judged(at(size), LINES) == ""


@given(st.integers(1, 9), st.data())
def test_each_way_to_change_history_has_its_name(size: int, data: st.DataObject) -> None:
    checkpoint = at(size)
    cut = data.draw(st.integers(0, size - 1))
    assert (
        judged(checkpoint, LINES[:cut])
        == f"LEDGER_ROLLED_BACK: r1 was made over {size} event{'s' * (size != 1)}, "
        f"the ledger has {cut}: its end was taken away"
    )
    changed = data.draw(st.integers(0, size - 1))
    rewritten = [b"forged" if index == changed else line for index, line in enumerate(LINES)]
    sentence = f"LEDGER_REWRITTEN: the ledger up to event {size} is not what r1 was made over"
    assert judged(checkpoint, rewritten) == sentence
    assert judged(checkpoint, LINES[:changed] + LINES[changed + 1 :] + [b"more"]) == sentence


def test_another_ledger_is_called_so() -> None:
    assert (
        judged(at(3, origin="codex-orchestrator/ledger/1"), LINES)
        == "LEDGER_OTHER: r1 is a checkpoint of codex-orchestrator/ledger/1, this ledger is"
        " codex-orchestrator/ledger/0"
    )


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (at(3), at(5), ""),
        (at(5), at(5), ""),
        (
            at(5),
            at(3),
            "LEDGER_ROLLED_BACK: b was made over 3 events, a over 5: expected the older one first",
        ),
        (
            at(5),
            at(5, [b"x"] * 9),
            "LEDGER_FORKED: a and b name different roots of the same 5 events",
        ),
        (at(3, origin="x"), at(5), f"LEDGER_OTHER: a is a checkpoint of x, b of {ORIGIN}"),
    ],
)
def test_two_checkpoints_against_each_other(
    old: Checkpoint, new: Checkpoint, expected: str
) -> None:
    finding = judge_pair(old, new, ("a", "b"))
    assert (f"{finding.id}: {finding.message}" if finding is not None else "") == expected


def test_a_run_of_another_ledger_must_not_be_told_in_this_one() -> None:
    others = [("r1", at(3, origin="other/1")), ("r2", at(5, origin="other/2"))]
    assert judge_origin(others, ORIGIN, frozenset({"r3"})) is None
    assert judge_origin((), ORIGIN, frozenset({"r2"})) is None
    finding = judge_origin(others, ORIGIN, frozenset({"r2", "r3"}))
    assert finding is not None
    assert (finding.id, finding.message) == (
        "LEDGER_REWRITTEN",
        f"r2 is in this ledger, {ORIGIN}, and its checkpoint is of other/2: another first event",
    )


def test_a_ledger_that_was_rewritten_after_a_checkpoint_of_its_own_is_forked() -> None:
    rewritten = judge_checkpoint(at(5), "new", ORIGIN, iter([b"x"] * 9), 9)
    shorter = judge_checkpoint(at(5), "new", ORIGIN, iter(LINES[:3]), 3)
    assert rewritten is not None
    assert shorter is not None
    assert judge_fork(None, "old") is None
    assert judge_fork(shorter, "old") is shorter
    forked = judge_fork(rewritten, "old")
    assert forked is not None
    assert (forked.id, forked.message) == (
        "LEDGER_FORKED",
        f"old is of this ledger, and after it history went two ways: {rewritten.message}",
    )


@pytest.mark.parametrize("new", range(1, 10))
def test_consistency_is_proved_for_honest_pairs_only(new: int) -> None:
    hashes = [leaf_hash(line) for line in LINES]
    for old in range(new + 1):
        found = prove_consistency(hashes, at(old), at(new))
        assert found is not None
        assert verify_consistency(old, new, found.path, at(old).root, at(new).root)
        if old:
            assert prove_consistency(hashes, at(old, [b"x"] * 9), at(new)) is None
