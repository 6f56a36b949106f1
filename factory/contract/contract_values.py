"""Translate documents as written to the values that a run acts on: commands, limits, artifacts,
rights.

Only translation, defaults included; nothing is refused here. Expects documents that their models
accept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields

from factory.contract.documents import AcceptanceDocument, CommandItem, TaskDocument
from factory.model.finding import Location
from factory.model.forms import clean_folder
from factory.model.pack import Artifacts, Command, CommandKind, Constraints, Limits, Network
from factory.strict import canonical
from factory.strict.values import StrictDocument, Value, pointers

KEPT = (
    "owner",
    "priority",
    "notes",
    "skills",
    "review",
    "engine",
    "solution",
    "task",
    "outputs",
    "execution",
)
"""Keys of task.yml without effect of their own; their values stay in the manifest."""

KEPT_CONSTRAINTS = ("safe_mode", "allow_long_running")


def step_commands(task: TaskDocument, source: StrictDocument, folder: str) -> tuple[Command, ...]:
    """Return the pack's steps, which run at the workspace root."""
    return tuple(_commands(CommandKind.STEP, task.steps, "/steps", source, f"{folder}/task.yml"))


def acceptance_commands(
    acceptance: AcceptanceDocument, source: StrictDocument, folder: str
) -> tuple[Command, ...]:
    """Return all commands of acceptance.yml in fixed order; `must` runs in the pack's folder, the
    others at the root.
    """
    file = f"{folder}/acceptance.yml"
    return (
        *_commands(CommandKind.FORMAT, acceptance.format.commands, "/format", source, file),
        *_commands(CommandKind.LINT, acceptance.lint.commands, "/lint", source, file),
        *_commands(CommandKind.TESTS, acceptance.tests.commands, "/tests", source, file),
        *_commands(CommandKind.CHECK, acceptance.checks, "/checks", source, file),
        *_commands(CommandKind.MUST, acceptance.must, "/must", source, file, cwd=folder),
    )


def limits_of(task: TaskDocument, ceilings: Limits | None) -> Limits:
    """Return the declared limits; an absent one is the default, or the ceiling if that is lower."""
    declared, defaults = declared_limits(task), Limits()
    chosen = {}
    for limit in fields(Limits):
        default: int = getattr(defaults, limit.name)
        bound = default if ceilings is None else min(default, getattr(ceilings, limit.name))
        chosen[limit.name] = declared.get(limit.name, bound)
    return Limits(**chosen)


def declared_limits(task: TaskDocument) -> Mapping[str, int]:
    """Return the limits that are written in task.yml, under either spelling of the time limit."""
    declared: dict[str, int] = {
        name: getattr(task.limits, name) for name in task.limits.model_fields_set
    }
    if "timeout_minutes" in task.execution.model_fields_set:
        declared.setdefault("timeout", task.execution.timeout_minutes * 60)
    return declared


def constraints_of(task: TaskDocument) -> Constraints:
    """Return the rights that the pack asks for."""
    wanted = task.constraints
    return Constraints(_network(wanted.allow_network), _network(wanted.allow_cloud_mutations))


def artifacts_of(task: TaskDocument, folder: str) -> Artifacts:
    """Return artifact patterns from the workspace root, including those in older spellings."""
    required = (*task.artifacts.required, *task.outputs.evidence)
    optional = task.artifacts.optional
    if task.outputs.artifacts_dir:
        optional = (*optional, artifacts_folder(task.outputs.artifacts_dir) + "/**")
    return Artifacts(
        tuple(dict.fromkeys(from_root(pattern, folder) for pattern in required)),
        tuple(dict.fromkeys(from_root(pattern, folder) for pattern in optional)),
        tuple(dict.fromkeys(from_root(pattern, folder) for pattern in task.artifacts.normalize)),
    )


def artifacts_folder(written: str) -> str:
    """Return `outputs.artifacts_dir` in one spelling; a leading / stays."""
    return ("/" if written.startswith("/") else "") + clean_folder(written)


def from_root(pattern: str, folder: str) -> str:
    """Return an artifact pattern from the workspace root; one with a leading / already is."""
    return pattern[1:] if pattern.startswith("/") else f"{folder}/{pattern}"


def inputs_of(task: TaskDocument, source: StrictDocument) -> tuple[str, ...] | None:
    """Return the visible inputs; None (everything) if they are absent or only described."""
    written = member(source.value, "inputs")
    return None if written is None or isinstance(written, Mapping) else task.inputs


def information_of(source: StrictDocument) -> str:
    """Return canonical JSON of what has no effect; fractions become text, since it allows no
    floats.
    """
    kept = {key: member(source.value, key) for key in KEPT if member(source.value, key) is not None}
    constraints = member(source.value, "constraints")
    told = {
        key: member(constraints, key)
        for key in KEPT_CONSTRAINTS
        if member(constraints, key) is not None
    }
    if told:
        kept["constraints"] = told
    inputs = member(source.value, "inputs")
    if isinstance(inputs, Mapping):
        kept["inputs"] = inputs
    return canonical.encode(_without_fractions(kept)).decode("utf-8")


def written_places(source: StrictDocument) -> tuple[tuple[str, int, int], ...]:
    """Return (pointer, line, column) of everything in task.yml: values at their value, collections
    at their key.
    """
    return tuple(
        sorted((pointer, *_written_place(source, pointer)) for pointer in pointers(source.value))
    )


def member(value: Value, key: str) -> Value:
    """Return the member `key` of a mapping; None if there is none."""
    return value.get(key) if isinstance(value, Mapping) else None


def at(value: Value, pointer: str) -> Value:
    """Return the value at a pointer of plain keys; None if there is none."""
    for key in pointer.split("/")[1:]:
        value = member(value, key)
    return value


def _written_place(source: StrictDocument, pointer: str) -> tuple[int, int]:
    collection = isinstance(at(source.value, pointer), (tuple, Mapping))
    return source.key_place(pointer) if collection else source.place(pointer)


def _commands(
    kind: CommandKind,
    items: tuple[CommandItem, ...],
    pointer: str,
    source: StrictDocument,
    file: str,
    cwd: str = "",
) -> list[Command]:
    inner = f"{pointer}/commands" if f"{pointer}/commands" in source.places else pointer
    commands = []
    for index, item in enumerate(items):
        label = f"{kind.value}-{index + 1}"
        commands.append(
            Command(
                label=label,
                kind=kind,
                name=item.name or label,
                run=item.run.strip(),
                cwd=item.cwd if "cwd" in item.model_fields_set else cwd,
                env=tuple(sorted(item.env.items())),
                timeout=item.timeout if "timeout" in item.model_fields_set else None,
                location=Location(file, *source.place(f"{inner}/{index}")),
            )
        )
    return commands


def _network(hosts: tuple[str, ...]) -> Network:
    return Network(any_host=True) if "*" in hosts else Network(hosts=tuple(sorted(set(hosts))))


def _without_fractions(value: Value) -> Value:
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, Mapping):
        return {key: _without_fractions(inner) for key, inner in value.items()}
    if isinstance(value, tuple):
        return tuple(_without_fractions(item) for item in value)
    return value
