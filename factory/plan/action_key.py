"""Compute the canonical order, action keys, and why a key changed. Pure: identities are arguments.

>>> canonical_order({"TASK-0002": ("TASK-0003",), "TASK-0001": (), "TASK-0003": ()})
('TASK-0001', 'TASK-0003', 'TASK-0002')
>>> bounded_limits(Limits(timeout=900), Limits(timeout=60)).timeout
60

The action key is the SHA-256 of canonical JSON over what decides a pack's result: its files, the
tree it sees, the keys of the packs it builds on, required properties, limits, the protected list,
environment and tools. No path, time or observed enforcement is in it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from factory.model.config import Config
from factory.model.evidence import (
    ActionDocument,
    DependencyRecord,
    PackFileRecord,
    ScopeLock,
    ToolRecord,
)
from factory.model.evidence_text import limits_record
from factory.model.pack import Limits, TaskPack
from factory.strict import canonical


def canonical_order(depends: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Order packs so that each comes after its dependencies, otherwise by id.

    Unknown dependencies are ignored here (another module reports them); members of a circle, and
    what depends on them, come last in id order.
    """
    waiting = {pack: {need for need in needs if need in depends} for pack, needs in depends.items()}
    order: list[str] = []
    while waiting:
        ready = sorted(pack for pack, needs in waiting.items() if not needs)
        if not ready:
            order.extend(sorted(waiting))
            break
        for pack in ready:
            del waiting[pack]
        order.extend(ready)
        for needs in waiting.values():
            needs.difference_update(ready)
    return tuple(order)


def all_needs(depends: Mapping[str, tuple[str, ...]]) -> Mapping[str, frozenset[str]]:
    """Return everything each pack depends on, transitively, restricted to known packs; circles
    end.
    """
    found: dict[str, frozenset[str]] = {}
    for pack in depends:
        seen: set[str] = set()
        rest = list(depends[pack])
        while rest:
            need = rest.pop()
            if need in depends and need not in seen:
                seen.add(need)
                rest.extend(depends[need])
        found[pack] = frozenset(seen)
    return found


def bounded_limits(limits: Limits, ceilings: Limits | None) -> Limits:
    """Return each limit, lowered to its ceiling."""
    if ceilings is None:
        return limits
    names = ("timeout", "memory", "processes", "disk", "output", "changed_lines", "attempts")
    return replace(
        limits, **{name: min(getattr(limits, name), getattr(ceilings, name)) for name in names}
    )


def environment_of(pack: TaskPack, host: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return the variables a pack gets besides the constant ones: fixed, or passed if the host has
    them.
    """
    passed = {name: host[name] for name in pack.env_passed if name in host}
    return tuple(sorted({**passed, **dict(pack.env_fixed)}.items()))


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
        limits=limits_record(bounded_limits(pack.limits, config.ceilings)),
        protected=protected,
        environment=digests_of(environment),
        tools=tuple(sorted(tools, key=lambda tool: tool.name)),
    )


def scope_lock(pack: TaskPack, config: Config, protected: tuple[str, ...]) -> ScopeLock:
    """Return SCOPE_LOCK.json of a pack: its contract as resolved under `config`."""
    return ScopeLock(
        pack=pack.id,
        allowed=pack.scope.allowed,
        denied=pack.scope.denied,
        protected=protected,
        inputs=pack.inputs,
        network=pack.constraints.network.hosts,
        network_any=pack.constraints.network.any_host,
        cloud=pack.constraints.cloud.hosts,
        cloud_any=pack.constraints.cloud.any_host,
        limits=limits_record(bounded_limits(pack.limits, config.ceilings)),
        required_properties=tuple(sorted(wanted.value for wanted in config.required)),
        artifacts_required=pack.artifacts.required,
        artifacts_optional=pack.artifacts.optional,
        artifacts_normalized=pack.artifacts.normalized,
        docs_required=pack.docs_required,
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


# One row for each field that is part of the key: the word that `factory why` uses for it, and what
# in it can differ, by name. A field without a row cannot be compared (tests/unit/core).
_PARTS: Mapping[str, tuple[str, Callable[[ActionDocument], Mapping[str, str]]]] = {
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


def parts(action: ActionDocument) -> tuple[str, ...]:
    """Return the words for the parts that an action has, in a fixed order, without id and
    format.
    """
    return tuple(
        word
        for field, (word, rows) in _PARTS.items()
        if field not in ("pack", "format") and rows(action)
    )


def why_changed(before: ActionDocument, after: ActionDocument) -> tuple[KeyChange, ...]:
    """Return every part in which two actions differ, in a fixed order; () if their keys are
    equal.
    """
    changes: list[KeyChange] = []
    for word, rows in _PARTS.values():
        changes += _rows(word, rows(before), rows(after))
    return tuple(changes)


def _rows(part: str, before: Mapping[str, str], after: Mapping[str, str]) -> list[KeyChange]:
    return [
        KeyChange(part, name, before.get(name, ""), after.get(name, ""))
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]


__all__ = [
    "KeyChange",
    "action_key",
    "action_of",
    "all_needs",
    "bounded_limits",
    "canonical_order",
    "environment_of",
    "parts",
    "scope_lock",
    "why_changed",
]
