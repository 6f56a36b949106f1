"""Events of one run are written in the order in which they were recorded, whichever worker writes
them.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from factory.engine.recorder import Recorder
from factory.evidence.ledger_store import LedgerStore
from factory.files.clock import SystemClock
from factory.model.errors import Refusal
from factory.model.event import Entry
from factory.model.events import LockReleased, PackFinished, PreflightFinished
from factory.model.finding import Finding

OTHERS: dict[str, Any] = {
    "status": "PASS", "action_key": "", "result_tree": "", "manifest": "", "changed": 0, "artifacts": 0,
}  # fmt: skip


class HeldUp(LedgerStore):
    """A ledger of which the first append waits at its door, as one does behind a busy processor."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, SystemClock())
        self.entered, self.go_on = threading.Event(), threading.Event()

    def append(self, *entries: Entry) -> str:
        if not self.entered.is_set():
            self.entered.set()
            assert self.go_on.wait(60)
        return super().append(*entries)


def test_no_worker_overtakes_what_waits_for_another(tmp_path: Path) -> None:
    (tmp_path / "locks").mkdir()
    ledger = HeldUp(tmp_path)
    recorder = Recorder(ledger, SystemClock())
    recorder.run_id = "r"
    recorder.record_soon(PreflightFinished(status="PASS", plan="", packs=2, files=2))
    workers = [
        threading.Thread(target=recorder.record, args=(PackFinished(pack=name, **OTHERS),))
        for name in ("T-1", "T-2")
    ]
    workers[0].start()
    assert ledger.entered.wait(60)
    workers[1].start()
    workers[1].join(0.3)  # long enough to overtake, were it let
    ledger.go_on.set()
    for worker in workers:
        worker.join(60)
    told = [(event.event_type, event.details.get("pack", "")) for event in ledger.events()]
    assert told == [("preflight.finished", ""), ("pack.finished", "T-1"), ("pack.finished", "T-2")]


class FullOnce(LedgerStore):
    """A ledger on a disk that is full at its first write."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, SystemClock())
        self.full = True

    def append(self, *entries: Entry) -> str:
        if self.full:
            self.full = False
            raise Refusal(Finding("DISK_UNWRITABLE", {"case": "write", "problem": "full"}))
        return super().append(*entries)


def test_a_long_event_that_the_disk_did_not_take_waits_for_the_next(tmp_path: Path) -> None:
    (tmp_path / "locks").mkdir()
    ledger = FullOnce(tmp_path)
    recorder = Recorder(ledger, SystemClock())
    recorder.run_id = "r"
    recorder.record_soon(LockReleased(lock="pack-T-1", pack="T-1", duration_ms=5000))
    assert not ledger.full
    assert list(ledger.events()) == []
    recorder.record(PackFinished(pack="T-1", **OTHERS))
    assert [event.event_type for event in ledger.events()] == ["lock.released", "pack.finished"]
