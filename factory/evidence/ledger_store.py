"""Append to the ledger file under a lock, with one write and one sync, and read it back strictly.

    >>> from factory.files.clock import SystemClock
    >>> from factory.model.events import RunStarted
    >>> ledger = LedgerStore(folder, SystemClock())  # `folder` is a state folder
    >>> started = RunStarted(base_commit="", base_ref="HEAD", plan="").entry("run_1")
    >>> ledger.append(started) == ledger.standing().head.event_id
    True
    >>> [(event.seq, event.event_type) for event in LedgerStore(folder, SystemClock()).events()]
    [(1, 'run.started')]

The other implementation of `files.ports.Ledger` is in `tests/fakes`. A torn last line (a crash
while it was written) is moved to a file of its own and recorded; any other damage stops everything.
Keeps no event in memory. What was verified is remembered with the digest of its bytes: the next
process hashes those, and reads line by line only what it does not know; if the digest differs, it
reads all of it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path

from factory.evidence.ledger_lines import lines_backwards, lines_of, lines_with
from factory.files import fs_guard
from factory.files.clock import SystemClock
from factory.files.fs_guard import disk_errors
from factory.files.locks import exclusive
from factory.judge.secrecy import silent
from factory.log.merkle import Peaks
from factory.model.errors import Refusal
from factory.model.event import Entry
from factory.model.events import LedgerRecovered
from factory.model.evidence import EventDocument
from factory.model.evidence_text import EvidenceError, sha256
from factory.model.finding import Finding, Location
from factory.model.layout import LEDGER, LEDGER_HEAD, LEDGER_LOCK, shown
from factory.model.ledger_chain import MAX_LINE, chained, format_event, parse_event
from factory.model.ledger_standing import (
    LineError,
    Standing,
    extended,
    format_standing,
    parse_standing,
)
from factory.redact.redaction import Redactor

WORTH_REMEMBERING = (
    500  # events since it was last remembered: reading those again takes some milliseconds
)
_CHUNK = 1 << 22


class LedgerStore:
    """One ledger file and its lock. Safe between threads and processes."""

    def __init__(self, root: Path, clock: SystemClock, redactor: Redactor | None = None) -> None:
        self._redactor = redactor or Redactor()
        self._root = root
        self._path = root / LEDGER
        self._clock = clock
        self._lock_path = root / LEDGER_LOCK
        self._guard = threading.Lock()
        self._standing = Standing()
        self._digest = hashlib.sha256()
        self._inode = 0
        self._remembered = 0

    def append(self, *entries: Entry) -> str:
        """Record events, all with one write and one sync; the id of the last.

        Raises Refusal LEDGER_BROKEN, DISK_UNWRITABLE; then nothing was recorded.
        """
        with self._guard, exclusive(self._lock_path):
            torn = self._catch_up()
            if torn:  # by a process that died while this one lives
                self._set_aside(torn)
            return self._record(*entries)

    def _record(self, *entries: Entry) -> str:
        told = (replace(entry, details=self._silent(entry.details)) for entry in entries)
        events = chained(self._standing.head, told, self._clock.utc())
        lines = [format_event(event)[:-1] for event in events]
        if any(len(line) > MAX_LINE for line in lines):
            raise ValueError(f"expected an event of at most {MAX_LINE} bytes")
        after = extended(
            self._standing, lines
        )  # read back before it is written: what is no event never gets there
        content = b"".join(line + b"\n" for line in lines)
        fs_guard.append_durable(self._path, content)
        self._standing = after
        self._digest.update(content)
        self._inode = self._inode or os.stat(self._path).st_ino
        return after.head.event_id

    def _silent(self, details: Mapping[str, str]) -> dict[str, str]:
        """What an event says, without any credential. All else of it are words of ours, numbers and
        digests.
        """
        return {name: silent(self._redactor, text) for name, text in details.items()}

    def standing(self) -> Standing:
        """Where the ledger stands now. Raises Refusal LEDGER_BROKEN."""
        with self._guard:
            self._catch_up()
            return self._standing

    def events(self) -> Iterator[EventDocument]:
        """Every event up to now, in order. Raises Refusal LEDGER_BROKEN."""
        return self._parsed(self.lines())

    def lines(self) -> Iterator[bytes]:
        """The bytes of every event up to now, each as it was found to hold. Raises Refusal
        LEDGER_BROKEN.
        """
        return lines_of(self._path, self.standing().size)

    def of_runs(self, run_ids: Iterable[str]) -> tuple[EventDocument, ...]:
        """The events of some runs, in order. Raises Refusal LEDGER_BROKEN."""
        wanted = frozenset(run_ids)
        needles = [b'"run_id":"%s"' % run_id.encode("utf-8") for run_id in wanted]
        found = self._parsed(lines_with(self._path, self.standing().size, needles))
        return tuple(event for event in found if event.run_id in wanted)

    def newest(self, *event_types: str) -> Iterator[EventDocument]:
        """Events, or those of some types, the last one first. Raises Refusal LEDGER_BROKEN."""
        needles = [
            b'"event_type":"%s"' % event_type.encode("utf-8") for event_type in event_types
        ] or [b""]
        found = self._parsed(lines_backwards(self._path, self.standing().size, needles))
        return (event for event in found if not event_types or event.event_type in event_types)

    def tree(self, size: int) -> Peaks:
        """The tree over the first `size` events, of which there are as many. Raises Refusal
        LEDGER_BROKEN.
        """
        standing = self.standing()
        known = (Peaks(), standing.tree, *standing.before.values())
        nearest = max((tree for tree in known if tree.size <= size), key=lambda tree: tree.size)
        return nearest.extended(islice(lines_of(self._path, standing.size), nearest.size, size))

    def recover(self) -> tuple[Finding, ...]:
        """Set a torn tail aside. Raises Refusal LEDGER_BROKEN where whole lines do not hold."""
        with self._guard, exclusive(self._lock_path):
            torn = self._catch_up()
            if not torn:
                return ()
            aside = self._set_aside(torn)
        return (Finding("LEDGER_TORN", {"bytes": len(torn), "name": aside.name}),)

    def remember(self) -> None:
        """Spare the next process most of the reading. What cannot be written is made again another
        time.
        """
        with self._guard:
            standing = self._standing
            if standing.head.seq - self._remembered < WORTH_REMEMBERING:
                return
            content = format_standing(standing, self._digest.hexdigest())
            with contextlib.suppress(Refusal):
                fs_guard.write_atomic(self._root / LEDGER_HEAD, content, durable=False)
                self._remembered = standing.head.seq

    def _set_aside(self, torn: bytes) -> Path:
        """Move a torn tail to a file of its own, and record that. The lock is held, all whole lines
        are read.
        """
        aside = self._path.with_name(f"ledger.torn-{sha256(torn)[:16]}")
        fs_guard.write_atomic(aside, torn)
        with disk_errors(self._path), open(self._path, "r+b") as stream:
            stream.truncate(self._standing.size)
            os.fsync(stream.fileno())
        event = LedgerRecovered(file=aside.name, torn=sha256(torn), bytes=len(torn))
        self._record(event.entry())
        return aside

    def _catch_up(self) -> bytes:
        """Read what was appended since; each line must follow. What stands after the last line feed
        is returned.
        """
        try:
            found = os.stat(self._path)
        except FileNotFoundError:
            if self._standing.size:
                raise self._broken("the ledger file is gone") from None
            return b""
        if found.st_ino == self._inode and found.st_size == self._standing.size:
            return b""
        with open(self._path, "rb") as stream:
            now = os.fstat(stream.fileno())
            if now.st_size < self._standing.size:
                raise self._broken("the ledger is shorter than it was")
            self._take_up(stream.read, now.st_ino)
            stream.seek(self._standing.size)
            return self._read_on(stream.read)

    def _take_up(self, read: Callable[[int], bytes], inode: int) -> None:
        """Where this is the first look, or at another file: hold its beginning against what is
        known of it.
        """
        if inode == self._inode:
            return
        if self._standing.size:
            if _hashed(read, self._standing.size).digest() != self._digest.digest():
                raise self._broken("it is another file than it was")
        else:
            self._recall(read)
        self._inode = inode

    def _recall(self, read: Callable[[int], bytes]) -> None:
        """Go on from what is remembered, where the ledger begins with the bytes that this is
        about.
        """
        try:
            standing, digest = parse_standing((self._root / LEDGER_HEAD).read_bytes())
        except (OSError, EvidenceError):
            return  # nothing to go by: everything is read
        hashed = _hashed(read, standing.size)
        if hashed.hexdigest() == digest:
            self._standing, self._digest, self._remembered = standing, hashed, standing.head.seq

    def _read_on(self, read: Callable[[int], bytes]) -> bytes:
        rest = b""
        while chunk := read(_CHUNK):
            whole, feed, rest = (rest + chunk).rpartition(b"\n")
            if not feed:
                continue
            try:
                self._standing = extended(self._standing, whole.split(b"\n"))
            except LineError as error:
                raise self._broken(str(error), error.line) from error
            self._digest.update(whole + feed)
        return rest

    def _parsed(self, lines: Iterable[bytes]) -> Iterator[EventDocument]:
        for line in lines:
            try:
                yield parse_event(line)
            except EvidenceError as error:  # it held when it was read first
                raise self._broken(f"it was changed meanwhile: {error}") from error

    def _broken(self, what: str, line: int = 0) -> Refusal:
        line = line or self._standing.head.seq + 1
        return Refusal(
            Finding(
                "LEDGER_BROKEN",
                {"line": line, "problem": what},
                location=Location(shown(LEDGER), line),
            )
        )


def _hashed(read: Callable[[int], bytes], size: int) -> hashlib._Hash:
    hashed, left = hashlib.sha256(), size
    while left and (chunk := read(min(left, _CHUNK))):
        hashed.update(chunk)
        left -= len(chunk)
    return hashed
