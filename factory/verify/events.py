"""Read lines of the ledger again: canonical, hashed, chained; and compute the tree over them.

One pass, little memory: the tree is kept as the roots of its perfect parts, so that the root at any
size that is asked for beforehand comes with the pass. Does not know runs. Sources: RFC 8785, RFC
6962.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from factory.log.merkle import EMPTY_ROOT, Growing
from factory.strict import json as strict_json
from factory.verify.documents import Event
from factory.verify.form import FormError, build, canonical

MOST_BYTES = 1024 * 1024
GENESIS = "0" * 64
_KEYS = frozenset(
    "actor details duration_ms event_id event_type file_counts hashes parent_event_id prev rc"
    " run_id schema_version seq ts_utc".split()
)
_HEAD_KEYS = ("actor", "details", "duration_ms")


@dataclass(frozen=True, slots=True)
class Line:
    """Contain one event and its bytes, without the line feed."""

    event: Event
    content: bytes


def read_line(content: bytes) -> Event:
    """Return the event of one line. Raise FormError for its form, its canonical bytes or its id."""
    value = _value(content)
    identity, body = split_id(value)
    if body != content:
        raise FormError("expected canonical JSON, found another form")
    if identity != value["event_id"]:
        raise FormError(f"expected the id {identity}, found {str(value['event_id'])[:80]}")
    return build(Event, value)


def _value(content: bytes) -> dict[str, Any]:
    try:
        value = strict_json.parse(content, max_bytes=MOST_BYTES)
    except ValueError as error:
        raise FormError(f"expected strict JSON, found: {error}") from error
    if type(value) is not dict or value.keys() != _KEYS:
        raise FormError("expected an event with its keys, found another value")
    return value


def split_id(value: Mapping[str, Any]) -> tuple[str, bytes]:
    """Return (the id of an event's content, its canonical bytes with the id that it names)."""
    head = _encoded({key: value[key] for key in _HEAD_KEYS})[:-1]
    tail = _encoded({key: value[key] for key in sorted(_KEYS - {*_HEAD_KEYS, "event_id"})})[1:]
    named = _encoded(value["event_id"])
    identity = hashlib.sha256(head + b"," + tail).hexdigest()
    return identity, head + b',"event_id":' + named + b"," + tail


def _encoded(value: object) -> bytes:
    text = json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
    return text.encode("utf-8") if text.isascii() else canonical(value)


class RunEvents:
    """Index one run's events by type and by pack."""

    def __init__(self, lines: Iterable[Line]) -> None:
        self.lines = tuple(lines)
        self._found: dict[tuple[str, str], list[Event]] = {}
        for event in (line.event for line in self.lines):
            pack = event.details.get("pack", "")
            for key in {(event.event_type, ""), (event.event_type, pack), ("", pack)}:
                self._found.setdefault(key, []).append(event)

    def of(self, kind: str = "", pack: str = "") -> tuple[Event, ...]:
        """Return the events of a type ("" for any), about a pack if one is named."""
        return tuple(self._found.get((kind, pack), ()))


class Brief(NamedTuple):
    """Contain what the chain needs of an event; the full event is read when it is needed."""

    seq: int
    prev: str
    event_id: str
    run_id: str
    event_type: str
    content: bytes


class Chain:
    """Check a whole ledger, line by line: its problems, its runs, and its roots at the sizes asked
    for.
    """

    def __init__(self, sizes: Iterable[int] = ()) -> None:
        self.size = 0
        self.roots: dict[int, bytes] = {0: EMPTY_ROOT}
        self.first = ""
        self.problems: list[tuple[int, str]] = []
        self.by_run: dict[str, list[Brief]] = {}
        self._asked = frozenset(sizes)
        self._last = GENESIS
        self._tree = Growing()
        self._by_run: dict[str, RunEvents] = {}

    def take(self, content: bytes) -> None:
        """Add the next line, without its line feed."""
        number = self.size + 1
        self._grow(content)
        try:
            found = brief(content)
        except FormError as error:
            self.problems.append((number, str(error)))
            self._last = ""
            return
        if self._last and (found.seq, found.prev) != (number, self._last):
            what = (
                f"expected seq {number} after {self._last[:16]}, found seq {found.seq} after"
                f" {found.prev[:16]}"
            )
            self.problems.append((number, what))
        self._last = found.event_id
        self.first = self.first or found.event_id
        self.by_run.setdefault(found.run_id, []).append(found)

    def run(self, run_id: str) -> RunEvents:
        """Return the events of one run, read completely, once."""
        if run_id not in self._by_run:
            briefs = self.by_run.get(run_id, ())
            self._by_run[run_id] = RunEvents(
                Line(read_line(found.content), found.content) for found in briefs
            )
        return self._by_run[run_id]

    def kinds(self, run_id: str) -> frozenset[str]:
        """Return the types of events that one run has."""
        return frozenset(found.event_type for found in self.by_run.get(run_id, ()))

    def _grow(self, leaf: bytes) -> None:
        self._tree.append(leaf)
        self.size += 1
        if self.size in self._asked:
            self.roots[self.size] = self._tree.peaks().root


# Nearly every line is in this form: canonical, and all its text plain ASCII. A line that fits was
# read strictly by fitting; only the order of keys in its three small mappings is left to look at.
# Others are read at length.
_PLAIN = rb'"[ !#-\[\]-~]*"'
_NUMBER = rb"(?:0|-?[1-9][0-9]{0,14})"
_COUNT = rb"(?:0|[1-9][0-9]{0,14})"
_TABLE = rb"\{(?:%b:%b(?:,%b:%b)*)?\}"
_TEXTS = _TABLE % (_PLAIN, _PLAIN, _PLAIN, _PLAIN)
_COUNTS = _TABLE % (_PLAIN, _NUMBER, _PLAIN, _NUMBER)
_FAST = re.compile(
    rb'(?P<head>\{"actor":'
    + _PLAIN
    + rb',"details":(?P<details>'
    + _TEXTS
    + rb'),"duration_ms":'
    + _COUNT
    + rb")"
    rb',"event_id":"(?P<id>[0-9a-f]{64})"(?P<tail>,"event_type":(?P<type>' + _PLAIN + rb")"
    rb',"file_counts":(?P<counts>' + _COUNTS + rb'),"hashes":(?P<hashes>' + _TEXTS + rb")"
    rb',"parent_event_id":"(?:[0-9a-f]{64})?","prev":"(?P<prev>[0-9a-f]{64})","rc":'
    + _NUMBER
    + rb',"run_id":(?P<run>'
    + _PLAIN
    + rb'),"schema_version":1,"seq":(?P<seq>[1-9][0-9]{0,14}),"ts_utc":"'
    rb'[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9](?:\.[0-9]+)?Z"\})'
)
_KEY = re.compile(rb"(%b):(?:%b|%b)" % (_PLAIN, _PLAIN, _NUMBER))


def brief(content: bytes) -> Brief:
    """Return what the chain needs of a line. Raise FormError as `read_line` does."""
    found = _FAST.fullmatch(content) if len(content) <= MOST_BYTES else None
    if found is None or not all(map(_sorted, found.group("details", "counts", "hashes"))):
        event = read_line(content)
        return Brief(event.seq, event.prev, event.event_id, event.run_id, event.event_type, content)
    identity = hashlib.sha256(found["head"] + found["tail"]).hexdigest()
    if identity != found["id"].decode("ascii"):
        raise FormError(f"expected the id {identity}, found {found['id'].decode('ascii')}")
    run_id, kind = found["run"][1:-1].decode("ascii"), found["type"][1:-1].decode("ascii")
    return Brief(int(found["seq"]), found["prev"].decode("ascii"), identity, run_id, kind, content)


def _sorted(table: bytes) -> bool:
    """Return True if the keys of a small mapping are sorted, each once."""
    keys = _KEY.findall(table)
    return len(keys) < 2 or all(one < two for one, two in itertools.pairwise(keys))
