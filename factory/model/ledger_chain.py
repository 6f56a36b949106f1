"""Define the lines of the ledger: events of the one form, chained by `log.chain`.

One canonical JSON event a line (RFC 8785); the clock is an attribute, order is by `seq` alone.
`skim` reads nearly all lines by one regular expression, without building anything, and accepts
exactly what `parse_event` accepts. Does not know files or locks.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple

from factory.log import chain
from factory.log.chain import ChainError, Head
from factory.model.event import Entry
from factory.model.evidence import EventDocument
from factory.model.evidence_text import EvidenceError
from factory.strict import canonical
from factory.strict.json import parse

MAX_LINE = 1024 * 1024  # bytes of one event; a reader keeps a line in memory


class Skimmed(NamedTuple):
    """Contain the members of a line that the chain and its readers need first."""

    seq: int
    prev: str
    event_id: str
    run_id: str
    event_type: str


def chained(head: Head, entries: Iterable[Entry], ts_utc: str) -> tuple[tuple[bytes, str], ...]:
    """Return (line without its line feed, id) of the events that follow `head`, in order. `ts_utc`
    is RFC 3339 with a Z.

    Raise ValueError for what has no canonical JSON. Whether an event may say what is given here is
    shown by reading its line (`skim`), which whoever writes it has to do.
    """
    events: list[tuple[bytes, str]] = []
    for entry in entries:
        line, head = chain.written(
            head,
            {
                "schema_version": 1,
                "parent_event_id": events[-entry.after][1] if entry.after else entry.parent,
                "ts_utc": entry.ts_utc or ts_utc,
                "run_id": entry.run_id,
                "event_type": entry.event_type,
                "actor": entry.actor,
                "duration_ms": entry.duration_ms,
                "file_counts": dict(entry.file_counts),
                "hashes": dict(entry.hashes),
                "rc": entry.rc,
                "details": dict(entry.details),
            },
        )
        events.append((line, head.event_id))
    return tuple(events)


def format_event(event: EventDocument) -> bytes:
    """Return one line with its newline. Raise ValueError for a lone surrogate in a text."""
    return canonical.encode(_members(event)) + b"\n"


def parse_event(line: bytes) -> EventDocument:
    """Parse one line (without its newline). Raise EvidenceError unless it is exactly what would be
    printed.
    """
    try:
        event = EventDocument.model_validate(parse(line, max_bytes=MAX_LINE))
    except ValueError as error:
        raise EvidenceError(str(error).splitlines()[0]) from error
    try:
        chain.check(_members(event), line)
    except ChainError as error:
        raise EvidenceError(str(error)) from error
    return event


def _members(event: EventDocument) -> dict[str, object]:
    return dict(event.__dict__)


# The parts of a line in which nothing is escaped; any other line is left to `parse_event`.
_PLAIN = rb'"[ !#-\[\]-~]*"'
_NAME = rb'"[a-z][a-z0-9_]*"'
_WHOLE = rb"(?:0|[1-9][0-9]{0,14})"
_HEX = rb"[0-9a-f]{64}"
_WORD = rb"[a-z]+(?:[.-][a-z]+)*"


def _table(value: bytes) -> bytes:
    pair = _NAME + rb":" + value
    return rb"\{(?:" + pair + rb"(?:," + pair + rb")*)?\}"


_FAST = re.compile(
    rb'(?P<head>\{"actor":"' + _WORD + rb'","details":(?P<details>' + _table(_PLAIN)
    + rb'),"duration_ms":' + _WHOLE
    + rb'),"event_id":"(?P<id>' + _HEX + rb')"(?P<tail>,"event_type":"(?P<type>' + _WORD
    + rb')","file_counts":(?P<counts>' + _table(_WHOLE) + rb'),"hashes":(?P<hashes>'
    + _table(rb'"(?:' + _HEX + rb'|[0-9a-f]{40})?"') + rb'),"parent_event_id":"(?:' + _HEX
    + rb')?","prev":"(?P<prev>'
    + _HEX + rb')","rc":-?' + _WHOLE + rb',"run_id":"'
    + rb'(?P<run>(?:[A-Za-z0-9][A-Za-z0-9._-]{0,127})?)"'
    rb',"schema_version":1,"seq":(?P<seq>[1-9][0-9]{0,14}),'
    rb'"ts_utc":"[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]'
    rb':[0-5][0-9]:[0-6][0-9]\.[0-9]{3}Z"\})'
)  # fmt: skip
_KEY = re.compile(rb'("[a-z][a-z0-9_]*"):')
_STRINGS = re.compile(rb':"[^"]*"')


def skim(line: bytes) -> Skimmed:
    """Return the chain's members of a line (without its newline). Raise EvidenceError exactly when
    `parse_event` does.
    """
    found = _FAST.fullmatch(line) if len(line) <= MAX_LINE else None
    if (
        found is None
        or b'"rc":-0' in line
        or not all(map(_in_order, found.group("details", "counts", "hashes")))
    ):
        event = parse_event(line)
        return Skimmed(event.seq, event.prev, event.event_id, event.run_id, event.event_type)
    head, tail, said = found.group("head", "tail", "id")
    identity = said.decode("ascii")
    if hashlib.sha256(head + tail).hexdigest() != identity:
        raise EvidenceError(f"event {int(found['seq'])} does not have the id of its content")
    prev, run_id, event_type = (found[name].decode("ascii") for name in ("prev", "run", "type"))
    return Skimmed(int(found["seq"]), prev, identity, run_id, event_type)


def _in_order(table: bytes) -> bool:
    """Return True if the keys of a small mapping are sorted, each once."""
    if table.count(b":") < 2:
        return True
    keys = _KEY.findall(_STRINGS.sub(b":", table))
    return all(one < two for one, two in pairwise(keys))


def follow(head: Head, lines: Iterable[bytes]) -> Head:
    """Return the head after `lines`. Raise EvidenceError for the first line that does not
    follow.
    """
    for skimmed in followed(head, lines):
        head = Head(skimmed.seq, skimmed.event_id)
    return head


def followed(head: Head, lines: Iterable[bytes]) -> Iterator[Skimmed]:
    """Yield each line as `skim` returns it, once it is shown to follow the one before.

    Raise EvidenceError for the first line that does not follow.
    """
    try:
        yield from chain.followed(head, map(skim, lines))
    except ChainError as error:
        raise EvidenceError(str(error)) from error
