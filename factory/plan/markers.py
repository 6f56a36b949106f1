"""Marker files: the target of each card, and the memory of its verdict between processes.

A marker is a cache of what bundles and runs already say; deleting it costs time only. One
that cannot be read counts as absent.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from factory.files.ports import Store
from factory.model import layout
from factory.model.card import Card
from factory.model.document import Document
from factory.model.errors import Refusal
from factory.model.evidence import FindingRecord, StatusName
from factory.model.evidence_text import (
    EvidenceError,
    finding_of,
    finding_record,
    parse_document,
    sha256,
)
from factory.model.finding import Finding
from factory.model.verdict import Status


class MarkerDocument(Document):
    """Define a marker file."""

    card: str
    status: StatusName
    key: str
    run_id: str
    findings: tuple[FindingRecord, ...]


@dataclass(frozen=True, slots=True)
class Marker:
    """Remember one card's last end."""

    status: Status
    key: str
    run_id: str
    findings: tuple[Finding, ...] = ()
    extra: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


def marker_path(card: Card) -> str:
    """Return the path of a card's marker in the state folder."""
    _, _, pack = card.name.partition(":")
    return layout.marker(card.phase, pack)


def load_marker(store: Store, card: Card) -> Marker | None:
    """Return the marker of `card`; None where there is none that can be read."""
    content = store.read(marker_path(card))
    if content is None:
        return None
    try:
        document = parse_document(MarkerDocument, content)
        findings = tuple(finding_of(record) for record in document.findings)
    except (EvidenceError, ValueError):
        return None
    return Marker(Status(document.status), document.key, document.run_id, findings)


def store_marker(store: Store, card: Card, marker: Marker) -> str:
    """Write the marker; the SHA-256 of its bytes."""
    document = MarkerDocument(
        card=card.name,
        status=marker.status.value,
        key=marker.key,
        run_id=marker.run_id,
        findings=tuple(finding_record(finding) for finding in marker.findings),
    )
    content = (
        json.dumps(document.model_dump(), indent=2, sort_keys=True, ensure_ascii=False).encode()
        + b"\n"
    )
    store.write(marker_path(card), content, durable=False)  # a cache: lost, it costs time only
    return sha256(content)


def not_kept(card: Card, error: Refusal | OSError) -> tuple[Finding, ...]:
    """Return the findings of a card whose verdict could not be written."""
    if isinstance(error, Refusal):
        return error.findings
    found = error.strerror or str(error)
    return (Finding("DISK_UNWRITABLE", {"case": "verdict", "place": card.name, "found": found}),)
