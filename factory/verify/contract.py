"""Read what a pack's own files ask for, again from their bytes: scope, inputs, commands, artifacts.

Rule: only what a verdict depends on is read, by a loader that constructs nothing but text, lists
and mappings. The files were accepted when the plan was made; here they must only say the same.
Source: DESIGN, "Task pack".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import yaml

from factory.verify.form import FormError

_LOADER: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_MOST_BYTES = 64 * 1024  # no larger contract is accepted before a run
# Kinds of commands of acceptance.yml, in the order in which they run: stem of labels, key, and if
# the key may be a mapping with `commands`.
ACCEPTANCE = (
    ("format", "format", True),
    ("lint", "lint", True),
    ("tests", "tests", True),
    ("check", "checks", False),
    ("must", "must", False),
)
KINDS = ("step", *(kind for kind, _, _ in ACCEPTANCE))
_JUDGING = ("judge", "may_change", "retires", "require", "fixed")
_CHANGED_LINES = 800  # the default of limits.changed_lines
_ABSENT = ("", "~", "null", "Null", "NULL")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Describe one command: its label, kind, name and text."""

    label: str
    kind: str
    name: str
    run: str


@dataclass(frozen=True, slots=True)
class Contract:
    """List what a pack asks for; patterns from the root, `inputs` None for everything. `passed` are
    variables that may be passed on, each with the text that it is if it is fixed after all (None:
    it cannot be).
    """

    title: str
    domain: str
    allowed: tuple[str, ...]
    denied: tuple[str, ...]
    outside: str
    discard: tuple[str, ...]
    inputs: tuple[str, ...] | None
    steps: tuple[Wanted, ...]
    acceptance: tuple[Wanted, ...]
    artifacts_required: tuple[str, ...]
    artifacts_optional: tuple[str, ...]
    artifacts_normalized: tuple[str, ...]
    docs_required: tuple[str, ...]
    expect: str
    network: tuple[str, ...]
    network_any: bool
    cloud: tuple[str, ...]
    cloud_any: bool
    acceptance_network: bool
    acceptance_cloud: bool
    learn: bool
    changed_lines: int
    depends_on: tuple[str, ...]
    judge: tuple[str, ...]
    may_change: tuple[str, ...]
    retires: tuple[str, ...]
    require: tuple[str, ...]
    fixed: tuple[str, ...]
    passed: tuple[tuple[str, str | None], ...]
    plugin: str


@lru_cache(maxsize=256)
def read_contract(folder: str, task: bytes, acceptance: bytes) -> Contract:
    """Return the contract of the pack in `folder`. Raise FormError."""
    written, asked = _loaded("task.yml", task), _loaded("acceptance.yml", acceptance)
    scope, limits = _part(written, "scope"), _part(written, "limits")
    artifacts, outputs = written.get("artifacts", ""), _part(written, "outputs")
    wanted = artifacts if isinstance(artifacts, dict) else {"required": artifacts}
    optional = list(_texts(wanted.get("optional")))
    if outputs.get("artifacts_dir"):
        optional.append(_cleaned(str(outputs["artifacts_dir"])) + "/**")
    optional += _transcripts(written.get("steps"))
    required = (*_texts(wanted.get("required")), *_texts(_paths(outputs.get("evidence"))))
    rights = _part(written, "constraints")
    network, cloud = (
        _hosts(rights.get("allow_network")),
        _hosts(rights.get("allow_cloud_mutations")),
    )
    inputs = written.get("inputs", "")
    older = _part(written, "task")
    return Contract(
        title=str(written.get("title") or older.get("name") or "").strip(),
        domain=str(
            written.get("type") or written.get("pillar") or older.get("pillar") or ""
        ).strip(),
        allowed=_texts(scope["allowed_paths"]) if "allowed_paths" in scope else (f"{folder}/",),
        denied=_texts(scope.get("denied_paths")),
        outside=str(scope.get("outside") or "block"),
        discard=_texts(written.get("discard")),
        inputs=None if isinstance(inputs, dict) or inputs in _ABSENT else _texts(inputs),
        steps=_commands("step", written.get("steps")),
        acceptance=_acceptance(asked),
        artifacts_required=_rooted(folder, required),
        artifacts_optional=_rooted(folder, optional),
        artifacts_normalized=_rooted(folder, _texts(wanted.get("normalize"))),
        docs_required=_texts(_part(written, "docs").get("required")),
        expect=str(written.get("expect") or "any"),
        network=() if "*" in network else network,
        network_any="*" in network,
        cloud=() if "*" in cloud else cloud,
        cloud_any="*" in cloud,
        acceptance_network=_true(asked.get("allow_network")) or bool(_texts(asked.get("deps"))),
        learn=_true(limits.get("learn")),
        acceptance_cloud=_true(asked.get("allow_cloud_mutations")),
        changed_lines=_number(limits.get("changed_lines", str(_CHANGED_LINES))),
        depends_on=_texts(written.get("depends_on")),
        passed=_passed(written.get("env")),
        plugin=_plugin(written.get("plugin"))
        or _plugin(_part(written, "execution").get("use_plugins")),
        **{key: tuple(dict.fromkeys(_texts(asked.get(key)))) for key in _JUDGING},
    )


def _transcripts(steps: object) -> list[str]:
    """Return where steps keep their output."""
    items = steps if isinstance(steps, list) else [steps]
    found = (item.get("transcript") for item in items if isinstance(item, dict))
    return [text.strip() for text in found if isinstance(text, str) and text not in _ABSENT]


def _loaded(name: str, content: bytes) -> dict[str, Any]:
    if len(content) > _MOST_BYTES:
        raise FormError(f"{name}: expected at most {_MOST_BYTES} bytes, found {len(content)}")
    try:
        text = content.decode("utf-8")
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=_LOADER)):
            raise FormError(f"{name}: expected no alias, found one")
        value = yaml.load(text, Loader=_LOADER)  # noqa: S506  makes text, lists and mappings only
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, TypeError, ValueError) as error:
        raise FormError(f"{name}: expected YAML, found: {str(error).splitlines()[0]}") from error
    if value is None or value in _ABSENT:
        return {}
    if not isinstance(value, dict):
        raise FormError(f"{name}: expected a mapping, found another value")
    return value


def _part(whole: Mapping[str, Any], key: str) -> dict[str, Any]:
    found = whole.get(key)
    return found if isinstance(found, dict) else {}


def _texts(value: object) -> tuple[str, ...]:
    if isinstance(value, list):
        return tuple(item for item in value if isinstance(item, str))
    return (value,) if isinstance(value, str) and value not in _ABSENT else ()


def _paths(value: object) -> object:
    """Return a list with the path in place of each mapping that has one."""
    if not isinstance(value, list):
        return value
    return [item.get("path") if isinstance(item, dict) else item for item in value]


def _hosts(value: object) -> tuple[str, ...]:
    if isinstance(value, str) and value.lower() in ("true", "false", *_ABSENT):
        return ("*",) if value.lower() == "true" else ()
    return tuple(sorted({host.lower() for host in _texts(value)}))


def _true(value: object) -> bool:
    return isinstance(value, str) and value.lower() == "true"


def _passed(value: object) -> tuple[tuple[str, str | None], ...]:
    """Return names of variables without a value, which this loader cannot distinguish from one
    that is quoted.
    """
    if isinstance(value, dict):
        return tuple((str(name), str(text)) for name, text in value.items() if text in _ABSENT)
    return tuple((name, None) for name in _texts(value))


def _plugin(value: object) -> str:
    text = value if isinstance(value, str) else ""
    return "" if text.lower() in ("true", "false", *_ABSENT) else text


def _number(value: object) -> int:
    try:
        return int(str(value), 0)
    except ValueError as error:
        raise FormError(
            f"task.yml: expected a number of lines, found {str(value)[:40]!r}"
        ) from error


def _cleaned(folder: str) -> str:
    parts = "/".join(part for part in folder.strip().split("/") if part not in ("", "."))
    return f"/{parts}" if folder.startswith("/") else parts


def _rooted(folder: str, patterns: list[str] | tuple[str, ...]) -> tuple[str, ...]:
    own = f"{folder}/"
    whole = (
        pattern[1:] if pattern.startswith("/") else own + pattern.removeprefix(own)
        for pattern in patterns
    )
    return tuple(dict.fromkeys(whole))


def _acceptance(asked: Mapping[str, Any]) -> tuple[Wanted, ...]:
    found: list[Wanted] = []
    for kind, key, grouped in ACCEPTANCE:
        listed = asked.get(key)
        if grouped and isinstance(listed, dict):
            listed = listed.get("commands")
        found += _commands(kind, listed)
    return tuple(found)


def _commands(kind: str, value: object) -> tuple[Wanted, ...]:
    items = (
        [] if value is None or value in _ABSENT else value if isinstance(value, list) else [value]
    )
    found = []
    for number, item in enumerate(items, 1):
        label = f"{kind}-{number}"
        entry = item if isinstance(item, dict) else {"run": item}
        found.append(
            Wanted(
                label,
                kind,
                str(entry.get("name") or label).strip(),
                str(entry.get("run", "")).strip(),
            )
        )
    return tuple(found)
