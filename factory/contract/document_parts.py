"""Define the parts that contract documents are made of: base classes and annotated field types.

Every type normalises to one shape (one text becomes a list of one, `10m` becomes 600) and its JSON
Schema allows every accepted spelling. Does not know where a document was read from.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal

from factory.model import forms, names
from factory.model.environment import NAME
from factory.strict.document import (
    AfterValidator,
    BeforeValidator,
    Document,
    Field,
    Mismatch,
    WithJsonSchema,
)
from factory.strict.values import LARGEST_INTEGER, freeze


class Part(Document):
    """Define a mapping with known keys only."""


class OpenPart(Document, keeps_unknown=True):
    """Define a mapping whose unknown keys are kept as information."""


def unfit(problem: str, hint: str = "") -> Mismatch:
    """Return the error that a validator raises: a clause about the value, and what to do."""
    return Mismatch.of("unfit", problem=problem, hint=hint)


def unexpected(wanted: str, hint: str) -> Mismatch:
    """Return the error for a value of the wrong type; whoever renders it adds what was found."""
    return Mismatch.of("unexpected", wanted=wanted, hint=hint)


def _text_schema(form: str, **more: Any) -> dict[str, Any]:
    return {"type": "string", "pattern": forms.anchored(form), **more}


def matching(form: str, clause: str, hint: str) -> Callable[[str], str]:
    """Return a validator for text of one form."""
    expression = re.compile(form)

    def judge(text: str) -> str:
        if not expression.fullmatch(text):
            raise unfit(clause, hint)
        return text

    return judge


def _line(text: str) -> str:
    line = text.strip()
    if not line:
        raise unfit("is empty", "write one line of text")
    if any(not character.isprintable() for character in line):
        raise unfit(
            "contains a line break or a character that cannot be seen", "write one plain line"
        )
    return line


def _command_text(text: str) -> str:
    if not text.strip():
        raise unfit("is empty", "write the command to run")
    return text


def _judged(problem_with: Callable[[str], str]) -> Callable[[str], str]:
    def judge(text: str) -> str:
        clause, _, hint = problem_with(text).partition("; ")
        if clause:
            raise unfit(clause, hint)
        return text

    return judge


def _folder(text: str) -> str:
    return forms.clean_folder(_judged(forms.problem_with_folder)(text))


def one_or_many(value: object) -> object:
    """Return one text as a list of one; anything else as it is."""
    return (value,) if isinstance(value, str) else value


def _size(value: object) -> object:
    return _measured(value, forms.size_of, "a size", "write bytes, or text such as 512MiB or 2G")


def _duration(value: object) -> object:
    return _measured(
        value, forms.duration_of, "a duration", "write seconds, or text such as 90s or 10m"
    )


def _measured(value: object, read: Callable[[str], int | None], wanted: str, hint: str) -> int:
    number = read(value) if isinstance(value, str) else value
    if not isinstance(number, int) or isinstance(number, bool):
        raise unexpected(wanted, hint)
    return number


def _hosts(value: object) -> object:
    if value is False:
        return ()
    if value is True or value == "*":
        return ("*",)
    if isinstance(value, (str, tuple)):
        return one_or_many(value)
    raise unexpected("false, true or a list of hosts", 'write false, true or ["example.org"]')


def _host(text: str) -> str:
    return text if text == "*" else _judged(forms.problem_with_host)(text).lower()


_NO_ENV_NAME, _ENV_HINT = "is not the name of a variable", "use letters, digits and _"


def _environment(value: object) -> object:
    if isinstance(value, dict):
        return value
    if not isinstance(value, (str, tuple)):
        raise unexpected("a list of names or a mapping", 'write [HOME_PAGE], or {MODE: "fast"}')
    found: dict[object, object] = {}
    for number, item in enumerate((value,) if isinstance(value, str) else value, 1):
        if not isinstance(item, str):
            raise unfit(
                f"item {number} is not text", "write only names, or NAME=value, in the list"
            )
        name, equals, fixed = item.partition("=")
        if not re.fullmatch(forms.ENV_NAME, name):
            raise unfit(f'item {number}, "{name}", {_NO_ENV_NAME}', _ENV_HINT)
        if name in found:
            raise unfit(f'names "{name}" twice', "keep one of them")
        found[name] = fixed if equals else None
    return found


def _sealed(mapping: Mapping[str, Any]) -> Mapping[str, Any]:
    return MappingProxyType(dict(mapping))


def _version(value: object) -> object:
    if value not in (1, "1") or isinstance(value, (bool, float)):
        raise unexpected("1", "write 1")
    return 1


_judge_id = matching(names.PACK_ID.pattern, "is not a pack id", "write one as in TASK-0101")
_judge_env = matching(forms.ENV_NAME, _NO_ENV_NAME, _ENV_HINT)
_judge_tool = matching(
    forms.TOOL, "is not the name of a command", "write it without path or arguments"
)
judge_plugin = matching(forms.PLUGIN, "is not a plugin", "write it as package.module:Class")

_WITH_TEXT: dict[str, Any] = {"type": "string", "pattern": r"\S"}
_BOUND = LARGEST_INTEGER

Line = Annotated[str, AfterValidator(_line), WithJsonSchema(_WITH_TEXT)]
CommandText = Annotated[str, AfterValidator(_command_text), WithJsonSchema(_WITH_TEXT)]
PackId = Annotated[
    str, AfterValidator(_judge_id), WithJsonSchema(_text_schema(names.PACK_ID.pattern))
]
Folder = Annotated[str, AfterValidator(_folder), WithJsonSchema(_text_schema(forms.FOLDER))]
Tool = Annotated[str, AfterValidator(_judge_tool), WithJsonSchema(_text_schema(forms.TOOL))]
Plugin = Annotated[str, AfterValidator(judge_plugin), WithJsonSchema(_text_schema(forms.PLUGIN))]
Pattern = Annotated[str, WithJsonSchema({"type": "string", "minLength": 1})]
Version = Annotated[Literal[1], BeforeValidator(_version), WithJsonSchema({"enum": [1, "1"]})]

Count = Annotated[int, Field(ge=1, le=_BOUND)]
CountFromZero = Annotated[int, Field(ge=0, le=_BOUND)]

_SIZES = {"anyOf": [{"type": "integer", "minimum": 1, "maximum": _BOUND}, _text_schema(forms.SIZE)]}
_DURATIONS = {
    "anyOf": [
        {"type": "integer", "minimum": 1, "maximum": forms.LONGEST},
        _text_schema(forms.DURATION),
    ]
}
Size = Annotated[int, Field(ge=1, le=_BOUND), BeforeValidator(_size), WithJsonSchema(_SIZES)]
DiskSize = Annotated[
    int,
    Field(ge=forms.LEAST_DISK, le=_BOUND),
    BeforeValidator(_size),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": forms.LEAST_DISK, "maximum": _BOUND},
                _text_schema(forms.SIZE),
            ]
        }
    ),
]
Duration = Annotated[
    int, Field(ge=1, le=forms.LONGEST), BeforeValidator(_duration), WithJsonSchema(_DURATIONS)
]

Texts = Annotated[
    tuple[Line, ...], BeforeValidator(one_or_many, json_schema_input_type=Line | tuple[Line, ...])
]
Patterns = Annotated[
    tuple[Pattern, ...],
    BeforeValidator(one_or_many, json_schema_input_type=Pattern | tuple[Pattern, ...]),
]
PackIds = Annotated[
    tuple[PackId, ...],
    BeforeValidator(one_or_many, json_schema_input_type=PackId | tuple[PackId, ...]),
]
Tools = Annotated[
    tuple[Tool, ...], BeforeValidator(one_or_many, json_schema_input_type=Tool | tuple[Tool, ...])
]

_judge_environment = matching(
    NAME, "is no name of an environment", "write one that factory.toml has, as in py"
)
EnvironmentName = Annotated[
    str, AfterValidator(_judge_environment), WithJsonSchema(_text_schema(NAME))
]
EnvironmentNames = Annotated[
    tuple[EnvironmentName, ...],
    BeforeValidator(
        one_or_many, json_schema_input_type=EnvironmentName | tuple[EnvironmentName, ...]
    ),
]

Host = Annotated[str, AfterValidator(_host), WithJsonSchema(_text_schema(rf"\*|{forms.HOST}"))]
Hosts = Annotated[
    tuple[Host, ...], BeforeValidator(_hosts, json_schema_input_type=bool | Host | tuple[Host, ...])
]
"""False is no host, true is any host (written `*`), otherwise a list of hosts."""

EnvName = Annotated[str, AfterValidator(_judge_env), WithJsonSchema(_text_schema(forms.ENV_NAME))]
EnvItem = Annotated[str, WithJsonSchema(_text_schema(rf"{forms.ENV_NAME}(?:=[\s\S]*)?"))]
Environment = Annotated[
    Mapping[EnvName, str | None],
    BeforeValidator(
        _environment,
        json_schema_input_type=EnvItem | tuple[EnvItem, ...] | dict[EnvName, str | None],
    ),
    AfterValidator(_sealed),
]
"""Names to fixed values; None passes the caller's value through."""

FixedEnvironment = Annotated[Mapping[EnvName, str], AfterValidator(_sealed)]

Information = Annotated[object, AfterValidator(freeze)]
"""Any value; kept, never acted on."""


def text_or_list_as(key: str) -> Callable[[object], object]:
    """Return a validator that reads bare text or a list as a mapping with one key."""

    def read(value: object) -> object:
        if isinstance(value, (str, tuple)):
            return {key: value}
        if not isinstance(value, dict):
            raise unexpected(f"{key}", f"write {{{key}: [...]}}")
        return value

    return read
