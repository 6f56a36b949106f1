"""The evidence index: an inventory of every run and every file in it, made from disk and ledger,
asked alone.

Rule: making it changes no evidence, and twice makes the same bytes; a question is answered from the
index and from nothing else. What has not changed since the last time is not read again. Does not
know how "not changed" is told: that is the inventory's.
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
from factory.model.evidence import Document
from factory.model.evidence_text import EvidenceError, format_document, parse_document, sha256
from factory.model.finding import Finding, Location
from factory.model.index import EvidenceIndex
from factory.model.layout import EVIDENCE_INDEX, LEDGER, SURVEYS_HEAD, shown

MAKE = "Make it with: factory evidence index"


class RememberedIndex(Document):
    """What the last making came to: digests of index and ledger, the runs there were, and the
    sums.
    """

    index: str
    ledger: str
    names: tuple[str, ...]
    artifacts: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Made:
    """What making the index came to: its digest, how much is in it, how many files were read for
    it.
    """

    sha256: str
    runs: int
    artifacts: int
    bytes: int
    read: int
    fresh: bool


def make_index(store: Store, ledger: Ledger, inventory: RunInventory, full: bool = False) -> Made:
    """Write `.factory/evidence-index.json`. A run that is still going is in it as far as it got, as
    open.

    Raises Refusal LEDGER_BROKEN, EVIDENCE_UNREADABLE, DISK_UNWRITABLE.
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
    )
    store.write(SURVEYS_HEAD, format_document(remembered))
    inventory.forget(names)
    return Made(made.sha256, made.runs, made.artifacts, made.bytes, made.read, fresh)


def derive_index(ledger: Ledger, inventory: RunInventory, full: bool = False) -> tuple[bytes, Made]:
    """The bytes that the index ought to have now. Raises as `make_index` does."""
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
    return content, Made(sha256(content), len(rows), artifacts, size, read, True)


def _remembered(store: Store, inventory: RunInventory, names: tuple[str, ...]) -> Made | None:
    """What was made last time, where runs, ledger and the index itself are as they were."""
    try:
        head = parse_document(RememberedIndex, store.read(SURVEYS_HEAD) or b"")
    except EvidenceError:
        return None
    held = (store.sha256(EVIDENCE_INDEX), store.sha256(LEDGER), names)
    if held != (head.index, head.ledger, head.names) or not inventory.unchanged(names):
        return None
    return Made(head.index, len(names), head.artifacts, head.bytes, 0, False)


def load_index(store: Store) -> EvidenceIndex:
    """The index as it stands. Raises Refusal INDEX_MISSING, INDEX_BROKEN."""
    place = Location(shown(EVIDENCE_INDEX))
    content = store.read(EVIDENCE_INDEX)
    if content is None:
        raise Refusal(Finding("INDEX_MISSING", location=place))
    try:
        return parse_index(content)
    except EvidenceError as error:
        raise Refusal(Finding("INDEX_BROKEN", {"problem": str(error)}, location=place)) from error
