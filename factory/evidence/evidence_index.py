"""Make the evidence index: an inventory of every run and every file in it, from disk and ledger.

Rule: it is made without changing evidence, and making it twice gives the same bytes; a question is
answered from the index and from nothing else. What has not changed since the last time is not read
again. Does not know how a change is detected: `evidence.inventory` does.
"""

from __future__ import annotations

from dataclasses import dataclass

from factory.evidence.index import (
    UNRECORDED,
    join_rows,
    parse_index,
    run_facts,
    run_row,
)
from factory.evidence.inventory import RunInventory
from factory.files.ports import Ledger, Store
from factory.model.errors import Refusal
from factory.model.evidence_text import EvidenceError, format_document, parse_document, sha256
from factory.model.finding import Finding, Location
from factory.model.index import EvidenceIndex
from factory.model.layout import EVIDENCE_INDEX, LEDGER, SURVEYS_HEAD, shown
from factory.strict.document import Document

MAKE = "Make it with: factory evidence index"


class RememberedIndex(Document):
    """Store the result of the last run of `make_index`: digests of index and ledger, names of runs,
    counts, and the seal of all these.
    """

    index: str
    ledger: str
    names: tuple[str, ...]
    artifacts: int
    bytes: int
    seal: str


@dataclass(frozen=True, slots=True)
class IndexBuild:
    """Describe a new index: its digest, counts of runs, artifacts and bytes, and of files `read`
    for it.

    `fresh` says whether the file on disk changed.
    """

    sha256: str
    runs: int
    artifacts: int
    bytes: int
    read: int
    fresh: bool


def make_index(
    store: Store, ledger: Ledger, inventory: RunInventory, full: bool = False
) -> IndexBuild:
    """Write `.factory/evidence-index.json`. An unfinished run is in it with the files that it has
    so far, as open.

    Raise Refusal LEDGER_BROKEN, EVIDENCE_UNREADABLE, DISK_UNWRITABLE.
    """
    names = inventory.names()
    known = None if full else _remembered(store, inventory, names)
    if known is not None:
        return known
    ledger_digest = store.sha256(LEDGER)
    content, made = derive_index(ledger, inventory, full)
    fresh = store.sha256(EVIDENCE_INDEX) != made.sha256
    if fresh:
        store.write(EVIDENCE_INDEX, content)
    remembered = RememberedIndex(
        index=made.sha256,
        ledger=ledger_digest,
        names=names,
        artifacts=made.artifacts,
        bytes=made.bytes,
        seal="",
    )
    seal = inventory.seal(SURVEYS_HEAD, _unsealed(remembered))
    remembered = remembered.model_copy(update={"seal": seal})
    store.write(SURVEYS_HEAD, format_document(remembered))
    inventory.forget(names)
    return IndexBuild(made.sha256, made.runs, made.artifacts, made.bytes, made.read, fresh)


def derive_index(
    ledger: Ledger, inventory: RunInventory, full: bool = False
) -> tuple[bytes, IndexBuild]:
    """Return the bytes that the index must have now, and what was read for them.

    Raise as `make_index` does.
    """
    facts = run_facts(ledger.events())
    rows: list[bytes] = []
    artifacts = size = read = 0
    for name in inventory.names():
        surveyed = inventory.survey(name, full)
        rows.append(run_row(name, facts.get(name, UNRECORDED), surveyed.files))
        artifacts += len(surveyed.files)
        size += sum(found.bytes for found in surveyed.files)
        read += surveyed.read
    content = join_rows(rows)
    return content, IndexBuild(sha256(content), len(rows), artifacts, size, read, True)


def _remembered(store: Store, inventory: RunInventory, names: tuple[str, ...]) -> IndexBuild | None:
    """Return the last result if this user sealed it, and runs, ledger and the index itself have not
    changed since; else None.
    """
    try:
        head = parse_document(RememberedIndex, store.read(SURVEYS_HEAD) or b"")
    except EvidenceError:
        return None
    if not inventory.seal.fits(head.seal, SURVEYS_HEAD, _unsealed(head)):
        return None
    found = (store.sha256(EVIDENCE_INDEX), store.sha256(LEDGER), names)
    if found != (head.index, head.ledger, head.names) or not inventory.unchanged(names):
        return None
    return IndexBuild(head.index, len(names), head.artifacts, head.bytes, 0, False)


def _unsealed(head: RememberedIndex) -> str:
    """Return the text that its seal covers."""
    return format_document(head.model_copy(update={"seal": ""})).decode()


def load_index(store: Store) -> EvidenceIndex:
    """Return the index on disk. Raise Refusal INDEX_MISSING, INDEX_BROKEN."""
    place = Location(shown(EVIDENCE_INDEX))
    content = store.read(EVIDENCE_INDEX)
    if content is None:
        raise Refusal(Finding("INDEX_MISSING", location=place))
    try:
        return parse_index(content)
    except EvidenceError as error:
        raise Refusal(Finding("INDEX_BROKEN", {"problem": str(error)}, location=place)) from error
