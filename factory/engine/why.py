"""Say why a pack would run again, and why its last verdict is what it is. Reads only, and works
when nothing ran yet.

What the pack's bundle was made from (its ACTION.json) is compared with the action as it is
now. Decides nothing that planning and the judges have not decided.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from factory.bundle.make import unique
from factory.contract.catalogue import Catalogue, PackEntry
from factory.engine.summary import CONTRACT_NOT_VALID, not_run_words
from factory.git.narrowing import between
from factory.judge.path_guard import display
from factory.model.action import ActionDocument, KeyChange, action_key, parts, why_changed
from factory.model.card import Card
from factory.model.errors import Refusal
from factory.model.evidence import StatusDocument
from factory.model.evidence_text import EvidenceError, parse_document
from factory.model.finding import Finding
from factory.model.findings.catalogue import CATALOGUE
from factory.model.layout import BundleFolder
from factory.model.verdict import Status
from factory.plan.plan import PlannedPack
from factory.plan.planner import Planner
from factory.plan.site import Site
from factory.run.bundle_validate import bundle_intact
from factory.run.reading import load_status


class NextStep(enum.Enum):
    """Name what the next run will do with a pack, and why."""

    BROKEN = "its contract, or one that it depends on, is not valid"
    UNPREPARED = "its environment is made first"
    NEVER_RAN = "it never ran"
    NO_BUNDLE = "its last run left no bundle"
    CHANGED = "its action key changed"
    NOT_PASS = "its last verdict was not PASS"
    ALTERED = "its bundle is not as it was written"
    BELOW = "a pack that it depends on runs again"
    UP_TO_DATE = "nothing changed"


@dataclass(frozen=True, slots=True)
class Why:
    """Describe the answer for one pack. Keys are "" where there is none; `last` is None where it
    never ran.
    """

    pack: str
    state: NextStep
    before: str
    after: str
    changes: tuple[KeyChange, ...]
    same: tuple[str, ...]
    last: Status | None
    run_id: str
    findings: tuple[Finding, ...]
    below: str = ""

    @property
    def runs_again(self) -> bool:
        return self.state not in (NextStep.BROKEN, NextStep.UP_TO_DATE)

    @property
    def words(self) -> str:
        """Return what the next run does with it, one clause; for what cannot run, by what blocks
        it.
        """
        words: str = self.state.value
        known = not_run_words(self.findings) if self.state is NextStep.BROKEN else ""
        return words if known in ("", CONTRACT_NOT_VALID) else known


@dataclass(frozen=True, slots=True)
class _Known:
    """Contain what is remembered of a pack: its bundle's action and status."""

    action: ActionDocument | None
    status: StatusDocument | None


class Explainer:
    """Answers for the packs of one process; each is planned once."""

    def __init__(
        self, site: Site, catalogue: Catalogue, planner: Planner, cards: tuple[Card, ...]
    ) -> None:
        self._site = site
        self._catalogue = catalogue
        self._planner = planner
        self._cards = cards

    def why(self, entry: PackEntry) -> Why:
        """Return the answer for one pack of the catalogue."""
        if not entry.usable or entry.pack is None:
            own = tuple(finding for finding in entry.findings if finding.blocks)
            return Why(entry.id, NextStep.BROKEN, "", "", (), (), self._last(entry), "", own)
        try:
            planned, known = self._planner.planned(entry.id), self._known(entry.id)
        except Refusal as refusal:
            found, last = refusal.findings, self._last(entry)
            state = NextStep.UNPREPARED if self._made_first(found) else NextStep.BROKEN
            return Why(entry.id, state, "", "", (), (), last, "", self._causes(entry, found))
        changes = self._changes(planned, known)
        state, below = self._state(entry, planned, known, changes)
        changed_parts = {change.part for change in changes}
        return Why(
            pack=entry.id,
            state=state,
            before=action_key(known.action) if known.action is not None else "",
            after=planned.key,
            changes=changes,
            same=(
                tuple(part for part in parts(planned.action) if part not in changed_parts)
                if known.action is not None
                else ()
            ),
            last=self._last(entry),
            run_id=self._run_of(entry),
            findings=self._findings(entry),
            below=below,
        )

    def _made_first(self, found: tuple[Finding, ...]) -> bool:
        """Return whether all that keeps a pack from being planned is an environment, its own or
        that of a pack that it needs, which the next run makes first.
        """
        by_id, waits = self._catalogue.by_id(), list[Finding]()
        for one in found:
            need = by_id.get(str(one.facts.get("need")))
            usable = need is not None and need.usable
            waits += self._planner.why_unplannable(need.id) if need and usable else [one]
        return bool(waits) and all(
            one.id == "ENVIRONMENT_NOT_PREPARED" and one.facts.get("case") == "absent"
            for one in waits
        )

    def _causes(self, entry: PackEntry, found: tuple[Finding, ...]) -> tuple[Finding, ...]:
        """Return findings, and instead of one about an environment that is not there, what the
        last run of the pack found when it prepared that.
        """
        kind = "ENVIRONMENT_NOT_PREPARED"
        last = {one.facts.get("name"): one for one in self._findings(entry) if one.id == kind}
        return tuple(
            last.get(one.facts.get("name"), one) if one.id == kind else one for one in found
        )

    def _known(self, pack: str) -> _Known:
        content = self._site.store.read(BundleFolder.of(pack).action)
        try:
            action = parse_document(ActionDocument, content) if content is not None else None
        except EvidenceError:
            action = None
        return _Known(action, load_status(self._site.store, pack))

    def _state(
        self, entry: PackEntry, planned: PlannedPack, known: _Known, changes: tuple[KeyChange, ...]
    ) -> tuple[NextStep, str]:
        if known.action is None or known.status is None:
            return (NextStep.NEVER_RAN if self._last(entry) is None else NextStep.NO_BUNDLE), ""
        if changes or action_key(known.action) != planned.key:
            return NextStep.CHANGED, ""
        if known.status.status != Status.PASS.value or self._last(entry) is not Status.PASS:
            return NextStep.NOT_PASS, ""
        if bundle_intact(self._site.store, entry.id):
            return NextStep.ALTERED, ""
        below = next((need for need in planned.needs if self._again(need)), "")
        return (NextStep.BELOW, below) if below else (NextStep.UP_TO_DATE, "")

    def _again(self, pack: str) -> bool:
        return self.why(self._catalogue.by_id()[pack]).state is not NextStep.UP_TO_DATE

    def _changes(self, planned: PlannedPack, known: _Known) -> tuple[KeyChange, ...]:
        """Return every part that differs; instead of a changed input tree, the files that differ in
        it.
        """
        if known.action is None:
            return ()
        found: list[KeyChange] = []
        for change in why_changed(known.action, planned.action):
            found += self._files(planned, change) if change.part == "inputs" else [change]
        return tuple(found)

    def _files(self, planned: PlannedPack, change: KeyChange) -> list[KeyChange]:
        """Return the files in which two visible trees differ, without the pack's own, which are
        named apart.
        """
        try:
            old = self._site.objects.tree_of(change.before)
        except Refusal:
            return [change]  # that tree was never stored here, so only its id is known
        own = planned.pack.folder + "/"
        return [
            KeyChange(
                "inputs",
                display(d.path),
                d.before.oid if d.before else "",
                d.after.oid if d.after else "",
            )
            for d in between(old, planned.visible)
            if not d.path.startswith(own)
        ]

    def _launch_card(self, entry: PackEntry) -> Card:
        return next(card for card in self._cards if card.name == f"launch:{entry.name}")

    def _last(self, entry: PackEntry) -> Status | None:
        marker = self._site.markers.load(self._launch_card(entry))
        return marker.status if marker is not None else None

    def _run_of(self, entry: PackEntry) -> str:
        marker = self._site.markers.load(self._launch_card(entry))
        return marker.run_id if marker is not None else ""

    def _findings(self, entry: PackEntry) -> tuple[Finding, ...]:
        """Return what the last verdicts found about the pack, and what keeps every pack from
        running, with a remedy each.
        """
        found = unique(
            finding
            for card in self._cards
            if card.pack in ("", entry.id) and (marker := self._site.markers.load(card)) is not None
            for finding in marker.findings
            if entry.id in finding.packs
            or (card.phase == "preflight" and finding.blocks and not finding.packs)
        )
        return tuple(each for each in found if each.blocks or CATALOGUE[each.id].remedy)
