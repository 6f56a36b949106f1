"""The ledger's lines: the quick reading and the one at length say the same, and the tree is the
writers' own.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.log import merkle
from factory.log.chain import Head
from factory.model.event import Entry
from factory.model.ledger_chain import format_event
from factory.verify.events import Chain, brief, read_line
from factory.verify.form import FormError
from tests.ledger_lines import link

TEXTS = st.dictionaries(st.text(max_size=4), st.text(max_size=4), max_size=3)
ENTRIES = st.builds(
    Entry,
    event_type=st.sampled_from(["run.started", "pack.finished", "gc.raw-removed"]),
    run_id=st.sampled_from(["", "run_1", "run_2"]),
    file_counts=st.dictionaries(st.text("ab", max_size=2), st.integers(0, 9), max_size=3),
    hashes=st.dictionaries(
        st.text(max_size=4), st.sampled_from(["", "a" * 40, "9" * 64]), max_size=3
    ),
    details=TEXTS,
    rc=st.integers(-1, 300),
    duration_ms=st.integers(0, 2**40),
)
STAMP = "2026-11-22T06:16:09.797Z"


def ledger(entries: list[Entry]) -> list[bytes]:
    head, lines = Head(), []
    for entry in entries:
        event = link(head, entry, STAMP)
        lines.append(format_event(event)[:-1])
        head = Head(event.seq, event.event_id)
    return lines


@given(st.lists(ENTRIES, min_size=1, max_size=8))
def test_what_the_writers_chain_holds(entries: list[Entry]) -> None:
    lines = ledger(entries)
    chain = Chain(range(len(lines) + 1))
    for line in lines:
        chain.take(line)
    assert chain.problems == []
    assert chain.roots[len(lines)] == merkle.root_of(lines)
    assert all(chain.roots[size] == merkle.root_of(lines[:size]) for size in range(1, len(lines)))
    assert sorted(line.content for run in chain.by_run for line in chain.run(run).lines) == sorted(
        lines
    )


def outcome(reader, line: bytes) -> str:
    try:
        found = reader(line)
    except FormError:
        return "refused"
    return f"{found.seq} {found.prev} {found.event_id} {found.run_id} {found.event_type}"


LINE = ledger(
    [
        Entry(
            "pack.finished",
            "run_1",
            "",
            "x",
            7,
            {"a": 1, "b": 2},
            {"k": "7" * 40, "l": ""},
            0,
            {"z": "1"},
        )
    ]
)[0]


def test_both_readings_of_every_flipped_bit_agree() -> None:
    assert outcome(brief, LINE) == outcome(read_line, LINE) != "refused"
    for at in range(len(LINE)):
        for bit in range(8):
            spoilt = LINE[:at] + bytes([LINE[at] ^ 1 << bit]) + LINE[at + 1 :]
            assert outcome(brief, spoilt) == outcome(read_line, spoilt) == "refused"


@given(
    st.integers(0, len(LINE) - 1),
    st.sampled_from([b"", b" ", b'"', b"\\", b"0", b",", b"{}", b"\n", "é".encode()]),
)
def test_both_readings_of_anything_inserted_agree(at: int, more: bytes) -> None:
    line = LINE[:at] + more + LINE[at:]
    assert outcome(brief, line) == outcome(read_line, line)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'{"a":1,"b":2}', b'{"b":-2,"a":1}'),
        (b'{"a":1,"b":2}', b'{"a":1,"a":-2}'),
        (b'{"a":1,"b":2}', b'{"a":1,"b":-0}'),
        (b'{"a":1,"b":2}', b'{"a":01,"b":2}'),
        (b'"duration_ms":7', b'"duration_ms":-7'),
        (b'"duration_ms":7', b'"duration_ms":7.0'),
        (b'"duration_ms":7', b'"duration_ms":99999999999999999999'),
        (b'"schema_version":1', b'"schema_version":2'),
        (b'"seq":1', b'"seq":0'),
    ],
)
def test_a_body_that_does_not_hold_is_refused_whatever_its_id(old: bytes, new: bytes) -> None:
    import hashlib
    import re

    line = LINE.replace(old, new)
    assert line != LINE
    body = re.sub(rb'"event_id":"[0-9a-f]{64}",', b"", line)
    line = re.sub(
        rb'(?<="event_id":")[0-9a-f]{64}', hashlib.sha256(body).hexdigest().encode(), line
    )
    assert outcome(brief, line) == outcome(read_line, line) == "refused"
