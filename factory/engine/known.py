"""What is known of each card: its verdict and findings in this process, or as its marker remembers
them.

Rule: a marker remembers what its key decides. What was only worth a word about a moment (local
changes, a detached head, what an earlier run left behind) is not remembered; where a preflight of
an earlier day holds, the repository is looked at again. Does not know what a phase does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from factory.judge.secrecy import silenced
from factory.model.card import Card
from factory.model.finding import Finding
from factory.model.verdict import Status
from factory.plan.markers import Marker, load_marker, marker_path
from factory.plan.site import Session

PREFLIGHT = "preflight"


class Known:
    """What one process knows of its cards; `notes` looks at the repository as it is now."""

    def __init__(self, session: Session, notes: Callable[[], tuple[Finding, ...]]) -> None:
        self._session = session
        self._notes = notes
        self._now: tuple[Finding, ...] = ()

    def marker(self, card: Card) -> Marker | None:
        """What the card's marker remembers."""
        return load_marker(self._session.site.store, card)

    def records(self, cards: Iterable[Card]) -> dict[str, Mapping[str, object]]:
        """Return by card what the engine has stored of it where its marker is up to date."""
        store = self._session.site.store
        found: dict[str, Mapping[str, object]] = {}
        for card in cards:
            marker = self.marker(card)
            if marker is not None:
                targets = dict.fromkeys(card.targets, store.sha256(marker_path(card)))
                found[card.name] = {
                    "verdict": marker.status.value,
                    "key": marker.key,
                    "targets": targets,
                }
        return found

    def of(self, card: Card) -> tuple[Status, tuple[Finding, ...], bool]:
        """Verdict and findings of a card, and whether anything is known of it; BLOCKED where
        nothing is.
        """
        result = self._session.results.get(card.name)
        if result is not None:
            return result.status, result.findings, True
        marker = self.marker(card)
        if marker is None:
            return Status.BLOCKED, (), False
        return (
            marker.status,
            (*(self._now if card.phase == PREFLIGHT else ()), *marker.findings),
            True,
        )

    def look(self) -> tuple[Finding, ...]:
        """What is worth a word now: what an earlier run left behind, and the repository as it is.
        Raises Refusal.
        """
        session = self._session
        self._now = silenced(session.site.redactor, (*session.notes, *self._notes()))
        return self._now

    def look_again(self) -> None:
        """The same, where no preflight was executed in this process, so that nobody looked yet.
        Raises Refusal.
        """
        if PREFLIGHT not in self._session.results:
            self.look()

    def lasting(self, card: Card, findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
        """Those of a card's findings that its marker may say again in a later process."""
        if card.phase != PREFLIGHT:
            return findings
        return tuple(finding for finding in findings if finding.blocks or finding not in self._now)
