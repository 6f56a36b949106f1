"""Record a run's events: they reach the ledger in the order they were recorded, whichever thread
records them.

Events that need no sync of their own wait for the next one of their pack: those of the run under
"", those of a pack under its id. Does not know what an event says, nor when a run starts or ends.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable
from dataclasses import replace

from factory.files.clock import SystemClock
from factory.files.ports import Ledger
from factory.git.ports import Repository
from factory.model.errors import Refusal
from factory.model.event import Entry, Event
from factory.model.events import RunStarted

LONG_MS = (
    100  # an event that took this long is written at once: its sync costs little in comparison
)


class Recorder:
    """Records the events of one run. `run_id` and `run_event` are "" until the run is started;
    `causes` has the id of the latest event of each pack.
    """

    def __init__(self, ledger: Ledger, clock: SystemClock) -> None:
        self._ledger, self._clock = ledger, clock
        self._guard = threading.Lock()
        # Serialises appends: what waits and the new event reach the ledger in the order they were
        # recorded.
        self._writing = threading.Lock()
        self._waiting: dict[str, list[Entry]] = {}
        self.run_id = self.run_event = ""
        self.causes: dict[str, str] = {}

    def start(self, run_id: str, base: Repository, origin: str, plan: str) -> None:
        """Record that the run started on the commit of `base`, where its repository came from, and
        by which plan (its digest, "" for none). Events that waited become events of it. Raise
        Refusal where the ledger takes nothing: then no run started.
        """
        started = RunStarted(
            base_commit=base.commit, base_ref=base.base_ref, plan=plan, origin=origin
        )
        self.run_event = self._ledger.append(started.entry(run_id))
        with self._guard:
            self.run_id = run_id
            self._waiting[""] = [
                replace(one, run_id=run_id, parent=self.run_event)
                for one in self._waiting.get("", ())
            ]

    def record(self, event: Event, parent: str = "") -> str:
        """Append an event after what waits of its pack (of the run: of all packs); return its id.

        `parent` is the event that led to it; "" for the one that started the run.
        """
        return self._append(event.entry(self.run_id, parent or self.run_event))

    def record_all(self, entries: Iterable[Entry], parent: str) -> str:
        """Append events that followed from `parent`, or from one another, in one write; return the
        id of the last, and `parent` where there are none.
        """
        placed = tuple(
            replace(one, run_id=self.run_id, parent="" if one.after else parent) for one in entries
        )
        return self._append(*placed) if placed else parent

    def record_soon(self, event: Event) -> None:
        """Record an event with the next one of its pack, or at once where it took long. Where the
        ledger takes nothing now, it waits for the next one too: no verdict follows from it.
        """
        entry = event.entry(self.run_id, self.run_event, self._clock.utc())
        if entry.duration_ms >= LONG_MS and self.run_id:
            with contextlib.suppress(Refusal):
                self._append(entry)
                return
        with self._guard:
            self._waiting.setdefault(entry.details.get("pack", ""), []).append(entry)

    def record_next(self, event: Event, parent: str) -> None:
        """Record an event with the next one, whatever that is about, after all that waits of its
        own pack.
        """
        entry = event.entry(self.run_id, parent, self._clock.utc())
        with self._guard:
            own = self._waiting.pop(entry.details.get("pack", ""), [])
            self._waiting.setdefault("", []).extend((*own, entry))

    def take_waiting(self, pack: str = "") -> tuple[Entry, ...]:
        """Return and drop what waits: of the run and of one pack, or ("") of all packs."""
        with self._guard:
            names = ("", pack) if pack else sorted(self._waiting)
            return tuple(one for name in names for one in self._waiting.pop(name, ()))

    def milliseconds(self, since: float) -> int:
        """Return whole milliseconds since a reading of the monotonic clock."""
        return int((self._clock.monotonic() - since) * 1000)

    def _append(self, *entries: Entry) -> str:
        with self._writing:
            waited = self.take_waiting(entries[-1].details.get("pack", ""))
            try:
                return self._ledger.append(*waited, *entries)
            except Refusal:
                with self._guard:  # nothing was recorded: what waited still waits
                    self._waiting[""] = [*waited, *self._waiting.get("", ())]
                raise
