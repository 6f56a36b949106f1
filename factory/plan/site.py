"""What every phase is given: the ports of one repository, and the session of one process.

A `Site` is built once by wiring. A `Session` mints at most one run, and only when
something executes; it is the only mutable thing phases share, guarded by one lock.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from factory.files.inventory_port import Inventory
from factory.files.ports import Clock, Integrator, Ledger, Locks, Store, Tools, WorkTree
from factory.git.ports import Objects, Refs, Repository
from factory.log.signer import Keys
from factory.model.card import CardResult, Progress
from factory.model.config import Config
from factory.model.egress_record import ConnectionRecord
from factory.model.errors import Refusal
from factory.model.event import Entry, Event
from factory.model.events import RunStarted
from factory.model.evidence import MergeDocument, RecheckRecord, StatusDocument
from factory.model.finding import Finding
from factory.model.layout import RUNS, RunFolder
from factory.model.names import RUN_ID
from factory.plan.cloud import UserCloud
from factory.plan.plan import Plan
from factory.plan.stages import PackSandbox
from factory.redact.redaction import Redactor

LONG_MS = 100  # a command that took this long has its event written at once


@dataclass(frozen=True, slots=True)
class Site:
    """One repository with everything that acts on it.

    `environment` is the host's, for declared names only; `redactor` cuts what nobody may see from
    whatever a pack said, before anything else reads it; `cloud` is what the user grants of clouds;
    `tidy` drops caches that nobody used for days; `inventory` makes the door to run folders by
    content.
    """

    repository: Repository
    config: Config
    objects: Objects
    refs: Refs
    sandbox: PackSandbox
    store: Store
    ledger: Ledger
    clock: Clock
    locks: Locks
    work_tree: WorkTree
    tools: Tools
    integrator: Integrator
    keys: Keys
    environment: Mapping[str, str]
    redactor: Redactor
    cloud: UserCloud
    tidy: Callable[[], None]
    inventory: Callable[[], Inventory]
    run_id: str = ""


@dataclass(slots=True)
class Session:
    """What one process did so far. `run_id` is empty until something executes.

    `run_event` is the id of the event that started the run, `causes` that of the last word on each
    pack. `soon` holds events that wait for the next write: by pack, and under "" those of the run
    itself. `writing` is held from taking what waits until it is written, so that events come in the
    order in which they were told. `refused` are packs that were not let run, or did not come to an
    end: whatever bundle an earlier run left of them is no part of this one. `egress` has what packs
    with network did over it, by pack. `freeze` makes `plan`, which a run is given when it is
    minted.
    """

    site: Site
    progress: Progress
    run_id: str = ""
    run_event: str = ""
    results: dict[str, CardResult] = field(default_factory=dict)
    notes: list[Finding] = field(default_factory=list)
    guard: threading.Lock = field(default_factory=threading.Lock)
    writing: threading.Lock = field(default_factory=threading.Lock)
    began: float = 0.0
    locked_at: float = 0.0
    causes: dict[str, str] = field(default_factory=dict)
    soon: dict[str, list[Entry]] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    egress: dict[str, tuple[ConnectionRecord, ...]] = field(default_factory=dict)
    freeze: Callable[[], Plan] | None = None
    plan: Plan | None = None

    def ensure_run(self) -> str:
        """The run's id; the first call mints it, records that it started and by which plan, and
        makes its folder with PLAN.json in it.
        """
        with self.guard:
            if not self.run_id:
                minted = chosen_run_id(self.site) if self.site.run_id else next_run_id(self.site)
                self.began = self.site.clock.monotonic()
                self.plan = self._frozen()
                digest = self.plan.digest if self.plan is not None else ""
                self.run_event = self.site.ledger.append(
                    RunStarted(
                        base_commit=self.site.repository.commit,
                        base_ref=self.site.repository.base_ref,
                        plan=digest,
                    ).entry(minted)
                )
                self.run_id = minted  # only now: what the ledger does not have did not begin
                waiting = self.soon.get("", ())
                self.soon[""] = [
                    replace(one, run_id=self.run_id, parent=self.run_event) for one in waiting
                ]
                self.site.store.write(
                    RunFolder.of(self.run_id).started, f"{self.run_id}\n".encode()
                )
                if self.plan is not None:
                    place = RunFolder.of(self.run_id).plan
                    self.site.store.write(place, self.plan.content)
            return self.run_id

    def _frozen(self) -> Plan | None:
        """The plan; None where there can be none, and then nothing of the run executes a pack."""
        try:
            return self.freeze() if self.freeze is not None else None
        except Refusal:
            return None

    def refuse(self, pack: str) -> None:
        """The pack is not let run, or its run broke off: it has no part in what this run comes
        to.
        """
        with self.guard:
            self.refused.add(pack)

    def milliseconds(self, since: float) -> int:
        """Whole milliseconds since a reading of the monotonic clock."""
        return int((self.site.clock.monotonic() - since) * 1000)

    def record(self, event: Event, parent: str = "") -> str:
        """Append an event of this run, after what waited for it; return its id.

        `parent` is the event that led to it; empty: the one that started the run. An event that is
        about no pack takes along whatever waits.
        """
        return self._append(event.entry(self.run_id, parent or self.run_event))

    def record_all(self, entries: Iterable[Entry], parent: str) -> str:
        """Append events of this run that led from `parent`, in one write; the id of the last, and
        `parent` where there are none.
        """
        placed = tuple(replace(one, run_id=self.run_id, parent=parent) for one in entries)
        return self._append(*placed) if placed else parent

    def _append(self, *entries: Entry) -> str:
        with self.writing:  # else another worker's event could come before what waited for this one
            waited = self.waiting(entries[-1].details.get("pack", ""))
            try:
                return self.site.ledger.append(*waited, *entries)
            except Refusal:
                with self.guard:  # nothing was recorded: what waited still does
                    self.soon[""] = [*waited, *self.soon.get("", ())]
                raise

    def waiting(self, pack: str = "") -> tuple[Entry, ...]:
        """Take what waits to be recorded: of the run and of one pack, or ("") of all packs."""
        with self.guard:
            names = ("", pack) if pack else sorted(self.soon)
            return tuple(one for name in names for one in self.soon.pop(name, ()))

    def record_soon(self, event: Event) -> None:
        """Record an event with the next one of its pack, or at once where it took long: a sync
        costs no more then.
        """
        entry = event.entry(self.run_id, self.run_event, self.site.clock.utc())
        if entry.duration_ms >= LONG_MS and self.run_id:
            self._append(entry)
            return
        with self.guard:
            self.soon.setdefault(entry.details.get("pack", ""), []).append(entry)


@dataclass(slots=True)
class Integrated:
    """What integration came to; `merge` is None where Z was not asked, `event` the id of the event
    that records it.
    """

    findings: list[Finding] = field(default_factory=list)
    merge: MergeDocument | None = None
    rechecks: tuple[RecheckRecord, ...] = ()
    statuses: dict[str, StatusDocument] = field(default_factory=dict)
    came_from: dict[str, str] = field(default_factory=dict)
    largest: tuple[str, ...] = ()
    smallest: tuple[str, ...] = ()
    event: str = ""


def chosen_run_id(site: Site) -> str:
    """The id that the user chose. Raises Refusal RUN_EXISTS where a run bears or bore it."""
    if _is_taken(site, site.run_id):
        message = f"a run of the id {site.run_id} exists already, or the ledger knows one"
        raise Refusal(Finding("RUN_EXISTS", message, "Choose another --run-id, or leave it away."))
    return site.run_id


def next_run_id(site: Site) -> str:
    """`factory_<YYYYMMDD>_<HHMMSS>_<base8>_<NNN>`, the first NNN that no run bears or bore."""
    stamp = site.clock.utc()
    day, time = stamp[:10].replace("-", ""), stamp[11:19].replace(":", "")
    stem = f"factory_{day}_{time}_{site.repository.commit[:8]}"
    names = (f"{stem}_{number:03d}" for number in range(1, 1_000_000))
    found = next(name for name in names if not _is_taken(site, name))
    if RUN_ID.fullmatch(found) is None:
        raise ValueError(f"run id {found!r} does not hold its form")
    return found


def _is_taken(site: Site, run_id: str) -> bool:
    """Whether there is a folder of that name, or an event: a run that was killed at its start has
    no folder.
    """
    return run_id in site.store.names(RUNS) or bool(site.ledger.of_runs((run_id,)))
