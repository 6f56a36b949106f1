"""Keep marker files: the target of each card, and the memory of its verdict between processes.

A marker is a cache of what bundles and runs already say; deleting it costs time only. It is
believed only under a seal of this user: one that cannot be read, or that somebody else wrote,
counts as absent.
"""

import json
from dataclasses import dataclass

from factory.files.ports import Store
from factory.files.seals import UserSeal
from factory.model import layout
from factory.model.card import Card
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
from factory.strict.document import Document


class MarkerDocument(Document):
    """Describe the content of a marker file. `bundle` is the SHA-256 of the manifest of the bundle
    that the card left, "" for none; `seal` is over all other members.
    """

    card: str
    status: StatusName
    key: str
    run_id: str
    findings: tuple[FindingRecord, ...]
    bundle: str
    seal: str


@dataclass(frozen=True, slots=True)
class Marker:
    """Record how one card ended last; `bundle` as in the file."""

    status: Status
    key: str
    run_id: str
    findings: tuple[Finding, ...] = ()
    bundle: str = ""


class Markers:
    """Load and store the markers of one state folder, under the seal of one user. `foreign` has the
    paths of those that were found without a seal that fits.
    """

    def __init__(self, store: Store, seal: UserSeal) -> None:
        self._store = store
        self._seal = seal
        self.foreign: set[str] = set()

    def load(self, card: Card) -> Marker | None:
        """Return the marker of `card`; None where there is none that can be believed."""
        path = marker_path(card)
        content = self._store.read(path)
        if content is None:
            return None
        try:
            document = parse_document(MarkerDocument, content)
            findings = tuple(finding_of(record) for record in document.findings)
        except (EvidenceError, ValueError):
            return None
        if not self._seal.fits(document.seal, path, _unsealed(document)):
            self.foreign.add(path)
            return None
        status = Status(document.status)
        return Marker(status, document.key, document.run_id, findings, document.bundle)

    def store(self, card: Card, marker: Marker) -> str:
        """Write the marker; return the SHA-256 of its bytes. Raise Refusal DISK_UNWRITABLE."""
        path = marker_path(card)
        document = MarkerDocument(
            card=card.name,
            status=marker.status.value,
            key=marker.key,
            run_id=marker.run_id,
            findings=tuple(finding_record(finding) for finding in marker.findings),
            bundle=marker.bundle,
            seal="",
        )
        sealed = document.model_copy(update={"seal": self._seal(path, _unsealed(document))})
        content = _text(sealed).encode() + b"\n"
        self._store.write(path, content, durable=False)  # a cache: lost, it costs time only
        self.foreign.discard(path)
        return sha256(content)


def marker_path(card: Card) -> str:
    """Return the path of a card's marker in the state folder."""
    _, _, pack = card.name.partition(":")
    return layout.marker(card.phase, pack)


def not_kept(card: Card, error: Refusal | OSError) -> tuple[Finding, ...]:
    """Return the findings about a card whose verdict could not be written down."""
    if isinstance(error, Refusal):
        return error.findings
    found = error.strerror or str(error)
    return (Finding("DISK_UNWRITABLE", {"case": "verdict", "place": card.name, "found": found}),)


def _unsealed(document: MarkerDocument) -> str:
    """Return the text that a marker's seal is made over."""
    return _text(document.model_copy(update={"seal": ""}))


def _text(document: MarkerDocument) -> str:
    return json.dumps(document.model_dump(), indent=2, sort_keys=True, ensure_ascii=False)
