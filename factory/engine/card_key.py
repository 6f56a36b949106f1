"""What decides whether a card must be executed again: a digest over its inputs, as they are now.

Rule: no time, no path, nothing observed. Does not know whether a card was ever executed.
"""

from __future__ import annotations

from factory.contract.catalogue import Catalogue
from factory.contract.configuration import config_digest
from factory.model.evidence_text import sha256
from factory.plan.cards_port import Card
from factory.plan.planner import Planner
from factory.plan.site import Site
from factory.strict import canonical


def card_key(card: Card, site: Site, catalogue: Catalogue, planner: Planner) -> str:
    """The key of a card, SHA-256 in hex. Raises KeyError and Refusal for a pack that cannot be
    planned.
    """
    commit = site.repository.commit
    if card.phase == "launch":
        planned = planner.planned(card.pack)
        return canonical.digest(
            [planned.key, [[need, manifest_of(site, need)] for need in planned.needs]]
        )
    if card.phase == "bundle-validate":
        return canonical.digest(
            [planner.planned(card.pack).key, commit, manifest_of(site, card.pack)]
        )
    if card.phase == "preflight":
        files = [
            [f.path, sha256(f.content), f.problem]
            for entry in catalogue.entries
            for f in entry.files
        ]
        return canonical.digest([commit, config_digest(site.config), files])
    bundles = [[entry.id, manifest_of(site, entry.id)] for entry in catalogue.entries]
    return canonical.digest([commit, config_digest(site.config), bundles])


def manifest_of(site: Site, pack_id: str) -> str:
    """The digest of a pack's bundle as it lies there, by its manifest; "" where there is none."""
    return site.store.sha256(f"bundles/{pack_id}/manifest.json")
