"""Write JSON Schemas (draft 2020-12) of documents, compare them with the folder, and apply them.

`jsonschema` is the second validator: it judges a document by the written schema alone, offline (a
reference to anywhere else is an error). It does not know what only the loader can see (places,
contradictions, patterns). New documents join by a row in `MODELS`; that of factory.toml follows
from the table of settings.
"""

from __future__ import annotations

import enum
import functools
import json
import operator
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pydantic
import referencing
from jsonschema import Draft202012Validator, ValidationError, validators
from pydantic.json_schema import GenerateJsonSchema

from factory.contract.acceptance import AcceptanceDocument
from factory.contract.environments import KEYS as ENVIRONMENT_KEYS
from factory.contract.environments import MEANING, SECTION
from factory.contract.settings import SECTIONS, SETTINGS, Setting
from factory.contract.task import TaskDocument
from factory.model.config import Config
from factory.model.denial import DENIALS
from factory.model.determinism import DETERMINISM
from factory.model.egress_record import EGRESS
from factory.model.environment import NAME
from factory.model.evidence import EVIDENCE
from factory.model.finding import Finding, Location
from factory.model.forms import anchored
from factory.model.index import OVERVIEWS
from factory.model.pins import PINS
from factory.strict import document, field_types
from factory.strict.document import Document, FieldRule

MODELS: tuple[tuple[str, type[Document]], ...] = (
    ("task", TaskDocument),
    ("acceptance", AcceptanceDocument),
    *EVIDENCE,
    *OVERVIEWS,
    *DETERMINISM,
    *EGRESS,
    *DENIALS,
    *PINS,
)

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_ID = "urn:codex-orchestrator:schema:{name}:1"


class _Generator(GenerateJsonSchema):
    """Generate schemas without the titles that pydantic adds."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        del schema
        return False


def schema_of(name: str, model: type[Document]) -> dict[str, Any]:
    """Return the schema of one model, with `$schema` and `$id`."""
    generated = model_of(model).model_json_schema(schema_generator=_Generator)
    return {"$schema": DIALECT, "$id": _ID.format(name=name), **_tidied(generated)}


def config_schema() -> dict[str, Any]:
    """Return the schema of factory.toml, with `$schema` and `$id`: a table for each section."""
    sections = {
        section: {
            "type": "object",
            "additionalProperties": False,
            "description": meaning,
            "properties": {
                setting.key: _setting_schema(setting)
                for setting in SETTINGS
                if setting.section == section
            },
        }
        for section, meaning in SECTIONS.items()
    }
    version = {"description": "Version of this format.", "type": "integer", "enum": [1]}
    return {
        "$schema": DIALECT,
        "$id": _ID.format(name="config"),
        "type": "object",
        "additionalProperties": False,
        "description": "Configuration of a repository, or a user's own.",
        "properties": {"version": version, **sections, SECTION: _environments_schema()},
    }


def _environments_schema() -> dict[str, Any]:
    keys = {
        each.key: {**each.form.schema, "description": each.meaning} for each in ENVIRONMENT_KEYS
    }
    table = {"type": "object", "additionalProperties": False, "properties": keys}
    named = {anchored(NAME): {**table, "oneOf": [{"required": ["prepare", "outputs"]}, _HOST_KIND]}}
    return {
        "type": "object",
        "description": MEANING,
        "additionalProperties": False,
        "patternProperties": named,
    }


_HOST_KIND = {"required": ["host"], "not": {"required": ["prepare"]}}


def _setting_schema(setting: Setting) -> dict[str, Any]:
    default = getattr(Config(), setting.name, None)
    default = default.value if isinstance(default, enum.Enum) else default
    given = {"default": default} if isinstance(default, (str, int)) and default else {}
    return {**setting.form.schema, **given, "description": setting.meaning}


def model_of(kind: type[Document]) -> type[pydantic.BaseModel]:
    """Return the pydantic model of the same declarations: it prints the schema, and is a second
    opinion on what the document accepts.
    """
    if kind in _MODELS:
        return _MODELS[kind]
    config = pydantic.ConfigDict(
        extra="allow" if kind.model_keeps_unknown else "forbid",
        strict=True,
        frozen=True,
        allow_inf_nan=False,
        json_schema_extra=kind.model_schema,
    )
    base = type("Base", (pydantic.BaseModel,), {"model_config": config})
    fields: dict[str, Any] = {
        name: (_translated(field.annotation), _field_of(field))
        for name, field in kind.model_fields.items()
    }
    return pydantic.create_model(kind.__name__, __base__=base, __doc__=kind.__doc__, **fields)


_MODELS: dict[type[Document], type[pydantic.BaseModel]] = {}
_BOUNDS = ("description", "ge", "json_schema_extra", "le", "max_length", "pattern")


def _field_of(field: FieldRule) -> Any:
    members = {name: getattr(field, name) for name in _BOUNDS}
    given = {name: member for name, member in members.items() if member not in (None, "")}
    if field.alias:
        given["alias"] = field.alias
    if field.default_factory is not None:
        given["default_factory"] = lambda: _plain(field.value())
    elif not field.required:
        given["default"] = _plain(field.default)
    return pydantic.Field(**given)


def _plain(value: Any) -> Any:
    """Return a default as the model has it: a document becomes its model."""
    if isinstance(value, Document):
        return model_of(type(value)).model_construct(**value.__dict__)
    return value


def _translated(hint: Any) -> Any:
    """Return a type with models in place of documents, and pydantic's marks in place of ours."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        marks = tuple(map(_mark_of, arguments[1:]))
        return typing.Annotated[(_translated(arguments[0]), *marks)]
    if origin is None:
        is_document = isinstance(hint, type) and issubclass(hint, Document)
        return model_of(hint) if is_document else hint
    if origin is typing.Literal:
        return hint
    inner = tuple(map(_translated, arguments))
    if origin in (typing.Union, types.UnionType):
        return functools.reduce(operator.or_, inner)
    return origin[inner]


def _mark_of(mark: Any) -> Any:
    if isinstance(mark, document.BeforeValidator):
        if mark.json_schema_input_type is field_types.ABSENT:
            return pydantic.BeforeValidator(mark.func)
        accepted = _translated(mark.json_schema_input_type)
        return pydantic.BeforeValidator(mark.func, json_schema_input_type=accepted)
    if isinstance(mark, document.AfterValidator):
        return pydantic.AfterValidator(mark.func)
    if isinstance(mark, document.WithJsonSchema):
        return pydantic.WithJsonSchema(dict(mark.json_schema))
    return _field_of(mark)


def format_schema(schema: Mapping[str, Any]) -> bytes:
    """Return a schema's bytes as in the folder: sorted, two spaces, a newline at the end."""
    return (json.dumps(schema, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode("utf-8")


def written_schemas() -> tuple[tuple[str, bytes], ...]:
    """Return (file name, bytes) of every schema, that of factory.toml last."""
    every = {name: schema_of(name, model) for name, model in MODELS} | {"config": config_schema()}
    return tuple((f"{name}.schema.json", format_schema(schema)) for name, schema in every.items())


def write_all(folder: Path) -> tuple[str, ...]:
    """Write every schema that differs into `folder`; return the names written. Raise OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, content in written_schemas():
        target = folder / name
        if not target.is_file() or target.read_bytes() != content:
            target.write_bytes(content)
            written.append(name)
    return tuple(written)


def stale(folder: Path, shown_as: str = "schemas") -> tuple[Finding, ...]:
    """Return SCHEMA_STALE for every file of `folder` that is missing, differs, or has no model.

    Raise OSError.
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
    """Return (JSON pointer, sentence) for each error of `document` under the schema, sorted.

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
    """Return the schema without empty defaults; `patternProperties` also forbid all other keys."""
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
