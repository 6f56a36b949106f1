"""The state of a ledger: what it tells of the runs, that it grows line by line, and what it is
kept as.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

import pytest

from factory.log.chain import GENESIS, Head
from factory.log.merkle import EMPTY_ROOT, root_of
from factory.model.event import Entry
from factory.model.evidence_text import EvidenceError
from factory.model.ledger_chain import chained
from factory.model.ledger_state import (
    KEPT_ROOTS,
    LedgerState,
    LineError,
    UnfinishedRun,
    extended,
    format_state,
    parse_state,
)
from factory.strict import canonical

WHEN = "2026-11-22T00:00:00.000Z"
DIGEST = hashlib.sha256(b"the ledger").hexdigest()
HISTORY = (
    ("run.started", "one"),
    ("pack.finished", "one"),
    ("branch.prepared", "one"),
    ("integrate.prepared", "one"),
    ("run.started", "two"),
    ("integrate.finished", "one"),
    ("run.started", "three"),
    ("run.abandoned", "two"),
    ("branch.prepared", "four"),
    ("branch.created", "one"),
)


def lines_of(*told: tuple[str, str]) -> tuple[bytes, ...]:
    events = chained(Head(), [Entry(event_type, run) for event_type, run in told], WHEN)
    return tuple(line for line, _ in events)


def ids_of(lines: tuple[bytes, ...]) -> list[str]:
    return [json.loads(line)["event_id"] for line in lines]


LINES = lines_of(*HISTORY)
IDS = ids_of(LINES)
WHOLE = extended(LedgerState(), LINES)


def test_an_empty_ledger_stands_at_genesis() -> None:
    nothing = extended(LedgerState(), ())
    assert nothing == LedgerState()
    assert (nothing.size, nothing.head, nothing.first, nothing.tree.root) == (
        0,
        Head(0, GENESIS),
        "",
        EMPTY_ROOT,
    )


def test_size_first_head_and_root_are_those_of_the_lines() -> None:
    assert WHOLE.size == len(b"".join(line + b"\n" for line in LINES))
    assert (WHOLE.first, WHOLE.head) == (IDS[0], Head(len(LINES), IDS[-1]))
    assert (WHOLE.tree.size, WHOLE.tree.root) == (len(LINES), root_of(LINES))


def test_runs_without_an_end_are_told_with_what_began_them() -> None:
    assert WHOLE.begun == {"three": UnfinishedRun(IDS[6])}
    assert WHOLE.abandoned == {"two"}
    assert extended(LedgerState(), LINES[:5]).begun == {
        "one": UnfinishedRun(IDS[0], IDS[3]),
        "two": UnfinishedRun(IDS[4]),
    }


def test_a_branch_is_open_from_its_preparation_to_its_end() -> None:
    assert extended(LedgerState(), LINES[:3]).branching == {"one"}
    assert extended(LedgerState(), LINES[:9]).branching == {"one", "four"}
    assert WHOLE.branching == {"four"}
    assert (
        extended(
            LedgerState(), lines_of(("branch.prepared", "r"), ("branch.abandoned", "r"))
        ).branching
        == frozenset()
    )


@pytest.mark.parametrize(
    "event_type", ["integrate.prepared", "integrate.finished", "run.abandoned"]
)
def test_a_run_that_never_started_is_not_begun(event_type: str) -> None:
    state = extended(LedgerState(), lines_of((event_type, "r")))
    assert state.begun == {}
    assert state.abandoned == ({"r"} if event_type == "run.abandoned" else frozenset())


def test_the_trees_before_and_after_an_end_are_kept() -> None:
    assert {number: (tree.size, tree.root) for number, tree in WHOLE.before.items()} == {
        6: (5, root_of(LINES[:5]))
    }
    assert WHOLE.roots == {6: root_of(LINES[:6])}


@pytest.mark.parametrize("cut", range(len(LINES) + 1))
def test_a_state_goes_on_wherever_it_was_left(cut: int) -> None:
    assert extended(extended(LedgerState(), LINES[:cut]), LINES[cut:]) == WHOLE


def test_the_first_line_that_does_not_follow_is_named_by_its_number() -> None:
    with pytest.raises(LineError, match=r"event 4 follows .*, expected seq 3 after ") as caught:
        extended(LedgerState(), LINES[:2] + LINES[3:])
    assert caught.value.line == 3
    with pytest.raises(LineError) as later:
        extended(extended(LedgerState(), LINES[:4]), (LINES[4], b"{}"))
    assert later.value.line == 6


@pytest.mark.parametrize("cut", range(1, len(LINES) + 1))
def test_what_is_kept_is_read_back(cut: int) -> None:
    state = extended(LedgerState(), LINES[:cut])
    kept, digest = parse_state(format_state(state, DIGEST))
    assert digest == DIGEST
    assert (kept.size, kept.head, kept.first, kept.tree) == (
        state.size, state.head, state.first, state.tree,
    )  # fmt: skip
    assert (kept.begun, kept.abandoned, kept.branching) == (
        state.begun,
        state.abandoned,
        state.branching,
    )
    assert (kept.roots, kept.before) == (state.roots, {})
    rest = extended(kept, LINES[cut:])
    assert (rest.head, rest.tree, rest.begun, rest.roots) == (
        WHOLE.head,
        WHOLE.tree,
        WHOLE.begun,
        WHOLE.roots,
    )


def test_of_the_roots_only_the_last_are_kept() -> None:
    state = extended(
        LedgerState(), lines_of(*(("integrate.finished", f"r{n}") for n in range(KEPT_ROOTS + 3)))
    )
    kept, _ = parse_state(format_state(state, DIGEST))
    assert sorted(state.roots) == list(range(1, KEPT_ROOTS + 4))
    assert sorted(kept.roots) == list(range(4, KEPT_ROOTS + 4))
    assert all(kept.roots[number] == state.roots[number] for number in kept.roots)


GOOD: Mapping[str, object] = json.loads(format_state(WHOLE, DIGEST))
ODD: tuple[Mapping[str, object], ...] = (
    {"schema_version": 2},
    {"sha256": "0" * 63},
    {"sha256": 7},
    {"size": 0},
    {"size": "many"},
    {"seq": 0, "peaks": []},
    {"seq": 7},
    {"event_id": "X" * 64},
    {"first": None},
    {"peaks": ["00"]},
    {"peaks": 5},
    {"begun": {"r": ["a", "b", "c"]}},
    {"begun": ["r"]},
    {"abandoned": ["b", "a"]},
    {"abandoned": ["a", "a"]},
    {"branching": 1},
    {"roots": {"six": "0" * 64}},
    {"roots": {"06": "0" * 64}},
    {"more": 1},
)


@pytest.mark.parametrize(
    "odd", ODD, ids=[" ".join(f"{name}={value}"[:30] for name, value in o.items()) for o in ODD]
)
def test_what_would_not_be_printed_so_is_no_standing(odd: Mapping[str, object]) -> None:
    with pytest.raises(EvidenceError, match=r"^(is no state of a ledger|expected 64 hex digits)$"):
        parse_state(canonical.encode({**GOOD, **odd}))


@pytest.mark.parametrize("name", sorted(GOOD))
def test_a_state_that_lacks_a_member_is_none(name: str) -> None:
    with pytest.raises(EvidenceError, match="is no state of a ledger"):
        parse_state(
            canonical.encode({known: value for known, value in GOOD.items() if known != name})
        )


@pytest.mark.parametrize("content", [b"", b"[]", b"7", b"{", format_state(WHOLE, DIGEST) + b"\n"])
def test_other_bytes_are_no_standing(content: bytes) -> None:
    with pytest.raises(EvidenceError, match="is no state of a ledger"):
        parse_state(content)
