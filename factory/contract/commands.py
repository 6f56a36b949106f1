"""Define a command as contracts write it: one line of shell, or a mapping, or a list of both.

Pure. Does not know which keys list commands (`model.command_kind`), nor what runs them.
"""

from collections.abc import Iterator
from types import MappingProxyType
from typing import Annotated

from factory.contract.document_parts import (
    CommandText,
    Duration,
    FixedEnvironment,
    Folder,
    Line,
    Part,
    one_or_many,
    unexpected,
)
from factory.contract.written import Breach, Written
from factory.judge.scope import problem_with_pattern
from factory.model.command_kind import CommandKind
from factory.model.pack import Command
from factory.model.wording import quoted
from factory.strict.document import BeforeValidator, Field


class CommandItem(Part):
    """Define one command in its long form."""

    run: CommandText = Field(description="The shell command.")
    name: Line = Field("", description="What to call it in reports.")
    cwd: Folder = Field("", description="Folder from the root of the workspace.")
    env: FixedEnvironment = Field(
        default_factory=lambda: MappingProxyType({}), description="Fixed variables."
    )
    timeout: Duration = Field(
        0, description="Seconds, or text such as 90s or 10m; absent: limits.timeout."
    )


class StepItem(CommandItem):
    """Define one step in its long form."""

    transcript: Line = Field(
        "",
        description="Where its output is kept as an artifact, as it was but for credentials: a path"
        " from the pack's folder, or from the workspace with a leading /.",
    )


def _command(value: object) -> object:
    if isinstance(value, str):
        return {"run": value}
    if not isinstance(value, dict):
        raise unexpected("a command", "write the command in quotes, or a mapping with run")
    return value


CommandEntry = Annotated[
    CommandItem, BeforeValidator(_command, json_schema_input_type=CommandText | CommandItem)
]
Commands = Annotated[
    tuple[CommandEntry, ...],
    BeforeValidator(
        one_or_many, json_schema_input_type=CommandText | tuple[CommandText | CommandItem, ...]
    ),
]


Step = Annotated[StepItem, BeforeValidator(_command, json_schema_input_type=CommandText | StepItem)]
Steps = Annotated[
    tuple[Step, ...],
    BeforeValidator(
        one_or_many, json_schema_input_type=CommandText | tuple[CommandText | StepItem, ...]
    ),
]


def transcript_of(item: CommandItem, folder: str) -> str:
    """Return where a command's output is kept, from the workspace root; "" for nowhere."""
    path = item.transcript if isinstance(item, StepItem) else ""
    return path if not path else path[1:] if path.startswith("/") else f"{folder}/{path}"


def transcript_breaches(items: tuple[StepItem, ...], written: Written) -> Iterator[Breach]:
    """Yield what is no path of one file, and what two steps name."""
    seen: set[str] = set()
    for index, item in enumerate(items):
        path = transcript_of(item, written.folder)
        problem = problem_with_pattern(path) if path else ""
        if path and (set(path) & set("*?") or path.endswith("/")):
            problem = "is no path of one file; write one as in /.agent/events.jsonl"
        if path in seen:
            problem = "is that of another step; give each its own"
        if path and problem:
            clause, _, hint = problem.partition("; ")
            place = f"/steps/{index}/transcript"
            yield written.breach(place, f"{quoted(item.transcript)} {clause}", hint)
        seen |= {path} if path else set()


def commands_of(
    kind: CommandKind, items: tuple[CommandItem, ...], written: Written, cwd: str = ""
) -> tuple[Command, ...]:
    """Return the commands of one kind, numbered from 1; `cwd` is where they run by default."""
    outer = f"/{kind.key}"
    inner = f"{outer}/commands"
    pointer = inner if inner in written.source.places else outer
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
                transcript=transcript_of(item, written.folder),
                location=written.location(f"{pointer}/{index}"),
            )
        )
    return tuple(commands)
