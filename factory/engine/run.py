"""Define one run of a repository in one process: what it is about, how far it got, and what is
known of each card.

A run id is minted only when something executes. A run goes one way through its states:

    not started ── start ──► started ── end ──► ending ── settled ──► settled
                                └────────── abandon ──► abandoned

A run that dies in between is finished or abandoned by the next start. This is the only mutable
object that phases share; `recorder` writes its events. Does not know the phases, nor their order.
"""

from __future__ import annotations

import contextlib
import enum
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from factory.contract.catalogue import Catalogue, read_catalogue
from factory.contract.check import narrowed
from factory.engine.recorder import Recorder
from factory.engine.resume import Finished
from factory.engine.workers import Workers
from factory.evidence.run_intact import Intact
from factory.evidence.signing import judge_signing
from factory.judge.secrecy import silenced
from factory.model import layout
from factory.model.card import Card, CardResult, Progress
from factory.model.egress_record import ConnectionRecord
from factory.model.errors import InternalError, Refusal
from factory.model.event import Entry, Event
from factory.model.events import CheckReused, RunAbandoned
from factory.model.evidence import MergeDocument, RecheckRecord, ReusedRecord, StatusDocument
from factory.model.finding import Finding
from factory.model.findings.entry import Facts
from factory.model.judged import MergedJudgeRecord
from factory.model.names import RUN_ID
from factory.model.pack import Network
from factory.model.verdict import Status
from factory.plan.markers import Marker
from factory.plan.plan import Plan
from factory.plan.planner import Planner
from factory.plan.site import Site
from factory.run.bundle_validate import DerivedTrees, bundle_intact
from factory.run.paid import MadeCheck, remember
from factory.sandbox.properties import Enforcement

ENVIRONMENT = "environment"
"""The name of the phase that prepares environments."""


class State(enum.Enum):
    """Name how far a run got."""

    NOT_STARTED = "not started"
    STARTED = "started"
    ENDING = "ending"  # from here on only `settle` decides how it ended, now or at the next start
    SETTLED = "settled"
    ABANDONED = "abandoned"


_NEXT: Mapping[State, frozenset[State]] = {
    State.NOT_STARTED: frozenset({State.STARTED}),
    State.STARTED: frozenset({State.ENDING, State.ABANDONED}),
    State.ENDING: frozenset({State.SETTLED}),
    State.SETTLED: frozenset(),
    State.ABANDONED: frozenset(),
}


@dataclass(frozen=True, slots=True)
class CardOutcome:
    """Describe the end of a card: its verdict, findings, a line to show, and the run that it is of
    where that is an earlier one.
    """

    status: Status
    findings: tuple[Finding, ...] = ()
    headline: str = ""
    run_id: str = ""


@dataclass(slots=True)
class Integrated:
    """Collect the result of integration; `merge` is None where Z was not asked, `event` the id of
    the event that records it.
    """

    findings: list[Finding] = field(default_factory=list)
    merge: MergeDocument | None = None
    rechecks: tuple[RecheckRecord, ...] = ()
    judge_runs: tuple[MergedJudgeRecord, ...] = ()
    statuses: dict[str, StatusDocument] = field(default_factory=dict)
    came_from: dict[str, str] = field(default_factory=dict)
    largest: tuple[str, ...] = ()
    smallest: tuple[str, ...] = ()
    event: str = ""


class Run:
    """Describe one run of a repository.

    `results` has the cards that ended in this process; `refused` the packs that may not run or
    broke off, so that no bundle of theirs is part of this run; `leftovers` the findings about
    earlier runs that were cut off; `resumable` the bundles such a run had finished, `resumed` the
    run of each that was taken over; `derived` the trees of bundles that were validated in it, by
    pack; `connections` what packs with network did over it, by pack; `reused` the checks that did
    not run; `blocked_early`: preflight blocked, and the run starts once environments were tried;
    `given_plan` the plan that the run started with; `against` what speaks against the run besides
    its cards; `named` the finished run that the
    command names in its last line.
    """

    def __init__(
        self,
        site: Site,
        progress: Progress,
        look: Callable[[], tuple[Finding, ...]],
        make_cards: Callable[[Catalogue, Site], tuple[Card, ...]],
        only: tuple[str, ...] = (),
    ) -> None:
        """Take what acts on the repository; `look` returns findings about its present state. `only`
        names the packs that the run is about, with what they depend on; none: all.
        """
        self.site = site
        self.progress = progress
        self.state = State.NOT_STARTED
        self.recorder = Recorder(site.ledger, site.clock)
        self.workers = Workers(site, lambda: self.plan, self.measured)
        self.guard = threading.Lock()
        self.results: dict[str, CardResult] = {}
        self.refused: set[str] = set()
        self.leftovers: list[Finding] = []
        self.resumable: Mapping[str, Finished] = {}
        self.resumed: dict[str, str] = {}
        self.derived: dict[str, DerivedTrees] = {}
        self.connections: dict[str, tuple[ConnectionRecord, ...]] = {}
        self.reused: list[ReusedRecord] = []
        self._foreign: set[str] = set()
        self.integrated = Integrated()
        self.given_plan: Plan | None = None
        self.intact = Intact(site)
        self.began = 0.0
        self.named = ""
        self.only = only
        self.blocked_early = False
        self._look, self._make_cards = look, make_cards
        self.against: tuple[Finding, ...] = ()
        self._unkept: tuple[Finding, ...] = ()
        self._now: tuple[Finding, ...] = ()
        self._signing: tuple[Finding, ...] | None = None
        self._plan: Plan | None = None
        self._freezing = threading.Lock()
        self._checked: Callable[[str], Event] | None = None

    # ── what it is about ─────────────────────────────────────────────────────

    @cached_property
    def catalogue(self) -> Catalogue:
        """Return the packs as they are in the work tree: all, or those that the run is about. Raise
        UsageError for a name that no pack has.
        """
        config = self.site.config
        found = read_catalogue(
            self.site.work_tree, config.packs_folder, config.ceilings, self.site.redactor
        )
        return narrowed(found, self.only) if self.only else found

    @cached_property
    def cards(self) -> tuple[Card, ...]:
        """Return every card, in an order that respects `after`."""
        return self._make_cards(self.catalogue, self.site)

    @cached_property
    def planner(self) -> Planner:
        """Return what computes trees and action keys."""
        return Planner(self.site, self.catalogue)

    @property
    def prepares(self) -> bool:
        """Return whether a card of this repository prepares an environment."""
        return any(card.phase == ENVIRONMENT for card in self.cards)

    @property
    def shows_host(self) -> bool:
        """Return whether a pack sees a folder of the user's."""
        packs = [entry.pack for entry in self.catalogue.entries if entry.pack is not None]
        named = {name for pack in packs for name in pack.environments}
        declared = (self.site.config.environment(name) for name in named)
        return any(each.host for each in declared if each is not None)

    @property
    def plan(self) -> Plan:
        """Return the plan of this process, made once. Raise Refusal where there can be none."""
        with self._freezing:
            if self._plan is None:
                self._plan = self.planner.freeze()
            return self._plan

    def measured(self) -> Enforcement:
        """Return what the sandbox enforces, measured once per process; with network where any pack
        declares it.
        """
        packs = [entry.pack for entry in self.catalogue.entries if entry.pack is not None]
        named = {name for pack in packs for name in pack.environments}
        declared = (*(pack.constraints.network for pack in packs), *self._networks_of(named))
        return self.site.sandbox.measure(any(network.declared for network in declared))

    def _networks_of(self, names: Iterable[str]) -> Iterator[Network]:
        for name in names:
            declared = self.site.config.environment(name)
            if declared is not None:
                yield declared.network

    def leave_unsigned(self) -> None:
        """Make this a run that nobody signs: no key is asked for, and none is made."""
        self._signing = ()

    def signing(self) -> tuple[Finding, ...]:
        """Return why this run cannot be signed as the policy demands; looked at once, and then
        among what speaks `against` the run.
        """
        if self._signing is None:
            self._signing = judge_signing(self.site)
            self.against += self._signing
        return self._signing

    # ── how far it got ───────────────────────────────────────────────────────

    @property
    def id(self) -> str:
        """Return the run's id; "" until something executes."""
        return self.recorder.run_id

    def start(self) -> str:
        """Return the run's id; the first call mints it, records the start and by which plan, and
        makes its folder with PLAN.json in it. Raise Refusal where the start cannot be recorded:
        then nothing started.
        """
        with self.guard:
            if self.state is State.NOT_STARTED:
                site = self.site
                minted = chosen_run_id(site) if site.run_id else next_run_id(site)
                self.began = site.clock.monotonic()
                self.given_plan = self._frozen()
                digest = self.given_plan.digest if self.given_plan is not None else ""
                if self._checked is not None:
                    self.recorder.record_soon(self._checked(digest))
                self.recorder.start(minted, site.repository, site.origin, digest)
                self._enter(State.STARTED)
                folder = layout.RunFolder.of(minted)
                site.store.write(folder.started, f"{minted}\n".encode())
                if self.given_plan is not None:
                    site.store.write(folder.plan, self.given_plan.content)
            return self.id

    def checked(self, event: Callable[[str], Event]) -> None:
        """Record how preflight ended once the run starts: `event` is given the digest of its plan,
        which is frozen after environments are prepared.
        """
        self._checked = event

    def _frozen(self) -> Plan | None:
        """Return the plan; None where there can be none, and then no pack is executed."""
        try:
            return self.plan
        except Refusal:
            return None

    def end(self) -> str:
        """Return the run's id, started if need be; its end begins."""
        run_id = self.start()
        self._enter(State.ENDING)
        return run_id

    def settled(self) -> None:
        """Note that the end of the run is complete on disk."""
        self._enter(State.SETTLED)
        self.named = self.id

    def abandon(self, reason: str) -> None:
        """Record that a started run was interrupted; one whose end began is for the next start to
        finish.
        """
        if self.state is State.STARTED:
            self._enter(State.ABANDONED)
            self.recorder.record(RunAbandoned(rc=Status.FAIL.exit_code, reason=reason))

    def _enter(self, state: State) -> None:
        """Raise InternalError where `state` does not follow."""
        if state not in _NEXT[self.state]:
            raise InternalError(f"expected no run that is {self.state.value} to be {state.value}")
        self.state = state

    # ── what is known of a card ──────────────────────────────────────────────

    def marker(self, card: Card) -> Marker | None:
        """Return what the card's marker says."""
        return self.site.markers.load(card)

    def result_of(self, card: Card) -> tuple[Status, tuple[Finding, ...], bool]:
        """Return (status, findings, known): of this process, or as its marker says. A card without
        result or marker is BLOCKED with known=False.
        """
        result = self.results.get(card.name)
        if result is not None:
            return result.status, result.findings, True
        marker = self.marker(card)
        if marker is None:
            return Status.BLOCKED, (), False
        now = self._now if card == self.cards[0] else ()
        return marker.status, (*now, *marker.findings), True

    def status_of(self, name: str) -> Status:
        """Return the verdict of the card with this name; BLOCKED where nothing is known of it."""
        card = next((card for card in self.cards if card.name == name), None)
        return self.result_of(card)[0] if card is not None else Status.BLOCKED

    def ended(self, card: Card, result: CardResult) -> None:
        """Note how a card ended in this process."""
        with self.guard:
            self.results[card.name] = result

    def keep_traceback(self, name: str, content: bytes) -> None:
        """Write the traceback of a defect into the run, unless the run is settled: nothing is added
        to one that is. Raise Refusal.
        """
        folder = layout.RunFolder.of(self.start()).raw
        if self.state is not State.SETTLED:
            self.site.store.write(folder.at(name), content)

    def not_kept(self, findings: tuple[Finding, ...]) -> None:
        """Note that the disk did not keep the marker of a card: its verdict is as it was."""
        with self.guard:
            self._unkept += findings

    def take_unkept(self) -> tuple[Finding, ...]:
        """Return and drop the findings about markers that the disk did not keep."""
        with self.guard:
            found, self._unkept = self._unkept, ()
            return found

    def take_checks(
        self, events: Iterable[Entry], made: Iterable[MadeCheck], foreign: Collection[str]
    ) -> None:
        """Note which checks did not run, by their events, and remember those that did. One that
        cannot be remembered costs time later, no more.
        """
        kind = CheckReused.event_type
        said = (event.details for event in events if event.event_type == kind)
        found = [
            ReusedRecord(
                pack=one["pack"],
                attempt=int(one["attempt"]),
                label=one["label"],
                from_run=one["from_run"],
            )
            for one in said
        ]
        with self.guard:
            self.reused += found
            self._foreign |= {*foreign}
        with contextlib.suppress(Refusal):
            remember(made, self.id, self.site.store, self.site.seal)

    def refuse(self, pack: str) -> None:
        """Note that the pack may not run, or broke off: no bundle of it is part of this run."""
        with self.guard:
            self.refused.add(pack)

    def look(self) -> tuple[Finding, ...]:
        """Return findings about this moment: what an earlier run left, and the repository as it is.
        Raise Refusal.
        """
        found = (*self.leftovers, *self._sealed(), *self._look())
        self._now = silenced(self.site.redactor, found)
        return self._now

    def _sealed(self) -> tuple[Finding, ...]:
        """Return warnings about memory that was not believed, or that the next start will not
        believe.
        """
        seal = self.site.seal
        if not seal.lasting:
            return (Finding("SEAL_NOT_KEPT", {"why": seal.why}),)
        foreign = self.site.markers.foreign
        for card in self.cards:
            self.marker(card)
        facts: Facts = {"case": "markers", "count": len(foreign)}
        return (Finding("STATE_NOT_SEALED", facts),) if foreign else ()

    def unsealed_checks(self) -> tuple[Finding, ...]:
        """Return the warning about checks that were remembered and not believed, if there were."""
        facts: Facts = {"case": "checks", "count": len(self._foreign)}
        return (Finding("STATE_NOT_SEALED", facts),) if self._foreign else ()

    def look_again(self) -> None:
        """Do the same where no preflight was executed in this process. Raise Refusal."""
        if self.cards[0].name not in self.results:
            self.look()

    def lasting(self, findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
        """Return the findings that a marker may repeat in a later process: not those about this
        moment that do not block.
        """
        return tuple(one for one in findings if one.blocks or one not in self._now)

    # ── bundles ──────────────────────────────────────────────────────────────

    def manifest_of(self, pack_id: str) -> str:
        """Return the SHA-256 of the manifest of a pack's bundle; "" where there is none."""
        return self.site.store.sha256(layout.BundleFolder.of(pack_id).manifest)

    def bundle_is_intact(self, pack_id: str) -> bool:
        """Return whether every file of a pack's bundle is as its manifest says."""
        return not bundle_intact(self.site.store, pack_id)

    def is_whole(self, run_id: str) -> bool:
        """Return whether a finished run is as it was written, and nothing started since."""
        return self.state is State.NOT_STARTED and self.intact.whole(run_id)

    def bundle_run(self, card: Card) -> str:
        """Return the run that the bundle of a launch card is of."""
        marker = self.marker(card)
        if card.name in self.results or marker is None:
            return self.resumed.get(card.pack, "") or self.id
        return marker.run_id


def chosen_run_id(site: Site) -> str:
    """Return the id that the user chose. Raise Refusal RUN_EXISTS where a run has or had it."""
    if _is_taken(site, site.run_id):
        raise Refusal(Finding("RUN_EXISTS", {"run": site.run_id}))
    return site.run_id


def next_run_id(site: Site) -> str:
    """Return `factory_<YYYYMMDD>_<HHMMSS>_<base8>_<NNN>`, with the first NNN that no run has or
    had.
    """
    stamp = site.clock.utc()
    day, time = stamp[:10].replace("-", ""), stamp[11:19].replace(":", "")
    stem = f"factory_{day}_{time}_{site.repository.commit[:8]}"
    names = (f"{stem}_{number:03d}" for number in range(1, 1_000_000))
    found = next(name for name in names if not _is_taken(site, name))
    if RUN_ID.fullmatch(found) is None:
        raise ValueError(f"run id {found!r} does not have its form")
    return found


def _is_taken(site: Site, run_id: str) -> bool:
    """Return whether there is a folder of that name, or an event: a run that was killed at its
    start has no folder.
    """
    return run_id in site.store.names(layout.RUNS) or bool(site.ledger.of_runs((run_id,)))
