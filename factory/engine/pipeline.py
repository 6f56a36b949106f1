"""The pipeline: it alone knows the order of the phases and when a run is minted.

preflight → launch:<pack> → bundle-validate:<pack> → integrate → summary. A PASS that still
holds is not executed again; anything else is. No phase knows another.
"""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Callable, Collection, Mapping

from factory.contract.catalogue import Catalogue, read_catalogue
from factory.engine import integrate, summary
from factory.engine.branch import recover_branches
from factory.engine.carry import Carrying, carried_on
from factory.engine.known import Known
from factory.engine.launching import launch_recorded
from factory.engine.phases import card_key, make_cards, phase_named
from factory.engine.rest import rest_of
from factory.engine.standstill import Rest
from factory.evidence import chronicle, settle
from factory.evidence.run_intact import Intact
from factory.evidence.signing import judge_signing
from factory.evidence.trash import settle_trash
from factory.judge.secrecy import silenced, silent
from factory.judge.status_eval import combine, of_findings
from factory.model import layout
from factory.model.card import Card, CardResult, Closing, Progress
from factory.model.errors import Refusal
from factory.model.events import RunAbandoned
from factory.model.finding import Finding
from factory.model.layout import RunFolder
from factory.model.verdict import Status
from factory.model.wording import counted
from factory.plan.markers import Marker, marker_path, not_kept, store_marker
from factory.plan.plan import Plan
from factory.plan.planner import Planner
from factory.plan.site import Integrated, Session, Site
from factory.run import egress, preflight
from factory.run.bundle_validate import bundle_intact, validate
from factory.run.defects import defect
from factory.run.shown import record_shown
from factory.sandbox.properties import Enforcement


class RepositoryPipeline:
    """The pipeline of one repository, for one process. `silent` is used until `begin` says who is
    told.
    """

    def __init__(
        self,
        site: Site,
        silent: Progress,
        notes: Callable[[], tuple[Finding, ...]],
        after_run: Callable[[str], tuple[str, ...]] = lambda _run_id: (),
        at_rest: Callable[[Rest], None] = lambda _rest: None,
    ) -> None:
        """`after_run` is told the id of a run that was settled, and gives lines to add to the last
        word.

        `at_rest` is told where every card held, so that nothing was executed; the run lock is held
        still.
        """
        self._site = site
        self._after_run, self._at_rest = after_run, at_rest
        self._session = Session(site, silent, freeze=self.frozen_plan)
        self._known = Known(self._session, notes)
        self._stack = contextlib.ExitStack()
        self._catalogue: Catalogue | None = None
        self._planner: Planner | None = None
        self._cards: tuple[Card, ...] = ()
        self._plan: Plan | None = None
        self._freezing = threading.Lock()
        self._integrated = Integrated()
        self._settled = ""
        self._unkept: tuple[Finding, ...] = ()
        self._against: tuple[Finding, ...] = ()
        # whether the end of the run has begun; from then on only `settle` says how it ended
        self._ending = False
        self._carrying = Carrying()
        self._intact = Intact(site)
        self._unsignable: tuple[Finding, ...] | None = None
        self._announced = False
        self._execute: Mapping[str, Callable[[Card], tuple[Status, tuple[Finding, ...], str]]] = {
            "preflight": self._preflight,
            "launch": self._launch,
            "bundle-validate": self._validate,
            "integrate": self._integrate,
            "summary": self._summary,
        }

    # ── what there is ────────────────────────────────────────────────────────

    @property
    def session(self) -> Session:
        return self._session

    @property
    def site(self) -> Site:
        return self._site

    @property
    def catalogue(self) -> Catalogue:
        if self._catalogue is None:
            config = self._site.config
            self._catalogue = read_catalogue(
                self._site.work_tree, config.packs_folder, config.ceilings, self._site.redactor
            )
        return self._catalogue

    @property
    def planner(self) -> Planner:
        if self._planner is None:
            self._planner = Planner(self._site, self.catalogue)
        return self._planner

    def cards(self) -> tuple[Card, ...]:
        """Every card, in an order that respects `after`."""
        if not self._cards:
            self._cards = make_cards(
                self.catalogue, self._site.repository.root, self._site.store.root
            )
        return self._cards

    # ── whether a card still holds ───────────────────────────────────────────

    def holds(self, card: Card, stored: Mapping[str, object]) -> bool:
        """A stored PASS for the same key, with its target and what it points at untouched."""
        marker = self._known.marker(card)
        if (
            marker is None
            or marker.status is not Status.PASS
            or stored.get("verdict") != Status.PASS.value
        ):
            return False
        targets = {target: self._site.store.sha256(marker_path(card)) for target in card.targets}
        if stored.get("targets") != targets:
            return False
        try:
            key = self._key(card)
        except (Refusal, KeyError):
            return False
        phase = phase_named(card.phase)
        return key == marker.key == stored.get("key") and phase.stays_valid(card, marker, self)

    def manifest_of(self, pack_id: str) -> str:
        """Return the SHA-256 of the manifest of a pack's bundle; "" where there is none."""
        return self._site.store.sha256(layout.BundleFolder.of(pack_id).manifest)

    def bundle_is_intact(self, pack_id: str) -> bool:
        """Return whether every file of a pack's bundle is as its manifest says."""
        return not bundle_intact(self._site.store, pack_id)

    def is_whole(self, run_id: str) -> bool:
        """Return whether a finished run is as it was written, and nothing ran in this process."""
        return not self._session.run_id and self._intact.whole(run_id)

    def _key(self, card: Card) -> str:
        return card_key(card, self)

    # ── carrying out ─────────────────────────────────────────────────────────

    def begin(self, progress: Progress) -> None:
        """Take the run lock, then finish or abandon what an earlier run left."""
        self._session.progress = progress
        chronicle.take_run_lock(self._session, self._stack)
        settle_trash(self._site)
        self._session.notes += (
            *settle.recover(self._site),
            *recover_branches(self._site, self._site.refs),
        )
        self._carrying = Carrying(carried_on(self._site.ledger.newest()))
        self._site.tidy()

    def execute(self, card: Card) -> CardResult:
        """Carry out one card; every refusal becomes its findings, every defect a CRASH."""
        self._announce()
        try:
            status, findings, headline = self._execute[phase_named(card.phase).name](card)
        except Refusal as refusal:
            status, findings, headline = (
                self._broken_off(card, of_findings(refusal.findings)),
                refusal.findings,
                "",
            )
        except KeyboardInterrupt:
            raise
        except Exception as error:  # noqa: BLE001  the engine must get a verdict, whatever went wrong
            met = defect(self._site.redactor, card.name, error, card.pack)
            place = RunFolder.of(self._session.ensure_run()).raw.at(met.name)
            self._site.store.write(place, met.traceback)
            status, findings, headline = self._broken_off(card, Status.FAIL), (met.finding,), ""
        redactor = self._site.redactor
        return self._end(card, status, silenced(redactor, findings), silent(redactor, headline))

    def _broken_off(self, card: Card, status: Status) -> Status:
        """A pack that did not come to its end brought no bundle: what lies there is of an earlier
        action.
        """
        if card.phase == "launch":
            self._session.refuse(card.pack)
        return status

    def _announce(self) -> None:
        """Say who holds the run lock, once something is executed: a run that changes nothing
        touches no file.
        """
        with self._session.guard:
            if not self._announced:
                self._announced = True
                self._site.locks.announce(
                    "run", f"another run{f' {self._site.run_id}' if self._site.run_id else ''}"
                )

    def _end(
        self, card: Card, status: Status, findings: tuple[Finding, ...], headline: str
    ) -> CardResult:
        try:
            key = self._key(card)
        except (Refusal, KeyError):
            key = ""  # a pack that cannot be planned has no key, and is never up to date
        run = self._carrying.run_of(card) or self._session.run_id or self._settled
        marker = Marker(status, key, run, self._known.lasting(card, findings))
        try:
            self._site.objects.settle()
            targets = dict.fromkeys(card.targets, store_marker(self._site.store, card, marker))
        except (Refusal, OSError) as error:
            # The card came to what it came to; that the disk does not keep it is for the verdict of
            # the run.
            unkept = not_kept(card, error)
            self._unkept += unkept
            key, findings, targets = "", findings if self._settled else (*findings, *unkept), {}
        result = CardResult(status, key, targets, headline, findings)
        with self._session.guard:
            self._session.results[card.name] = result
        return result

    def _preflight(self, _card: Card) -> tuple[Status, tuple[Finding, ...], str]:
        began = self._site.clock.monotonic()
        enforcement = self._measured()
        found = (
            *self._known.look(),
            *preflight.judge_host(self._site.config, enforcement),
            *self._signing(),
            *preflight.judge_packs(
                self.catalogue, self.planner, self._site.config, enforcement, self._site.cloud
            ),
        )
        if not any(finding.blocks and not finding.pack for finding in found):
            plan = self.frozen_plan()
            if not plan.document.packs_committed:
                found = (
                    *found,
                    Finding(
                        "REPO_PACKS_UNCOMMITTED", _UNCOMMITTED, "Commit them to publish a run."
                    ),
                )
        status = of_findings(found)
        entries = self.catalogue.entries
        files = sum(len(entry.files) for entry in entries)
        plan_digest = self.frozen_plan().digest if status is Status.PASS else ""
        chronicle.preflight_ended(
            self._session, status, began, packs=len(entries), files=files, plan=plan_digest
        )
        base = self._site.repository
        headline = (
            f"{counted(len(entries), 'pack')} at {base.commit[:8]} ({base.branch or base.base_ref})"
        )
        return status, found, f"{headline} · sandbox {enforcement.backend}"

    def _measured(self) -> Enforcement:
        """What the sandbox gives, measured once per process; with network where any pack declares
        it.
        """
        packs = (entry.pack for entry in self.catalogue.entries)
        return self._site.sandbox.measure(
            any(pack.constraints.network.declared for pack in packs if pack is not None)
        )

    def _signing(self) -> tuple[Finding, ...]:
        """Findings where this run cannot be signed as policy asks; looked at once."""
        if self._unsignable is None:
            self._unsignable = judge_signing(self._site)
        return self._unsignable

    def frozen_plan(self) -> Plan:
        """Return the plan of this process, made once. Raises Refusal where there can be none."""
        with self._freezing:
            if self._plan is None:
                self._plan = self.planner.freeze()
            return self._plan

    def _refused(self, card: Card) -> tuple[Finding, ...] | None:
        """What keeps a pack from running: findings, an empty tuple where the whole run is refused,
        None for nothing.
        """
        before = self._session.results.get("preflight")
        if before is not None and any(f.blocks and not f.pack for f in before.findings):
            return ()
        own = before.findings if before is not None else self.catalogue.all_findings()
        blocking = tuple(f for f in own if f.blocks and f.pack == card.pack)
        return blocking or None

    def _launch(self, card: Card) -> tuple[Status, tuple[Finding, ...], str]:
        refused = self._refused(card)
        if refused is not None:
            why = "its contract does not hold" if refused else "preflight"
            return self._unlaunched(card, refused, why)
        # Preflight may hold from an earlier day; what is enforced is asked of the host as it is
        # now.
        planned = self.frozen_plan().planned(card.pack)
        pack = planned.pack
        lacking = (
            *preflight.judge_launch(pack, self._site.config, self._measured(), self._site.cloud),
            *self._signing(),
        )
        if any(finding.blocks for finding in lacking):
            return self._unlaunched(
                card, tuple(finding for finding in lacking if finding.blocks), "host"
            )
        with contextlib.ExitStack() as stack:
            held = chronicle.take_pack_lock(self._session, card.pack, stack)
            if held:
                return self._unlaunched(card, held, "locked")
            carried = self._carrying.take(self._session, planned)
            if carried is not None:
                return (
                    Status.PASS,
                    (),
                    f"{summary.pack_headline(carried)}, from a run that was cut off",
                )
            altered = self._altered(card)
            launched = launch_recorded(self._session, self.frozen_plan(), card.pack)
        if launched.status is None:
            return self._broken_off(card, launched.verdict), launched.findings, ""
        refusals = egress.refused(pack, launched.connections)
        findings = (*summary.findings_of(launched.status), *refusals)
        return launched.verdict, findings, summary.pack_headline(launched.status) + altered

    def _unlaunched(
        self, card: Card, found: tuple[Finding, ...], why: str
    ) -> tuple[Status, tuple[Finding, ...], str]:
        self._session.ensure_run()
        self._session.refuse(card.pack)
        return Status.BLOCKED, found, f"not run: {why}"

    def _altered(self, card: Card) -> str:
        """Words for a bundle that was a PASS of this very action and is not as it was written;
        recorded as an event.
        """
        marker = self._known.marker(card)
        if marker is None or marker.status is not Status.PASS or marker.key != self._key(card):
            return ""
        found = bundle_intact(self._site.store, card.pack)
        return chronicle.bundle_refused(self._session, card.pack, found[0].message) if found else ""

    def _validate(self, card: Card) -> tuple[Status, tuple[Finding, ...], str]:
        refused = card.pack in self._session.refused or self._refused(card) is not None
        if refused or self.manifest_of(card.pack) == "":
            return combine((self.status_of(card.after[0]), Status.BLOCKED)), (), "no bundle"
        began = self._site.clock.monotonic()
        found = validate(self._site.store, self._site.objects, self.frozen_plan(), card.pack)
        chronicle.bundle_validated(self._session, card.pack, found, began)
        return of_findings(found), found, "holds, derived again" if not found else ""

    def status_of(self, name: str) -> Status:
        """The verdict of a card: of this process, or as remembered; BLOCKED where nothing is
        known.
        """
        card = next((card for card in self.cards() if card.name == name), None)
        return self._known.of(card)[0] if card is not None else Status.BLOCKED

    def _integrate(self, card: Card) -> tuple[Status, tuple[Finding, ...], str]:
        before_this = self._known.marker(card)
        replaced = (
            self._intact.replaced(before_this.run_id)
            if before_this is not None and before_this.run_id
            else ()
        )
        self._session.ensure_run()
        status = combine(self.status_of(other.name) for other in self._before(card))
        refused = self._session.refused
        packs = tuple(
            e.id for e in self.catalogue.entries if e.id not in refused and self.manifest_of(e.id)
        )
        launched = [
            (other, self._known.marker(other)) for other in self.cards() if other.phase == "launch"
        ]
        came = {
            other.pack: self._carrying.ran_in(self._session, other, marker)
            for other, marker in launched
        }
        self._integrated.came_from = integrate.copy_bundles(self._session, packs, came)
        if status is not Status.PASS:
            return status, replaced, "nothing merged"
        plan = self.frozen_plan()
        integrate.integrate(self._session, plan, self._integrated)
        found = (*replaced, *self._integrated.findings)
        return of_findings(found), found, summary.merge_headline(self._integrated)

    def _before(self, card: Card) -> tuple[Card, ...]:
        """Return every card that must have passed before `card`: all that come before it."""
        cards = self.cards()
        return cards[: cards.index(card)]

    def _summary(self, _card: Card) -> tuple[Status, tuple[Finding, ...], str]:
        kept = self._kept_run()
        if kept:
            self._settled = kept
            return Status.PASS, (), f"PASS  {kept}"
        status = self._settle({card.name for card in self.cards()})
        return status, (), f"{status.value}  {self._session.run_id}"

    def _kept_run(self) -> str:
        """The finished run whose integration still holds, where nothing was executed since; else
        empty.
        """
        marker = next(
            (self._known.marker(card) for card in self.cards() if card.phase == "integrate"), None
        )
        if self._session.run_id or "integrate" in self._session.results or marker is None:
            return ""
        return (
            marker.run_id
            if marker.status is Status.PASS and self._intact.whole(marker.run_id)
            else ""
        )

    def _settle(self, asked: Collection[str]) -> Status:
        run_id = self._session.ensure_run()
        self._ending = True
        self._against, self._unkept = (*self._signing(), *self._unkept), ()
        try:
            self._known.look_again()
        except Refusal as refusal:
            self._against += refusal.findings
        enforcement = summary.keep_enforcement(self._site, run_id, self._measured())
        document = summary.run_status(self, self._integrated, enforcement, asked, self._against)
        record_shown(self._session, document)
        cause = self._integrated.event or self._session.run_event
        elapsed = self._session.milliseconds(self._session.began)
        prepared = settle.prepare(self._site, document, cause, elapsed, self._session.waiting())
        settle.settle(self._site, run_id, prepared)
        self._settled = run_id
        with contextlib.suppress(
            Refusal
        ):  # a memory to be quick by next time; without it every file is read
            self._site.inventory().survey(run_id)
        return Status(document.status)

    def result_of(self, card: Card) -> tuple[Status, tuple[Finding, ...], bool]:
        """Verdict and findings of a card, and whether anything is known of it."""
        return self._known.of(card)

    # ── the end ──────────────────────────────────────────────────────────────

    def close(self, selected: Mapping[str, Status], executed: frozenset[str]) -> Closing:
        """Finish the run where one was minted, free the lock, say the last word."""
        try:
            if self._session.run_id and not self._ending:
                self._settle(selected)
            elif (
                "integrate" not in selected
            ):  # nothing of a run was asked for, so preflight has to speak for itself
                self._known.look_again()
            status = combine(
                (*selected.values(), *summary.verdict_of(self._against or self._unsignable or ()))
            )
            closing = summary.closing(self, status, selected, executed, self._settled)
            chronicle.release_run_lock(self._session)
            self._site.ledger.remember()
            more = self._after_run(self._settled) if self._settled else ()
            passed = {name for name, verdict in selected.items() if verdict is Status.PASS}
            if closing.status is Status.PASS and len(passed) == len(self.cards()) and not executed:
                records = self._known.records(self.cards())
                self._at_rest(rest_of(self, records, self._intact.asked, closing))
            notes = (
                f"note: {finding.message}; that will be done again next time"
                for finding in self._unkept
            )
            return dataclasses.replace(closing, lines=(*closing.lines, *more, *notes))
        finally:
            self._stack.close()
            self._site.sandbox.close()

    def abandon(self, reason: str) -> None:
        """Record an interrupted run and free the lock. One whose end had begun is for the next
        start to finish.
        """
        try:
            if self._session.run_id and not self._ending:
                self._session.record(RunAbandoned(rc=Status.FAIL.exit_code, reason=reason))
                chronicle.release_run_lock(self._session)
        finally:
            self._stack.close()
            self._site.sandbox.close()


_UNCOMMITTED = "task packs differ from the base commit; this run cannot be published"
