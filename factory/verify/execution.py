"""Check how one bundle was made: events against the bundle and the times stored in the run.

Rule: the events have one order, from `pack.started` over the commands of every attempt to
`pack.finished`, and the bundle must agree with them about the last attempt. Of an earlier attempt
the bundle keeps its verdict, its tree and its failure. Does not know which run the events are of.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from factory.verify import paths
from factory.verify.bundle import Bundle
from factory.verify.comparison import Comparison
from factory.verify.documents import AttemptRow, CheckRow, Event
from factory.verify.events import RunEvents
from factory.verify.judge_rows import JudgeRunRow
from factory.verify.verdict import EXIT_CODES

COMMANDS = ("step.finished", "check.finished", "judge.finished")
MADE = frozenset(("pack.started", *COMMANDS, "attempt.finished", "pack.finished"))
Timing = tuple[str, str, str]


class ExecutionCheck:
    """Check the events of one bundle's execution. `file` is their ledger; `raw` says that the run
    keeps its times.
    """

    def __init__(
        self, comparison: Comparison, bundle: Bundle, own: RunEvents, file: str, raw: bool
    ) -> None:
        self.comparison = comparison
        self.bundle = bundle
        self.file = file
        self.raw = raw
        self.events = tuple(event for event in own.of("", bundle.pack) if event.event_type in MADE)
        self.tries: dict[str, list[Event]] = {}
        for event in self.events:
            if event.event_type in COMMANDS:
                self.tries.setdefault(event.details.get("attempt", ""), []).append(event)

    def differs(self, what: str, expected: object, found: object) -> bool:
        return self.comparison.differs(what, expected, found, self.file)

    def check(self) -> None:
        """Check the order of all events; only if it is right, compare what each event says."""
        recorded = [_named(event) for event in self.events]
        due = list(self._due())
        if recorded != due:
            at = next(
                (n for n, (one, two) in enumerate(zip(due, recorded, strict=False)) if one != two),
                -1,
            )
            at = at if at >= 0 else min(len(due), len(recorded))
            expected, found = (
                rows[at] if at < len(rows) else "no more" for rows in (due, recorded)
            )
            self.differs(f"events of {self.bundle.pack}, number {at + 1}", expected, found)
            return
        self._ends()
        for attempt in self.bundle.status.attempts:
            self._attempt(attempt, last=attempt is self.bundle.status.attempts[-1])

    def _due(self) -> Iterator[str]:
        """Yield the events that must exist, in order."""
        status = self.bundle.status
        yield "pack.started"
        for attempt in status.attempts:
            if attempt is status.attempts[-1]:
                labels = [row.label for row in status.checks]
                labels += [row.label for row in status.judged.runs]
            elif self._timed(attempt.number):
                labels = [label for label, _, _ in self._timings(attempt.number)]
            else:
                labels = [
                    event.details.get("label", "")
                    for event in self.tries.get(str(attempt.number), ())
                ]
            for label in labels:
                yield f"{_event_of(label)} {label} of attempt {attempt.number}"
            yield f"attempt.finished {attempt.number}"
        yield "pack.finished"

    def _timings(self, number: int) -> list[Timing]:
        """Return (label, milliseconds, ending) of each command of an attempt, from the run's raw
        files.
        """
        rows = (
            (self.comparison.run.read(self._times_of(number)) or b"")
            .decode("utf-8", "replace")
            .splitlines()
        )
        found = (row.split("\t") for row in rows)
        return [(row[0], row[1], row[2]) if len(row) == 3 else ("", "", "") for row in found]

    def _timed(self, number: int) -> bool:
        return self.raw and self.comparison.whole(self._times_of(number))

    def _times_of(self, number: int) -> str:
        return f"raw/{self.bundle.pack}/attempt-{number}/{paths.TIMINGS}"

    def _ends(self) -> None:
        """Compare the first and the last event."""
        status, first, last = self.bundle.status, self.events[0], self.events[-1]
        counts = {"changed": status.files_changed, "artifacts": len(status.artifacts)}
        due = {
            "action_key": status.action_key,
            "result_tree": status.result_tree,
            "manifest": self.bundle.manifest,
        }
        for event, what, expected, found in (
            (first, "action_key", status.action_key, first.hashes.get("action_key", "")),
            *((last, name, value, last.hashes.get(name, "")) for name, value in due.items()),
            (last, "status", status.status, last.details.get("status")),
            (last, "rc", EXIT_CODES[status.status], last.rc),
            (last, "counts", counts, dict(last.file_counts)),
        ):
            self.differs(f"event {event.seq}, {what}", expected, found)

    def _attempt(self, row: AttemptRow, last: bool) -> None:
        number = row.number
        end = next(e for e in self.events if _named(e) == f"attempt.finished {number}")
        for what, expected, found in (
            ("result_tree", row.result_tree, end.hashes.get("result_tree", "")),
            ("status", row.status, end.details.get("status")),
            ("rc", EXIT_CODES[row.status], end.rc),
        ):
            self.differs(f"event {end.seq}, {what}", expected, found)
        commands = self.tries.get(str(number), [])
        self.differs(
            f"whether a command of attempt {number} failed",
            bool(row.failure),
            any(event.rc for event in commands if event.event_type != COMMANDS[2]),
        )
        learned = f"raw/{self.bundle.pack}/attempt-{number}/{paths.LEARNED}"
        if self.raw and self.comparison.whole(learned):
            text = self.comparison.run.read(learned)
            found = hashlib.sha256(text).hexdigest() if text is not None else ""
            self.differs(f"what attempt {number} could read of the last one", row.learned, found)
        if last:
            self._last(end, commands)
        times = self._times_of(number)
        if commands and self._timed(number) and times not in self.comparison.run.sizes:
            what = "expected the times of its commands, found none"
            self.comparison.results.wrong("VERIFY_MISSING", times, what)
        elif self._timed(number):
            kept = [
                (e.details.get("label"), str(e.duration_ms), e.details.get("ended"))
                for e in commands
            ]
            what = (
                f"commands of attempt {number} of {self.bundle.pack}, by {self._times_of(number)}"
            )
            self.differs(what, self._timings(number), kept)

    def _last(self, end: Event, commands: list[Event]) -> None:
        """Compare the last attempt, which the bundle describes completely."""
        status, pack = self.bundle.status, self.bundle.pack
        counts = {
            "changed": status.files_changed,
            "artifacts": len(status.artifacts),
            **self.bundle.left_out,
        }
        self.differs(f"event {end.seq}, counts", counts, dict(end.file_counts))
        rows: tuple[CheckRow | JudgeRunRow, ...] = (*status.checks, *status.judged.runs)
        for check, event in zip(rows, commands, strict=True):
            for what, expected, found in (
                ("rc", check.rc, event.rc),
                ("ended", check.ended, event.details.get("ended")),
                (
                    "log",
                    self.comparison.seen(f"{pack}/{paths.LOGS}{check.label}.log"),
                    event.hashes.get("log", ""),
                ),
            ):
                self.differs(f"event {event.seq}, {what}", expected, found)


def _event_of(label: str) -> str:
    """Return the type of event of a command: what asks the judge has a label of two parts."""
    if "." in label:
        return COMMANDS[2]
    return COMMANDS[not label.startswith("step-")]


def _named(event: Event) -> str:
    """Return the words that place an event in the order of an execution."""
    attempt = event.details.get("attempt", "")
    if event.event_type in COMMANDS:
        return f"{event.event_type} {event.details.get('label', '')} of attempt {attempt}"
    return f"{event.event_type} {attempt}".strip()
