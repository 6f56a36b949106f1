"""Keep what was shown of packs run twice: in the state folder, on record in the ledger, asked when
a run ends.

Rule: a record counts for one action key and one bundle, and only while the last event about its
pack is the one that recorded these very bytes. Whatever is missing, changed or refuted means "not
shown". Does not know how a pack is run twice.
"""

from __future__ import annotations

from factory.model.determinism import DeterminismRecord
from factory.model.event import Event
from factory.model.events import DeterminismRefuted, DeterminismShown
from factory.model.evidence_text import EvidenceError, format_document, parse_document, sha256
from factory.model.verdict import Status
from factory.plan.site import Site

FOLDER = "determinism"
_EITHER = (DeterminismShown.event_type, DeterminismRefuted.event_type)


def keep(site: Site, record: DeterminismRecord) -> str:
    """Keep what was shown, then put it on record; its path in the state folder. The run lock is
    held.
    """
    content = format_document(record)
    path = f"{FOLDER}/{record.pack}.json"
    site.store.write(path, content)
    identical = record.outcome == "identical"
    pack, key, digest = record.pack, record.action_key, sha256(content)
    event: Event = DeterminismRefuted(
        pack=pack, action_key=key, record=digest, rc=Status.BLOCKED.exit_code
    )
    if identical:
        event = DeterminismShown(pack=pack, action_key=key, record=digest, manifest=record.manifest)
    site.ledger.append(event.entry())
    return path


def shown_by(site: Site, pack: str, key: str, manifest: str) -> str:
    """Return the id of the event that shows this bundle of this action to be deterministic; ""
    where nothing does.
    """
    content = site.store.read(f"{FOLDER}/{pack}.json")
    if content is None or not manifest:
        return ""
    try:
        record = parse_document(DeterminismRecord, content)
    except EvidenceError:
        return ""
    if (record.outcome, record.pack, record.action_key, record.manifest) != (
        "identical",
        pack,
        key,
        manifest,
    ):
        return ""
    last = next((e for e in site.ledger.newest(*_EITHER) if e.details.get("pack") == pack), None)
    held = (
        last is not None
        and last.event_type == DeterminismShown.event_type
        and last.hashes.get("record") == sha256(content)
    )
    return last.event_id if last is not None and held else ""
