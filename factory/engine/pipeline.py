"""Drive the phases of one repository over one run, for one process.

A PASS that is up to date is not executed again; anything else is. Every refusal becomes the
findings of its card, every defect a CRASH. Does not know what a phase does, nor who asks.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from factory.engine import summary
from factory.engine.branch import recover_branches
from factory.engine.driver import with_warnings
from factory.engine.phases import Integrate, Validate, card_key, make_cards, phase_named
from factory.engine.resume import resumable
from factory.engine.run import CardOutcome, Run, State
from factory.engine.unseen import unseen
from factory.evidence import settle
from factory.evidence.trash import settle_trash
from factory.judge.secrecy import silenced, silent
from factory.judge.status_eval import combine, of_findings
from factory.model.card import Card, CardResult, Closing, Progress
from factory.model.errors import Refusal
from factory.model.events import LockReleased, LockTaken
from factory.model.finding import Finding
from factory.model.verdict import Status
from factory.plan.markers import Marker, marker_path, not_kept
from factory.plan.site import Site
from factory.run.defects import defect

if TYPE_CHECKING:
    from factory.contract.catalogue import Catalogue


class RepositoryPipeline:
    """Implement `driver.Pipeline` for one repository. `progress` is used until `begin` is given
    another.
    """

    def __init__(
        self,
        site: Site,
        progress: Progress,
        look: Callable[[], tuple[Finding, ...]],
        after_run: Callable[[str], tuple[str, ...]] = lambda _run_id: (),
        remember: Callable[[Run, Closing, frozenset[str]], None] = lambda *_: None,
        only: tuple[str, ...] = (),
    ) -> None:
        """Take what acts on the repository. `look` returns findings about the repository as it is
        now. `after_run` is given the id of a run that was settled, and returns lines to print.
        `remember` is called under the run lock where every card passed, with how the next start
        ends if nothing changes, and the names of the cards that were executed; never for a run that
        is about `only` some packs, since the next one may be about others.
        """
        self.run = Run(site, progress, look, _cards_of, only)
        self._after_run, self._remember = after_run, remember
        self._stack = contextlib.ExitStack()
        self._locked_at = 0.0
        self._announced = False

    @property
    def site(self) -> Site:
        """Return what acts on the repository."""
        return self.run.site

    def cards(self) -> tuple[Card, ...]:
        """Return every card, in an order that respects `after`."""
        return self.run.cards

    def is_up_to_date(self, card: Card, stored: Mapping[str, object]) -> bool:
        """Return whether `stored` is a PASS for the same key, with its target and what that points
        to untouched. Change nothing.
        """
        with self.run.workers.still:
            return self._is_up_to_date(card, stored)

    def _is_up_to_date(self, card: Card, stored: Mapping[str, object]) -> bool:
        run = self.run
        marker = run.marker(card)
        if marker is None or marker.status is not Status.PASS:
            return False
        digest = run.site.store.sha256(marker_path(card))
        record = {
            "verdict": "PASS",
            "key": marker.key,
            "targets": dict.fromkeys(card.targets, digest),
        }
        if any(stored.get(name) != value for name, value in record.items()):
            return False
        try:
            key = card_key(card, run)
        except (Refusal, KeyError):
            return False
        return key == marker.key and phase_named(card.phase).stays_valid(card, marker, run)

    def begin(self, progress: Progress) -> None:
        """Take the run lock, then finish or abandon what an earlier run left. Raise Refusal."""
        run, site = self.run, self.run.site
        run.progress = progress
        asked = site.clock.monotonic()
        self._stack.enter_context(site.locks.take("run"))
        self._locked_at = site.clock.monotonic()
        waited = run.recorder.milliseconds(asked)
        run.recorder.record_soon(LockTaken(lock="run", duration_ms=waited))
        settle_trash(site)
        run.leftovers += (*settle.recover(site), *recover_branches(site, site.refs))
        run.resumable = resumable(site.ledger.newest(), site.ledger.own_since())
        site.tidy()

    def execute(self, card: Card) -> CardResult:
        """Execute one card and write its marker. Only KeyboardInterrupt leaves it as an
        exception.
        """
        run, redactor = self.run, self.run.site.redactor
        self._announce()
        try:
            outcome = phase_named(card.phase).execute(card, run)
        except Refusal as refusal:
            outcome = CardOutcome(of_findings(refusal.findings), refusal.findings)
        except Exception as error:  # noqa: BLE001  there must be a verdict, whatever went wrong
            met = defect(redactor, card.name, error, card.pack)
            run.keep_traceback(met.name, met.traceback)
            outcome = CardOutcome(Status.FAIL, (met.finding,))
        headline = silent(redactor, outcome.headline)
        found = silenced(redactor, outcome.findings)
        return self._ended(card, dataclasses.replace(outcome, findings=found, headline=headline))

    def _announce(self) -> None:
        """Say who has the run lock, once something is executed: a run that changes nothing touches
        no file.
        """
        site = self.run.site
        with self.run.guard:
            if not self._announced:
                self._announced = True
                named = f" {site.run_id}" if site.run_id else ""
                site.locks.announce("run", f"another run{named}")

    def _ended(self, card: Card, outcome: CardOutcome) -> CardResult:
        run, site = self.run, self.run.site
        try:
            key = card_key(card, run)
        except (Refusal, KeyError):
            key = ""  # a pack that cannot be planned has no key, and is never up to date
        findings = outcome.findings
        of_run = outcome.run_id or run.id or run.named
        bundle = run.manifest_of(card.pack) if card.pack else ""
        marker = Marker(outcome.status, key, of_run, run.lasting(findings), bundle)
        try:
            if card.phase != Validate.name:  # its objects are those of a bundle that is durable
                site.objects.settle()
            targets = dict.fromkeys(card.targets, site.markers.store(card, marker))
        except (Refusal, OSError) as error:
            # The verdict of the card is as it is; that the disk does not keep it is for the verdict
            # of the run.
            unkept = not_kept(card, error)
            run.not_kept(unkept)
            key, targets = "", {}
            findings = findings if run.named else (*findings, *unkept)
        result = CardResult(outcome.status, key, targets, outcome.headline, findings)
        run.ended(card, result)
        return result

    def close(self, selected: Mapping[str, Status], executed: frozenset[str]) -> Closing:
        """Finish the run where one was started, free the lock, and return how the command ends.

        `selected` has the verdict of every card that was asked for; `executed` names those that
        ran.
        """
        run, site = self.run, self.run.site
        try:
            if run.blocked_early and run.state is State.NOT_STARTED:
                run.start()
            if run.state is State.STARTED:
                summary.settle_run(run, selected)
            elif Integrate.name not in selected:
                run.look_again()  # no run was asked for, so preflight has to speak for itself
            status = combine((*selected.values(), *summary.verdict_of(run.against)))
            closing = summary.closing(run, status, selected, executed)
            self._settle_objects()
            site.ledger.remember()
            more = self._after_run(run.named) if run.named else ()
            passed = {name for name, verdict in selected.items() if verdict is Status.PASS}
            whole = len(passed) == len(run.cards) and not run.only
            if closing.status is Status.PASS and whole:
                later = summary.unchanged(run) if executed else closing
                self._remember(run, later, executed)
            if not executed and Integrate.name in selected:  # else a look was taken
                found = unseen(site.repository, site.config.packs_folder)
                closing = with_warnings(closing, found)
            notes = (
                f"note: {finding.attributed}; that will be done again next time"
                for finding in run.take_unkept()
            )
            return dataclasses.replace(closing, lines=(*closing.lines, *more, *notes))
        finally:
            self._stack.close()
            run.workers.close()
            site.sandbox.close()

    def _settle_objects(self) -> None:
        """Make durable what validation wrote, where no later card did."""
        try:
            self.site.objects.settle()
        except Refusal as refusal:
            self.run.not_kept(refusal.findings)

    def abandon(self, reason: str) -> None:
        """Record an interrupted run and free the lock. One whose end began is for the next start to
        finish.
        """
        try:
            if self.run.state is State.STARTED:
                self.run.abandon(reason)
                self._record_release()
        finally:
            self._stack.close()
            self.run.workers.close()
            self.site.sandbox.close()

    def _record_release(self) -> None:
        """Record that the run lock is about to be freed, where a run was started under it that did
        not finish. The end of a run that did is its last event.
        """
        if not self.run.id:
            return
        recorder = self.run.recorder
        # The run has its end already, and the kernel frees the lock: nothing depends on this event,
        # so a disk that is full by now must not make another verdict of it.
        with contextlib.suppress(Refusal):
            had = recorder.milliseconds(self._locked_at)
            recorder.record(LockReleased(lock="run", duration_ms=had))


def _cards_of(catalogue: Catalogue, site: Site) -> tuple[Card, ...]:
    return make_cards(catalogue, site.repository.root, site.store.root)
