"""JSON Schemas (draft 2020-12) of the documents: written from the models, compared with the folder,
applied.

The second validator: `jsonschema` judges a document by the written schema alone, offline (a
reference to anywhere else is an error). What only the loader can see (places, contradictions,
patterns) it does not know. New documents join by a row in `MODELS`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import referencing
from jsonschema import Draft202012Validator, ValidationError, validators
from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from factory.contract.config_document import ConfigDocument
from factory.contract.documents import AcceptanceDocument, TaskDocument
from factory.model.denial import DENIALS
from factory.model.determinism import DETERMINISM
from factory.model.egress_record import EGRESS
from factory.model.evidence import EVIDENCE
from factory.model.finding import Finding, Location
from factory.model.index import OVERVIEWS

MODELS: tuple[tuple[str, type[BaseModel]], ...] = (
    ("task", TaskDocument),
    ("acceptance", AcceptanceDocument),
    ("config", ConfigDocument),
    *EVIDENCE,
    *OVERVIEWS,
    *DETERMINISM,
    *EGRESS,
    *DENIALS,
)

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_ID = "urn:codex-orchestrator:schema:{name}:1"


class _Generator(GenerateJsonSchema):
    """pydantic's generator, with nothing in the schema that the document's author did not say."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        del schema
        return False


def schema_of(name: str, model: type[BaseModel]) -> dict[str, Any]:
    """The schema of one model, with `$schema` and `$id`."""
    generated = model.model_json_schema(schema_generator=_Generator)
    return {"$schema": DIALECT, "$id": _ID.format(name=name), **_tidied(generated)}


def format_schema(schema: Mapping[str, Any]) -> bytes:
    """The bytes that stand in the folder: sorted, two spaces, a newline at the end."""
    return (json.dumps(schema, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode("utf-8")


def written_schemas() -> tuple[tuple[str, bytes], ...]:
    """File name and bytes of every schema, in the order of `MODELS`."""
    return tuple(
        (f"{name}.schema.json", format_schema(schema_of(name, model))) for name, model in MODELS
    )


def write_all(folder: Path) -> tuple[str, ...]:
    """Write every schema that differs into `folder`; the names of those written. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, content in written_schemas():
        target = folder / name
        if not target.is_file() or target.read_bytes() != content:
            target.write_bytes(content)
            written.append(name)
    return tuple(written)


def stale(folder: Path, shown_as: str = "schemas") -> tuple[Finding, ...]:
    """A SCHEMA_STALE for every file of `folder` that is missing, differs, or has no model. Raises
    OSError.
    """
    expected = dict(written_schemas())
    found = {path.name: path for path in folder.glob("*.schema.json")} if folder.is_dir() else {}
    findings = []
    for name in sorted(expected.keys() | found.keys()):
        if name not in found:
            case = "missing"
        elif name not in expected:
            case = "extra"
        elif found[name].read_bytes() != expected[name]:
            case = "differs"
        else:
            continue
        place = Location(f"{shown_as}/{name}")
        findings.append(Finding("SCHEMA_STALE", {"case": case}, location=place))
    return tuple(findings)


def objections(schema: Mapping[str, Any], document: object) -> tuple[tuple[str, str], ...]:
    """What the schema has against `document`: (JSON pointer, sentence), in the order of the
    pointers.

    `document` is a tree of dicts, lists or tuples, and scalars. Never opens a connection or a file.
    """
    validator = _Validator(schema, registry=referencing.Registry())
    found = [(_pointer(error), error.message) for error in validator.iter_errors(document)]
    return tuple(sorted(found))


def _pointer(error: ValidationError) -> str:
    return "".join(
        f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in error.absolute_path
    )


def _is_array(_: Any, instance: object) -> bool:
    return isinstance(instance, (list, tuple))


_Validator: Any = validators.extend(  # type: ignore[no-untyped-call]
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine("array", _is_array),
)


def _tidied(schema: Any) -> Any:
    """Without defaults that say nothing, and closed where only names of one form are known."""
    if isinstance(schema, list):
        return [_tidied(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    tidied = {
        key: {name: _tidied(inner) for name, inner in member.items()}
        if key in _NAMED
        else _tidied(member)
        for key, member in schema.items()
        if not (key == "default" and member in _SILENT)
    }
    if "patternProperties" in tidied:
        tidied["additionalProperties"] = False
    return tidied


_NAMED = frozenset({"properties", "$defs", "patternProperties"})
_SILENT: tuple[object, ...] = ("", [], 0, None)
