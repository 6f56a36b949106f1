"""Append to the ledger file under a lock, with one write and one sync, and read it back strictly.

    >>> from factory.files.clock import SystemClock
    >>> from factory.model.events import RunStarted
    >>> ledger = LedgerStore(folder, SystemClock())  # `folder` is a state folder
    >>> started = RunStarted(base_commit="", base_ref="HEAD", plan="").entry("run_1")
    >>> ledger.append(started) == ledger.state().head.event_id
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
import hmac
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

from factory.evidence.ledger_lines import Joined, lines_backwards, lines_of, lines_with
from factory.evidence.ledger_own import OwnLines
from factory.files import fs_guard
from factory.files.clock import SystemClock
from factory.files.fs_guard import disk_errors
from factory.files.locks import exclusive
from factory.judge.secrecy import silent
from factory.log.merkle import Peaks
from factory.model.errors import Refusal
from factory.model.event import Entry
from factory.model.events import LedgerRecovered, LedgerRestarted
from factory.model.evidence import EventDocument
from factory.model.evidence_text import EvidenceError, sha256
from factory.model.finding import Finding, Location
from factory.model.findings.entry import Facts
from factory.model.layout import LEDGER, LEDGER_HEAD, LEDGER_LOCK, shown
from factory.model.ledger_chain import MAX_LINE, chained, parse_event
from factory.model.ledger_state import (
    LedgerState,
    LineError,
    extended,
    format_state,
    parse_state,
)
from factory.redact.redaction import Redactor
from factory.sandbox.sealed import Seal, process_seal

WORTH_REMEMBERING = (
    500  # events since it was last remembered: reading those again takes some milliseconds
)
_CHUNK = 1 << 22
_MOST_CLEAN, _SHORT = 4096, 128  # texts that are remembered, and characters of one: bounds memory


class LedgerStore:
    """Append to one ledger file under its lock, and read it. Safe between threads and processes."""

    def __init__(
        self,
        root: Path,
        clock: SystemClock,
        redactor: Redactor | None = None,
        own: OwnLines | None = None,
        seal: Seal = process_seal,
    ) -> None:
        """Take the state folder; `own` records which lines are this user's. Without it they are
        for this process alone. What `seal` does not fit is not remembered.
        """
        self._seal = seal
        self._redactor = redactor or Redactor()
        self._own = own or OwnLines(None, root)
        self._root = root
        # In their order; lines are appended to the last.
        self._segments: tuple[Path, ...] = (root / LEDGER,)
        self._path = self._segments[-1]
        self._clock = clock
        self._lock_path = root / LEDGER_LOCK
        self._guard = threading.Lock()
        self._state = LedgerState()
        self._digest = hashlib.sha256()
        self._inodes: tuple[int, ...] = ()
        self._before = 0  # bytes of the segments before the last
        self._remembered = 0
        self._clean: set[str] = set()

    def append(self, *entries: Entry) -> str:
        """Record events, all with one write and one sync. Return the id of the last.

        Raise Refusal LEDGER_BROKEN, DISK_UNWRITABLE; then nothing was recorded.
        """
        with self._guard, exclusive(self._lock_path):
            torn = self._catch_up()
            if torn:  # by a process that died while this one lives
                self._set_aside(torn)
            return self._record(*entries)

    def _record(self, *entries: Entry) -> str:
        redacted = map(self._silent, entries)
        events = chained(self._state.head, redacted, self._clock.utc())
        lines = [line for line, _ in events]
        if any(len(line) > MAX_LINE for line in lines):
            raise ValueError(f"expected an event of at most {MAX_LINE} bytes")
        after = extended(
            self._state, lines
        )  # read back before it is written: what is no event never gets there
        content = b"".join(line + b"\n" for line in lines)
        self._own.note(self._state.head, [event_id for _, event_id in events])
        fs_guard.append_durable(self._path, content)
        self._state = after
        self._digest.update(content)
        self._inodes = self._inodes or (os.stat(self._path).st_ino,)
        return after.head.event_id

    def _silent(self, entry: Entry) -> Entry:
        """Return an event without any credential in its details.

        All else of it are our own words, numbers and digests.
        """
        if self._clean.issuperset(entry.details.values()):
            return entry
        details = {name: self._searched(text) for name, text in entry.details.items()}
        return replace(entry, details=details)

    def _searched(self, text: str) -> str:
        """Return a text without any credential; remember one that has none, since ids, labels and
        verdicts come again with every event, and searching them takes a fifth of an append.
        """
        safe = silent(self._redactor, text)
        if safe == text and len(self._clean) < _MOST_CLEAN and len(text) <= _SHORT:
            self._clean.add(text)
        return safe

    def own_since(self) -> int:
        """Return the number of the first line that this user wrote here, without a stranger's after
        it; one more than the last where there is none. Raise Refusal LEDGER_BROKEN.
        """
        return self._own.since(self.state().head)

    def compare_with_own(self) -> tuple[Finding, ...]:
        """Compare the ledger with what this user wrote last. Where it is gone, record that another
        one begins; return a warning then.

        Raise Refusal LEDGER_ROLLED_BACK where it is shorter, LEDGER_REWRITTEN where it has another
        line there, LEDGER_BROKEN, DISK_UNWRITABLE.
        """
        head, known = self.state().head, self._own.known()
        if known is None or known.ends_at(head):
            return ()
        if not head.seq:
            last = known.last
            self.append(LedgerRestarted(events=last.seq, last=last.event_id).entry())
            return (Finding("LEDGER_RESTARTED", {"events": last.seq, "last": last.event_id}),)
        # Before its last lines were written, the one before them was durable.
        durable, place = known.before, Location(shown(LEDGER))
        if head.seq < durable.seq:
            facts: Facts = {"case": "own", "size": durable.seq, "found": head.seq}
            raise Refusal(Finding("LEDGER_ROLLED_BACK", facts, location=place))
        found = next((one for one in self.newest() if one.seq <= durable.seq), None)
        if durable.seq and (found is None or found.event_id != durable.event_id):
            facts = {"case": "own", "size": durable.seq}
            raise Refusal(Finding("LEDGER_REWRITTEN", facts, location=place))
        return ()

    def state(self) -> LedgerState:
        """Return the state of the ledger now. Raise Refusal LEDGER_BROKEN."""
        with self._guard:
            self._catch_up()
            return self._state

    def events(self) -> Iterator[EventDocument]:
        """Return every event up to now, in order. Raise Refusal LEDGER_BROKEN."""
        return self._parsed(self.lines())

    def lines(self) -> Iterator[bytes]:
        """Return the bytes of every event up to now, each verified. Raise Refusal LEDGER_BROKEN."""
        return lines_of(self._segments, self.state().size)

    def of_runs(self, run_ids: Iterable[str]) -> tuple[EventDocument, ...]:
        """Return the events of some runs, in order. Raise Refusal LEDGER_BROKEN."""
        wanted = frozenset(run_ids)
        needles = [b'"run_id":"%s"' % run_id.encode("utf-8") for run_id in wanted]
        found = self._parsed(lines_with(self._segments, self.state().size, needles))
        return tuple(event for event in found if event.run_id in wanted)

    def newest(self, *event_types: str) -> Iterator[EventDocument]:
        """Return events, or those of some types, the last one first.

        Raise Refusal LEDGER_BROKEN.
        """
        needles = [
            b'"event_type":"%s"' % event_type.encode("utf-8") for event_type in event_types
        ] or [b""]
        found = self._parsed(lines_backwards(self._segments, self.state().size, needles))
        return (event for event in found if not event_types or event.event_type in event_types)

    def tree(self, size: int) -> Peaks:
        """Return the tree over the first `size` events, of which there are as many.

        Raise Refusal LEDGER_BROKEN.
        """
        state = self.state()
        known = (Peaks(), state.tree, *state.before.values())
        nearest = max((tree for tree in known if tree.size <= size), key=lambda tree: tree.size)
        return nearest.extended(islice(lines_of(self._segments, state.size), nearest.size, size))

    def recover(self) -> tuple[Finding, ...]:
        """Set a torn tail aside and return a finding of it.

        Raise Refusal LEDGER_BROKEN for a wrong whole line.
        """
        with self._guard, exclusive(self._lock_path):
            torn = self._catch_up()
            if not torn:
                return ()
            aside = self._set_aside(torn)
        return (Finding("LEDGER_TORN", {"bytes": len(torn), "name": aside.name}),)

    def remember(self) -> None:
        """Store the state, so that the next process need not read most lines.

        A failed write is tried another time.
        """
        with self._guard:
            state = self._state
            if state.head.seq - self._remembered < WORTH_REMEMBERING:
                return
            content = format_state(state, self._digest.hexdigest())
            content += b"\n" + self._seal(LEDGER_HEAD, sha256(content)).encode()
            with contextlib.suppress(Refusal):
                fs_guard.write_atomic(self._root / LEDGER_HEAD, content, durable=False)
                self._remembered = state.head.seq

    def _set_aside(self, torn: bytes) -> Path:
        """Move a torn tail to a file of its own and record that.

        Requires the lock, and all whole lines read.
        """
        aside = self._path.with_name(f"ledger.torn-{sha256(torn)[:16]}")
        fs_guard.write_atomic(aside, torn)
        with disk_errors(self._path), open(self._path, "r+b") as stream:
            stream.truncate(self._state.size - self._before)
            os.fsync(stream.fileno())
        event = LedgerRecovered(file=aside.name, torn=sha256(torn), bytes=len(torn))
        self._record(event.entry())
        return aside

    def _catch_up(self) -> bytes:
        """Read what was appended since; each line must follow.

        Return the bytes after the last line feed.
        """
        try:
            found = os.stat(self._path)
        except FileNotFoundError:
            if self._state.size:
                raise self._broken("the ledger file is gone") from None
            return b""
        size = self._before + found.st_size
        if (found.st_ino,) == self._inodes[-1:] and size == self._state.size:
            return b""
        with Joined(self._segments) as stream:
            if stream.size < self._state.size:
                raise self._broken("the ledger is shorter than it was")
            self._before = stream.before
            self._take_up(stream.read, stream.inodes)
            stream.seek(self._state.size)
            return self._read_on(stream.read)

    def _take_up(self, read: Callable[[int], bytes], inodes: tuple[int, ...]) -> None:
        """Compare the beginning of the files with what is known, if this is the first look or
        another inode.
        """
        if inodes == self._inodes:
            return
        if self._state.size:
            if _hashed(read, self._state.size).digest() != self._digest.digest():
                raise self._broken("it is another file than it was")
        else:
            self._recall(read)
        self._inodes = inodes

    def _recall(self, read: Callable[[int], bytes]) -> None:
        """Continue from the stored state, if the ledger begins with the bytes that it covers."""
        try:
            content, _, seal = (self._root / LEDGER_HEAD).read_bytes().rpartition(b"\n")
            if not hmac.compare_digest(seal, self._seal(LEDGER_HEAD, sha256(content)).encode()):
                return
            state, digest = parse_state(content)
        except (OSError, EvidenceError):
            return  # nothing to go by: everything is read
        hashed = _hashed(read, state.size)
        if hashed.hexdigest() == digest:
            self._state, self._digest, self._remembered = state, hashed, state.head.seq

    def _read_on(self, read: Callable[[int], bytes]) -> bytes:
        rest = b""
        while chunk := read(_CHUNK):
            whole, feed, rest = (rest + chunk).rpartition(b"\n")
            if not feed:
                continue
            try:
                self._state = extended(self._state, whole.split(b"\n"))
            except LineError as error:
                raise self._broken(str(error), error.line) from error
            self._digest.update(whole + feed)
        return rest

    def _parsed(self, lines: Iterable[bytes]) -> Iterator[EventDocument]:
        for line in lines:
            try:
                yield parse_event(line)
            except EvidenceError as error:  # it was valid when it was read first
                raise self._broken(f"it was changed meanwhile: {error}") from error

    def _broken(self, what: str, line: int = 0) -> Refusal:
        line = line or self._state.head.seq + 1
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
