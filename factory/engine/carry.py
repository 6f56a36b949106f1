"""Bundles that a killed run had finished: carried on by the next run, so that no command runs
twice.

Rule: what counts is the ledger. A pack is carried on where its last `pack.finished` says PASS,
names the very bundle that lies there, belongs to a run that never finished, and no run finished
since. After the next finished run nothing is carried any more, so `doit forget` then means what it
says. Does not know how a pack is run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from factory.model.card import Card
from factory.model.events import IntegrateFinished, PackFinished
from factory.model.evidence import EventDocument, StatusDocument
from factory.model.layout import BundleFolder
from factory.model.verdict import Status
from factory.plan.markers import Marker
from factory.plan.plan import PlannedPack
from factory.plan.site import Session
from factory.run.bundle_validate import bundle_intact
from factory.run.reading import load_status


@dataclass(frozen=True, slots=True)
class Carried:
    """The end of one pack: its run, its action key, and the SHA-256 of its bundle's manifest."""

    run_id: str
    key: str
    manifest: str


def carried_on(newest: Iterable[EventDocument]) -> Mapping[str, Carried]:
    """By pack: what was finished since the last run that finished. Events come newest first; no
    more are asked for.
    """
    found: dict[str, Carried] = {}
    for event in newest:
        pack = event.details.get("pack", "")
        if event.event_type == IntegrateFinished.event_type:
            break
        if event.event_type == PackFinished.event_type and pack not in found:
            passed = event.details.get("status") == Status.PASS.value
            key, manifest = (
                event.hashes.get(name, "") if passed else "" for name in ("action_key", "manifest")
            )
            found[pack] = Carried(event.run_id, key, manifest)
    return {pack: one for pack, one in found.items() if one.key and one.manifest}


class Carrying:
    """What may be carried on, and what this process did carry on."""

    def __init__(self, known: Mapping[str, Carried] = MappingProxyType({})) -> None:
        self._known = known
        self._taken: dict[str, str] = {}

    def take(self, session: Session, planned: PlannedPack) -> StatusDocument | None:
        """The status of the bundle that stands for launching this pack, or None: then it must be
        run.
        """
        pack, known = planned.pack.id, self._known.get(planned.pack.id)
        ran = any(
            f"launch:{need}" in session.results and need not in self._taken
            for need in planned.needs
        )
        if known is None or known.key != planned.key or ran:
            return None
        site = session.site
        if known.manifest != site.store.sha256(BundleFolder.of(pack).manifest) or bundle_intact(
            site.store, pack
        ):
            return None
        session.ensure_run()
        self._taken[pack] = known.run_id
        return load_status(site.store, pack)

    def run_of(self, card: Card) -> str:
        """The run that a launch was carried on from; "" where it was not."""
        return self._taken.get(card.pack, "") if card.phase == "launch" else ""

    def ran_in(self, session: Session, card: Card, marker: Marker | None) -> str:
        """The run that a pack's bundle is of; a marker speaks only of a card that was not executed
        here.
        """
        if card.name in session.results or marker is None:
            return self.run_of(card) or session.run_id
        return marker.run_id
