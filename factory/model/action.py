"""Define the action of a pack: what decides its result, its key, and why two keys differ.

>>> limits_record(Limits(timeout=60)).timeout
60

The action key is the SHA-256 of canonical JSON over the action: the pack's files, the tree it sees,
the keys of the packs it builds on, required properties, limits, the protected list, environment
and tools. No path, time or observed enforcement is in it. A field of the key is one field of
`ActionDocument`, its value in `action_of` and its row in `PARTS`. Pure: identities are arguments.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from factory.model.config import Config
from factory.model.pack import Limits, TaskPack
from factory.strict import canonical
from factory.strict.document import Document, Field

Digest = str
"""SHA-256 in lower-case hex."""


class LimitsRecord(Document):
    """Record the limits in force: seconds, bytes, counts."""

    timeout: int
    memory: int
    processes: int
    disk: int
    output: int
    changed_lines: int
    attempts: int
    idle: int
    connections: int
    upload: int
    download: int


def limits_record(limits: Limits) -> LimitsRecord:
    """Return limits as evidence records them."""
    return LimitsRecord(
        timeout=limits.timeout,
        memory=limits.memory,
        processes=limits.processes,
        disk=limits.disk,
        output=limits.output,
        changed_lines=limits.changed_lines,
        attempts=limits.attempts,
        idle=limits.idle,
        connections=limits.connections,
        upload=limits.upload,
        download=limits.download,
    )


def limits_of(record: LimitsRecord) -> Limits:
    """Return the limits of a record."""
    return Limits(**record.model_dump())


class PackFileRecord(Document):
    """Record one file of the pack's folder as it was read."""

    path: str
    mode: str
    sha256: str


class DependencyRecord(Document):
    """Record a pack that is depended on, by its action key."""

    pack: str
    key: Digest


class ToolRecord(Document):
    """Record a command whose identity is part of the action key."""

    name: str
    version: str
    sha256: str


class ActionDocument(Document):
    """Define ACTION.json: everything that the action key covers. The key is the SHA-256 of its
    canonical form.

    `environments` maps names to digests; `judge` is the digest of the judge in force for every pack
    (`PlannedJudge`) and then this pack's own patterns; `require` is what a PASS must have shown,
    `grants` are digests of the grants in use.
    """

    format: Literal[2] = 2
    pack: str
    files: tuple[PackFileRecord, ...]
    inputs: str = Field(description="id of the visible tree of the base commit")
    depends_on: tuple[DependencyRecord, ...]
    properties: tuple[str, ...]
    limits: LimitsRecord
    protected: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    tools: tuple[ToolRecord, ...]
    environments: tuple[tuple[str, Digest], ...] = ()
    judge: tuple[str, ...] = ()
    require: tuple[str, ...] = ()
    grants: tuple[Digest, ...] = ()


def environment_of(pack: TaskPack, granted: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return the variables a pack gets besides the constant ones: fixed, or passed if the user
    granted them and the host has them (`trust.requests.granted_variables`).
    """
    return tuple(sorted({**granted, **dict(pack.env_fixed)}.items()))


def digests_of(environment: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """Return variables with digests instead of values."""
    return tuple((name, hashlib.sha256(value.encode()).hexdigest()) for name, value in environment)


def action_of(
    pack: TaskPack,
    config: Config,
    *,
    visible_tree: str,
    dependencies: Iterable[tuple[str, str]],
    protected: tuple[str, ...],
    environment: tuple[tuple[str, str], ...],
    tools: Iterable[ToolRecord],
    limits: Limits,
    environments: Iterable[tuple[str, str]] = (),
    judge: tuple[str, ...] = (),
    require: tuple[str, ...] = (),
    grants: tuple[str, ...] = (),
) -> ActionDocument:
    """Return everything that `pack`'s key covers. Values of the environment enter as digests
    only.
    """
    return ActionDocument(
        pack=pack.id,
        files=tuple(
            PackFileRecord(path=file.path, mode=f"{file.mode:06o}", sha256=file.sha256)
            for file in sorted(pack.files, key=lambda file: file.path)
        ),
        inputs=visible_tree,
        depends_on=tuple(
            DependencyRecord(pack=need, key=key) for need, key in sorted(dependencies)
        ),
        properties=tuple(sorted(wanted.value for wanted in config.required)),
        limits=limits_record(limits),
        protected=protected,
        environment=digests_of(environment),
        tools=tuple(sorted(tools, key=lambda tool: tool.name)),
        environments=tuple(sorted(environments)),
        judge=judge,
        require=require,
        grants=grants,
    )


def action_key(action: ActionDocument) -> str:
    """Return the key: SHA-256 (hex) of the action's canonical JSON (RFC 8785)."""
    return canonical.digest(action.model_dump(mode="json"))


@dataclass(frozen=True, slots=True)
class KeyChange:
    """Describe one part of an action that differs: part, what in it, before and after ("":
    absent).
    """

    part: str
    what: str
    before: str
    after: str


def _named(names: Iterable[str]) -> dict[str, str]:
    return dict.fromkeys(names, "yes")


PARTS: Mapping[str, tuple[str, Callable[[ActionDocument], Mapping[str, str]]]] = {
    "pack": ("id", lambda it: {"id": it.pack}),
    "files": ("pack", lambda it: {f.path: f.sha256 + f.mode for f in it.files}),
    "inputs": ("inputs", lambda it: {"tree": it.inputs}),
    "depends_on": ("depends_on", lambda it: {d.pack: d.key for d in it.depends_on}),
    "properties": ("sandbox", lambda it: dict.fromkeys(it.properties, "required")),
    "limits": ("limits", lambda it: {n: str(v) for n, v in it.limits.model_dump().items()}),
    "protected": ("protected", lambda it: _named(it.protected)),
    "environment": ("environment", lambda it: dict(it.environment)),
    "tools": ("tools", lambda it: {t.name: f"{t.version} {t.sha256}" for t in it.tools}),
    "environments": ("environments", lambda it: dict(it.environments)),
    "judge": ("judge", lambda it: _named(it.judge)),
    "require": ("require", lambda it: _named(it.require)),
    "grants": ("grants", lambda it: _named(it.grants)),
    "format": ("format", lambda it: {"version": str(it.format)}),
}
"""One row for each field: the word that `factory why` uses for it, and what in it can differ, by
name. A field without a row cannot be compared (tests/unit/core/test_planning.py)."""


def parts(action: ActionDocument) -> tuple[str, ...]:
    """Return the words for the parts that an action has, in a fixed order, without id and
    format.
    """
    return tuple(
        word
        for field, (word, rows) in PARTS.items()
        if field not in ("pack", "format") and rows(action)
    )


def why_changed(before: ActionDocument, after: ActionDocument) -> tuple[KeyChange, ...]:
    """Return every part in which two actions differ, in a fixed order; () if their keys are
    equal.
    """
    changes: list[KeyChange] = []
    for word, rows in PARTS.values():
        changes += _rows(word, rows(before), rows(after))
    return tuple(changes)


def _rows(part: str, before: Mapping[str, str], after: Mapping[str, str]) -> list[KeyChange]:
    return [
        KeyChange(part, name, before.get(name, ""), after.get(name, ""))
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]
