"""Format and parse evidence: one textual form for every JSON document; findings to records and
back.

`format_document` and `parse_document` are each other's inverse; a document that is not in the form
this module would print is refused, so that one content has one digest.
"""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from typing import Any, TypeVar, cast

from factory.model.evidence import FindingRecord
from factory.model.finding import Finding, Location
from factory.model.findings.entry import Fact
from factory.strict import json as strict_json
from factory.strict.document import Document, with_tuples

AnyDocument = TypeVar("AnyDocument", bound=Document)

_SMALL, _MOST_REMEMBERED = 1 << 14, 1024  # bytes, documents: together at most 16 MiB of text
MAX_DOCUMENT = 256 * 1024 * 1024  # bytes; a document is parsed in memory


class EvidenceError(ValueError):
    """Report that a document of the evidence has not the required form: one clause, without file
    name.
    """


def format_document(document: Document) -> bytes:
    """Return the one textual form of a document: UTF-8 JSON, sorted keys, two spaces, a final
    newline.
    """
    return _indented(document.model_dump(), "").encode("utf-8") + b"\n"


def _indented(value: object, margin: str) -> str:
    """Return what `json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False)` returns, at a
    third of its time: with an indent CPython prints without its C encoder (3.11 to 3.13).
    """
    if isinstance(value, str):
        return json.encoder.encode_basestring(value)
    inner = margin + "  "
    if isinstance(value, dict) and value:
        rows = [
            f"{inner}{json.encoder.encode_basestring(key)}: {_indented(value[key], inner)}"
            for key in sorted(value)
        ]
        return "{\n" + ",\n".join(rows) + f"\n{margin}}}"
    if isinstance(value, list) and value:
        rows = [inner + _indented(item, inner) for item in value]
        return "[\n" + ",\n".join(rows) + f"\n{margin}]"
    return json.dumps(value)


def parse_document(model: type[AnyDocument], content: bytes) -> AnyDocument:
    """Parse what `format_document` printed. Raise EvidenceError for anything else.

    A small document is parsed once: phases read the same STATUS.json a dozen times.
    """
    if len(content) > _SMALL:
        return _parsed(model, content)
    return cast("AnyDocument", _remembered(cast("Any", model), content))


@lru_cache(maxsize=_MOST_REMEMBERED)
def _remembered(model: type[Document], content: bytes) -> Document:
    return _parsed(model, content)


def _parsed(model: type[AnyDocument], content: bytes) -> AnyDocument:
    try:
        value = strict_json.parse(content, max_bytes=MAX_DOCUMENT)
        document = model.model_validate(with_tuples(value))
    except ValueError as error:
        raise EvidenceError(str(error)) from error
    if format_document(document) != content:
        raise EvidenceError("is not in the form this tool writes (sorted keys, two spaces)")
    return document


def sha256(content: bytes) -> str:
    """Return the SHA-256 of `content` in hex."""
    return hashlib.sha256(content).hexdigest()


def finding_record(finding: Finding) -> FindingRecord:
    """Return a finding as evidence records it: its facts, and the texts that they yield."""
    place = finding.location or Location("")
    return FindingRecord(
        id=finding.id,
        severity=finding.severity.value,
        message=_encodable(finding.message),
        hint=_encodable(finding.hint),
        facts={name: _encodable_fact(fact) for name, fact in finding.facts.items()},
        file=_encodable(place.file),
        line=place.line,
        column=place.column,
        pack=finding.pack,
    )


def _encodable_fact(fact: Fact) -> Fact:
    if isinstance(fact, tuple):
        return tuple(map(_encodable, fact))
    return _encodable(fact) if isinstance(fact, str) else fact


def _encodable(text: str) -> str:
    """Return `text` with escapes for what UTF-8 cannot carry, such as bytes of a file name."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def finding_of(record: FindingRecord) -> Finding:
    """Return the finding of a record. Raise ValueError for an id that the catalogue lacks."""
    location = Location(record.file, record.line, record.column) if record.file else None
    return Finding(record.id, record.facts, pack=record.pack, location=location)
