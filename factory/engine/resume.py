"""Take over the bundles that a killed run had finished, so that no command runs twice.

Rule: the ledger decides, as far as this user wrote it here. A pack is resumed where its last
`pack.finished` says PASS, names the very bundle that is there, belongs to a run that never
finished, and no run finished since. After the next finished run nothing is resumed any more, so
that `doit forget` means what it says. Does not know how a pack is run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from factory.model.events import IntegrateFinished, PackFinished
from factory.model.evidence import EventDocument
from factory.model.verdict import Status


@dataclass(frozen=True, slots=True)
class Finished:
    """Describe the end of one pack: its run, its action key, and the SHA-256 of its bundle's
    manifest.
    """

    run_id: str
    key: str
    manifest: str


def resumable(newest: Iterable[EventDocument], own_since: int) -> Mapping[str, Finished]:
    """Return by pack what passed since the last run that finished, of the events from number
    `own_since` on. Events come newest first; no more are read.
    """
    found: dict[str, Finished] = {}
    for event in newest:
        pack = event.details.get("pack", "")
        if event.event_type == IntegrateFinished.event_type or event.seq < own_since:
            break
        if event.event_type == PackFinished.event_type and pack not in found:
            passed = event.details.get("status") == Status.PASS.value
            key, manifest = (
                event.hashes.get(name, "") if passed else "" for name in ("action_key", "manifest")
            )
            found[pack] = Finished(event.run_id, key, manifest)
    return {pack: one for pack, one in found.items() if one.key and one.manifest}
