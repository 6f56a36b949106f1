"""Define a command as contracts write it: one line of shell, or a mapping, or a list of both.

Pure. Does not know which keys list commands (`model.command_kind`), nor what runs them.
"""

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
from factory.contract.written import Written
from factory.model.command_kind import CommandKind
from factory.model.pack import Command
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
                location=written.location(f"{pointer}/{index}"),
            )
        )
    return tuple(commands)
