"""Documents round trip, and nothing that would not be printed is read."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from factory.model.action import limits_record
from factory.model.evidence import (
    EVIDENCE,
    FilesChanged,
    FindingRecord,
    LogIndex,
    Manifest,
    StatusDocument,
)
from factory.model.evidence_text import (
    EvidenceError,
    finding_of,
    finding_record,
    format_document,
    parse_document,
)
from factory.model.finding import Finding, Location
from factory.model.findings.catalogue import CATALOGUE
from factory.model.findings.entry import Fact
from factory.model.pack import Limits
from factory.strict.document import Document
from tests.document_values import documents_of
from tests.pack_values import bundle
from tests.sample import examples

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)


@pytest.mark.parametrize(
    "model", [model for _, model in EVIDENCE if model.__name__ != "EventDocument"]
)
@examples(5, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_format_and_parse_are_inverse(model: type[Document], data: st.DataObject) -> None:
    strategy = documents_of(model).filter(encodable)
    document = data.draw(strategy)
    written = format_document(document)
    assert parse_document(model, written) == document
    plain = document.model_dump(mode="json")
    printed = json.dumps(plain, indent=2, sort_keys=True, ensure_ascii=False)
    assert written == printed.encode() + b"\n", "the form is the standard library's"


def encodable(document: Document) -> bool:
    """Left out: half surrogates and numbers that two readers could see differently; no writer makes
    either.
    """
    try:
        text = format_document(document).decode()
    except ValueError:
        return False
    return all(len(number) < 16 for number in digits(text))


def digits(text: str) -> list[str]:
    return "".join(char if char.isdigit() else " " for char in text).split()


MANIFEST = Manifest(subject="T-1", files=())
WRITTEN = format_document(MANIFEST)


@pytest.mark.parametrize(
    ("content", "clause"),
    [
        (b"", "this is not JSON"),
        (b"[]", "the document: "),
        (b"{}", "subject: Field required"),
        (WRITTEN.replace(b'"T-1"', b"1"), "subject: Input should be a valid string"),
        (WRITTEN.replace(b'"subject"', b'"zubject"'), "subject: Field required"),
        (
            WRITTEN.replace(b'  "subject": "T-1"', b'  "subject": "T-1",\n  "why": 1'),
            "why: Extra inputs",
        ),
        (
            WRITTEN.replace(b'  "subject"', b'  "subject": "T-0",\n  "subject"'),
            '"subject" is given twice',
        ),
        (WRITTEN.removesuffix(b"\n"), "is not in the form this tool writes"),
        (WRITTEN + b"\n", "is not in the form this tool writes"),
        (WRITTEN.replace(b"  ", b"    "), "is not in the form this tool writes"),
        (WRITTEN.replace(b"T-1", b"\\u0054-1"), "is not in the form this tool writes"),
        (WRITTEN.replace(b"\n", b"\r\n"), "is not in the form this tool writes"),
        (WRITTEN.replace(b": 1", b": NaN"), "NaN"),
        (
            WRITTEN.replace(b'"schema_version": 1', b'"schema_version": 2'),
            "schema_version: Input should be 1",
        ),
        (b"\xef\xbb\xbf" + WRITTEN, "this is not JSON"),
        (b"\xff" + WRITTEN, "is not UTF-8"),
        (b"[" * 100 + b"]" * 100, "nested deeper"),
    ],
)
def test_anything_else_is_refused_with_a_clause(content: bytes, clause: str) -> None:
    with pytest.raises(EvidenceError, match=clause):
        parse_document(Manifest, content)


def test_every_document_of_a_bundle_reads_back() -> None:
    _, files, _, _ = bundle()
    models: dict[str, type[Document]] = {
        "STATUS.json": StatusDocument,
        "FILES_CHANGED.json": FilesChanged,
        "LOGS/INDEX.json": LogIndex,
    }
    for name, model in models.items():
        assert format_document(parse_document(model, files[name])) == files[name]
    assert json.loads(files["manifest.json"])["subject"] == "T-1"


@given(
    st.sampled_from(sorted(CATALOGUE)),
    st.dictionaries(TEXT, TEXT | st.integers(0, 9) | st.lists(TEXT).map(tuple)),
    TEXT,
    st.integers(0, 9),
    st.integers(0, 9),
    TEXT,
)
def test_a_finding_and_its_record_are_inverse(
    kind: str, facts: dict[str, Fact], file: str, line: int, column: int, pack: str
) -> None:
    finding = Finding(kind, facts, pack, Location(file, line, column) if file else None)
    record = finding_record(finding)
    assert finding_of(record) == finding
    assert finding_record(finding_of(record)) == record
    assert record.severity == CATALOGUE[kind].severity.value


def test_a_record_of_an_unknown_finding_is_refused() -> None:
    with pytest.raises(ValueError, match="'NO_SUCH' is not in the catalogue"):
        finding_of(FindingRecord(id="NO_SUCH", severity="note", message="m"))


def test_limits_stand_in_evidence_as_they_are() -> None:
    assert limits_record(Limits()).model_dump() == {
        "timeout": 900,
        "memory": 2 << 30,
        "processes": 256,
        "disk": 1 << 30,
        "output": 16 << 20,
        "changed_lines": 800,
        "attempts": 1,
        "idle": 120,
        "connections": 512,
        "upload": 256 << 20,
        "download": 4 << 30,
    }
