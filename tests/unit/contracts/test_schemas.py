"""JSON Schemas: generated from the models, valid, in step, offline, and of one mind with the
loaders.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from factory.contract import schemas
from factory.contract.acceptance import AcceptanceDocument
from factory.contract.configuration import read
from factory.contract.settings import SECTIONS, SETTINGS
from factory.contract.task import TaskDocument
from factory.strict import toml as strict_toml
from factory.strict import yaml as strict_yaml
from factory.strict.document import Document, Mismatch
from factory.strict.values import DocumentError, StrictDocument, plain
from tests.contract_corpus import CORPUS, config_cases, pack_cases

CONTRACTS: dict[str, type[Document]] = {
    "task.yml": TaskDocument,
    "acceptance.yml": AcceptanceDocument,
}
SCHEMAS = {
    "task.yml": schemas.schema_of("task", TaskDocument),
    "acceptance.yml": schemas.schema_of("acceptance", AcceptanceDocument),
    "factory.toml": schemas.config_schema(),
}

# What a schema has no words for. Everything else that is refused, the schema refuses as well.
BY_THE_READER = frozenset(
    {"date", "duplicate-key", "duplicate-table", "not-utf-8", "syntax", "too-deep"}
)
ONLY_THE_LOADER_SEES = BY_THE_READER | {
    # between keys, between files, and with the folder
    "acceptance-deps-without-network",
    "acceptance-empty-groups",
    "acceptance-fixed-not-required",
    "acceptance-fixed-unknown",
    "acceptance-require-change-and-no-change",
    "acceptance-none",
    "acceptance-with-network",
    "transcripts",
    "acceptance-other-file",
    "cloud-other-host",
    "cloud-without-network",
    "limits-two-times",
    "plugin-differs",
    "plugin-switched-off",
    "plugin-unnamed",
    "task-folder-capitals",
    "task-folder-mismatch",
    "task-no-id-anywhere",
    "task-no-title-no-type",
    "task-pillar-differs",
    "workspace-undeclared",
    "weakened-accept-missing",
    "weakened-allow-any",
    "weakened-backend",
    "weakened-cloud",
    "weakened-judge",
    "weakened-overlap",
    "weakened-signing",
    # words: scope patterns, names of credentials, near misses in open sections, one line of text
    "acceptance-judge-pattern",
    "artifacts-leave",
    "env-twice",
    "protected-leaves",
    "scope-absolute",
    "scope-leaves",
    "secrets-through-env",
    "task-near-miss-in-open-section",
    "task-title-two-lines",
    # how long 9999 hours are
}


def documents(kind: str) -> list[tuple[str, str, StrictDocument]]:
    """(case, file, document) for every contract file of the corpora that the strict reader can
    read.
    """
    found = []
    for case in pack_cases(kind) if kind != "config" else []:
        for name in ("task.yml", "acceptance.yml"):
            if (case.path / name).exists():
                found.append((case.name, name, case.path / name))
    for path in config_cases(kind) if kind in ("valid", "invalid") else []:
        found.append((path.name, "factory.toml", path / "factory.toml"))
    readable = []
    for case_name, name, path in found:
        try:
            parse = strict_toml.parse if name == "factory.toml" else strict_yaml.parse
            readable.append((case_name, name, parse(path.read_bytes())))
        except DocumentError:
            assert kind == "invalid"
    return readable


def reader_accepts(case: str, file: str, document: StrictDocument) -> bool:
    if file == "factory.toml":
        content = next(CORPUS.glob(f"config/*/{case}/factory.toml")).read_bytes()
        return not any(finding.blocks for finding in read(content, None, {}, {})[1])
    try:
        CONTRACTS[file].model_validate(plain(document.value))
    except Mismatch:
        return False
    return True


def labelled(rows: list[tuple[str, str, StrictDocument]]) -> dict[str, Any]:
    return {"argvalues": rows, "ids": [f"{case}-{name}" for case, name, _ in rows]}


SOUND = [*documents("valid"), *documents("older")]
BROKEN = [
    row
    for row in documents("invalid")
    if row[0] not in ("user-file", "acceptance-empty-file", "yaml-is-empty")
]


@pytest.mark.parametrize("row", **labelled(SOUND))
def test_schema_and_reader_accept_what_is_sound(row: tuple[str, str, StrictDocument]) -> None:
    case, file, document = row
    assert schemas.objections(SCHEMAS[file], plain(document.value)) == ()
    assert reader_accepts(case, file, document)


@pytest.mark.parametrize("row", **labelled(BROKEN))
def test_the_schema_refuses_what_it_can_see(row: tuple[str, str, StrictDocument]) -> None:
    case, file, document = row
    refused = bool(schemas.objections(SCHEMAS[file], plain(document.value)))
    assert refused == (case not in ONLY_THE_LOADER_SEES), (
        f"{case}: adjust ONLY_THE_LOADER_SEES only with a reason"
    )
    if refused and case not in (
        "secrets-true",
        "secrets-text",
    ):  # these are a refusal of their own, by the rules
        assert not reader_accepts(case, file, document)


def test_every_exception_is_a_case() -> None:
    cases = {row[0] for row in BROKEN} | BY_THE_READER
    assert cases >= ONLY_THE_LOADER_SEES
    for name in BY_THE_READER:
        assert (CORPUS / "config" / "invalid" / name).is_dir()


def test_a_size_beyond_its_bound_is_for_the_loader() -> None:
    document = {"limits": {"timeout": "9999h"}}
    assert schemas.objections(SCHEMAS["task.yml"], document) == ()
    with pytest.raises(Mismatch):
        TaskDocument.model_validate(document)


@pytest.mark.parametrize(("file", "content"), schemas.written_schemas())
def test_every_schema_is_one(file: str, content: bytes) -> None:
    schema = json.loads(content)
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == f"urn:codex-orchestrator:schema:{file.removesuffix('.schema.json')}:1"


def test_no_mapping_in_a_schema_is_open_by_accident() -> None:
    open_on_purpose = {"OutputsSection", "ExecutionSection", "EvidenceItem"}
    for schema in SCHEMAS.values():
        parts = schema.get("$defs") or schema["properties"]
        for name, part in parts.items():
            if name != "version":
                assert part.get("additionalProperties") is (name in open_on_purpose), name
        assert schema["additionalProperties"] is False


def test_a_trailing_newline_does_not_pass_a_pattern() -> None:
    for key, text in (("id", "TASK-0105\n"), ("plugin", "a:B\n"), ("tools", "make\n")):
        assert schemas.objections(SCHEMAS["task.yml"], {key: text})


def test_an_objection_has_its_pointer() -> None:
    objections = schemas.objections(
        SCHEMAS["task.yml"], {"scope": {"allowed_paths": ["a", 5]}, "a/b": 1}
    )
    assert [pointer for pointer, _ in objections] == ["", "/scope/allowed_paths"]


def test_nothing_is_fetched() -> None:
    with pytest.raises(Exception, match="Unresolvable"):
        schemas.objections({"$ref": "http://127.0.0.1:9/x"}, {})


def test_writing_and_staleness(tmp_path: Path) -> None:
    folder = tmp_path / "schemas"
    expected = [name for name, _ in schemas.written_schemas()]
    assert [finding.id for finding in schemas.stale(folder)] == ["SCHEMA_STALE"] * len(expected)
    assert list(schemas.write_all(folder)) == expected
    assert schemas.stale(folder) == ()
    assert schemas.write_all(folder) == ()
    (folder / "task.schema.json").write_bytes(b"{}")
    (folder / "old.schema.json").write_bytes(b"{}")
    found = schemas.stale(folder)
    assert [(str(finding.location), finding.message) for finding in found] == [
        ("schemas/old.schema.json", "expected no such file, found a schema without a model"),
        ("schemas/task.schema.json", "expected the schema of its model, found other bytes"),
    ]


def test_the_committed_schemas_are_in_step() -> None:
    assert schemas.stale(Path(__file__).parents[3] / "schemas") == ()


def test_every_setting_is_in_a_section_that_is_described() -> None:
    assert list(dict.fromkeys(setting.section for setting in SETTINGS)) == list(SECTIONS)
