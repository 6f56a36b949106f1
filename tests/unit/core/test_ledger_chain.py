"""The chain: whatever is done to a line, the first one that does not follow is named."""

from __future__ import annotations

import hashlib
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.log.chain import GENESIS, Head
from factory.model.event import Entry
from factory.model.evidence_text import EvidenceError
from factory.model.ledger_chain import (
    MAX_LINE,
    Skimmed,
    chained,
    follow,
    format_event,
    parse_event,
    skim,
)
from factory.strict import canonical
from tests.ledger_lines import link

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
ASCII = st.characters(codec="ascii")
NAME = st.text(alphabet="abz_09", max_size=4) | TEXT
COUNT = st.integers(0, 2**53 - 1)
ENTRIES = st.builds(
    Entry,
    event_type=st.from_regex("[a-z]+([.-][a-z]+)*", fullmatch=True, alphabet=ASCII),
    run_id=st.sampled_from(["", "r", "factory_20260101_000000_01234567_001", "a.b-c_d"]),
    parent=st.sampled_from(["", "0" * 64]),
    actor=st.sampled_from(["pipeline", "gc"]),
    duration_ms=COUNT,
    file_counts=st.dictionaries(NAME, COUNT, max_size=3),
    hashes=st.dictionaries(NAME, st.sampled_from(["", "a" * 40, "9" * 64]), max_size=3),
    rc=st.integers(-(2**53) + 1, 2**53 - 1),
    details=st.dictionaries(NAME, TEXT, max_size=3),
)
WHEN = "2026-11-22T00:00:00.000Z"


def chain(entries: list[Entry]) -> list[bytes]:
    head, lines = Head(), []
    for entry in entries:
        event = link(head, entry, WHEN)
        lines.append(format_event(event).removesuffix(b"\n"))
        head = Head(event.seq, event.event_id)
    return lines


FIVE = chain([Entry("run.started", "r", details={"n": str(number)}) for number in range(5)])


@given(st.lists(ENTRIES, max_size=4))
def test_what_is_linked_follows_and_reads_back(entries: list[Entry]) -> None:
    lines = chain(entries)
    assert all(b"\n" not in line for line in lines)
    head = follow(Head(), lines)
    assert head.seq == len(entries)
    for line, entry in zip(lines, entries, strict=True):
        event = parse_event(line)
        assert format_event(event) == line + b"\n"
        assert (event.event_type, event.run_id, event.details) == (
            entry.event_type,
            entry.run_id,
            dict(entry.details),
        )
        assert canonical.encode(event.model_dump(mode="json")) == line


def test_the_first_event_stands_on_nothing() -> None:
    event = parse_event(FIVE[0])
    assert (event.seq, event.prev) == (1, GENESIS)
    assert follow(Head(), []) == Head(0, GENESIS)


@given(st.integers(0, 4), st.data())
def test_a_changed_byte_is_seen(number: int, data: st.DataObject) -> None:
    line = FIVE[number]
    place = data.draw(st.integers(0, len(line) - 1))
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte != line[place]))
    spoilt = line[:place] + bytes([other]) + line[place + 1 :]
    with pytest.raises(EvidenceError):
        follow(Head(), [*FIVE[:number], spoilt, *FIVE[number + 1 :]])


@given(st.integers(0, 4), st.data())
def test_a_line_cut_short_is_seen(number: int, data: st.DataObject) -> None:
    cut = FIVE[number][: data.draw(st.integers(0, len(FIVE[number]) - 1))]
    with pytest.raises(EvidenceError):
        follow(Head(), [*FIVE[:number], cut])


@given(st.permutations(FIVE).filter(lambda lines: lines != FIVE))
def test_another_order_is_seen(lines: list[bytes]) -> None:
    with pytest.raises(EvidenceError, match="expected seq"):
        follow(Head(), lines)


@pytest.mark.parametrize("number", range(4))
def test_a_line_taken_out_is_named_by_the_next(number: int) -> None:
    with pytest.raises(
        EvidenceError, match=f"event {number + 2} follows .*, expected seq {number + 1} after"
    ):
        follow(Head(), FIVE[:number] + FIVE[number + 1 :])


def test_a_line_put_in_twice_or_from_another_chain_is_seen() -> None:
    other = chain([Entry("run.started", "other")] * 2)
    for lines in ([FIVE[0], FIVE[0]], [FIVE[0], other[1]], [FIVE[1]]):
        with pytest.raises(EvidenceError, match="expected seq"):
            follow(Head(), lines)


def test_an_event_with_another_id_is_named() -> None:
    value = json.loads(FIVE[0])
    value["event_id"] = "0" * 64
    line = json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
    with pytest.raises(EvidenceError, match="event 1 does not have the id of its content"):
        parse_event(line)


@pytest.mark.parametrize(
    ("line", "clause"),
    [
        (b"", "this is not JSON"),
        (b"{}", "seq: Field required"),
        (b'{"a":1,"a":1}', "twice"),
        (FIVE[0].replace(b",", b", ", 1), "is not in canonical form"),
        (FIVE[0] + b" ", "is not in canonical form"),
        (FIVE[0] + b"\r", "is not in canonical form"),
        (b"\xff", "is not UTF-8"),
        (b" " * (MAX_LINE + 1), "bytes, the limit is"),
    ],
)
def test_a_line_in_another_form_is_refused(line: bytes, clause: str) -> None:
    with pytest.raises(EvidenceError, match=clause):
        parse_event(line)


def reading(line: bytes) -> tuple[object, ...]:
    """What `parse_event` makes of a line, in the form of `skim`."""
    try:
        event = parse_event(line)
    except EvidenceError:
        return ("refused",)
    return Skimmed(event.seq, event.prev, event.event_id, event.run_id, event.event_type)


def skimming(line: bytes) -> tuple[object, ...]:
    try:
        return skim(line)
    except EvidenceError:
        return ("refused",)


ODD = ENTRIES.map(lambda entry: chain([entry])[0])
PIECES = st.sampled_from(
    [b"", b" ", b'"', b"\\", b"0", b"-", b",", b"{}", b"\n", b':""', b"\x7f", "é".encode()]
)


@given(ODD, st.data())
def test_skimming_and_parsing_agree_on_any_line_however_spoilt(
    line: bytes, data: st.DataObject
) -> None:
    assert skimming(line) == reading(line) != ("refused",)
    first, last = sorted(
        (data.draw(st.integers(0, len(line))), data.draw(st.integers(0, len(line))))
    )
    cut = line[:first] + data.draw(PIECES) + line[min(last, first + 3) :]
    for spoilt in (cut, resealed(cut)):
        assert skimming(spoilt) == reading(spoilt)


def resealed(line: bytes) -> bytes:
    """The line with the id that its content has: what somebody would write who wants it to hold."""
    body = re.sub(rb'"event_id":"[0-9a-f]{64}",', b"", line)
    return re.sub(
        rb'(?<="event_id":")[0-9a-f]{64}', hashlib.sha256(body).hexdigest().encode(), line
    )


PLAIN = chain(
    [
        Entry(
            "pack.finished",
            "r",
            "",
            "x",
            7,
            {"a": 1, "b": 2},
            {"k": "7" * 40},
            0,
            {"y": "a:b", "z": "1"},
        )
    ]
)[0]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'{"a":1,"b":2}', b'{"b":2,"a":1}'),
        (b'{"a":1,"b":2}', b'{"a":1,"a":2}'),
        (b'{"a":1,"b":2}', b'{"a":1,"b":-0}'),
        (b'{"a":1,"b":2}', b'{"a":1,"b":-2}'),
        (b'{"a":1,"b":2}', b'{"a":1,"b":02}'),
        (b'{"a":1,"b":2}', b'{"a":1,"b":9007199254740992}'),
        (b'"y":"a:b","z":"1"', b'"z":"1","y":"a:b"'),
        (b'"rc":0', b'"rc":-0'),
        (b'"rc":0', b'"rc":0.0'),
        (b'"rc":0', b'"rc":false'),
        (b'"duration_ms":7', b'"duration_ms":-7'),
        (b'"seq":1', b'"seq":0'),
        (b'"schema_version":1', b'"schema_version":2'),
        (b'"7777', b'"g777'),
        (b"pack.finished", b"Pack.finished"),
        (b'"run_id":"r"', b'"run_id":"../r"'),
        (b"T00:00:00.000Z", b"T00:00:00Z"),
    ],
)
def test_content_that_no_event_has_is_refused_whatever_its_id(old: bytes, new: bytes) -> None:
    assert skimming(resealed(PLAIN)) != ("refused",)
    spoilt = resealed(PLAIN.replace(old, new))
    assert spoilt != PLAIN
    assert skimming(spoilt) == reading(spoilt) == ("refused",)


@pytest.mark.parametrize(
    "entry",
    [
        Entry("Pack.finished"),
        Entry("x", "a/b"),
        Entry("x", parent="1"),
        Entry("x", duration_ms=-1),
        Entry("x", hashes={"k": "v"}),
        Entry("x", file_counts={"k": 2**53}),
        Entry("x", details={"k": "\ud800"}),
        Entry("x", ts_utc="yesterday"),
    ],
)
def test_what_no_event_can_say_is_not_written(entry: Entry) -> None:
    with pytest.raises(ValueError, match=r" should |canonical"):
        link(Head(), entry, WHEN)


def test_several_events_are_one_chain_and_may_tell_when_they_were() -> None:
    lines = chained(Head(), (Entry("x"), Entry("y"), Entry("z", after=2)), WHEN)
    first, _, third = (parse_event(line) for line, _ in lines)
    assert third.parent_event_id == first.event_id
    entries = (Entry("x", ts_utc="2026-01-01T00:00:00.001Z"), Entry("y"))
    one, two = (parse_event(line) for line, _ in chained(Head(), entries, WHEN))
    assert (two.seq, two.prev) == (2, one.event_id)
    assert (one.ts_utc, two.ts_utc) == ("2026-01-01T00:00:00.001Z", WHEN)
