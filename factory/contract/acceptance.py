"""Define acceptance.yml, version 1: the commands that decide if a result is accepted.

The kinds are rows of `model.command_kind`; another row is another key here and in the schema.
Pure. Does not know what ran.
"""

from collections.abc import Iterator
from typing import Annotated, Any

from factory.contract.commands import CommandItem, Commands, commands_of
from factory.contract.document_parts import CommandText, Part, Texts, Version, text_or_list_as
from factory.contract.written import Breach, Written
from factory.model.command_kind import ACCEPTANCE_KINDS, CommandKind, Trait
from factory.model.pack import Command
from factory.strict.document import BeforeValidator, Field


class CommandGroup(Part):
    """List the commands of one kind of check."""

    commands: Commands = Field((), description="Shell commands; each must end with 0.")


GroupEntry = Annotated[
    CommandGroup,
    BeforeValidator(
        text_or_list_as("commands"),
        json_schema_input_type=CommandText | tuple[CommandText | CommandItem, ...] | CommandGroup,
    ),
]


class Acceptance(Part):
    """Define the keys of acceptance.yml that are no kind of command."""

    version: Version = Field(1, description="Version of this format.")
    deps: Texts = Field((), description="Packages to fetch; empty unless the network is declared.")

    def commands(self, written: Written) -> tuple[Command, ...]:
        """Return all commands in the order of their kinds."""
        found: list[Command] = []
        for kind in ACCEPTANCE_KINDS:
            listed = getattr(self, kind.key)
            items = listed.commands if kind.traits & Trait.GROUPED else listed
            cwd = written.folder if kind.traits & Trait.IN_PACK_FOLDER else ""
            found += commands_of(kind, items, written, cwd)
        return tuple(found)

    def breaches(self, written: Written, network: bool) -> Iterator[Breach]:
        """Yield what contradicts; `network` is True if the pack declares any network."""
        if not self.commands(written):
            yield Breach("PACK_NO_ACCEPTANCE", {}, 1, 1)
        if self.deps and not network:
            clause = "packages are listed, and constraints.allow_network is false"
            yield written.breach("/deps", clause, "remove them, or declare the hosts")


def _key(kind: CommandKind) -> tuple[Any, Any]:
    if kind.traits & Trait.GROUPED:
        return GroupEntry, Field(default_factory=CommandGroup, description=kind.description)
    return Commands, Field((), description=kind.description)


_KEYS: dict[str, tuple[Any, Any]] = {kind.key: _key(kind) for kind in ACCEPTANCE_KINDS}

AcceptanceDocument: type[Acceptance] = type(
    "AcceptanceDocument",
    (Acceptance,),
    {
        "__module__": __name__,
        "__doc__": "Define acceptance.yml: all commands run, all are required.",
        "__annotations__": {key: hint for key, (hint, _) in _KEYS.items()},
        **{key: field for key, (_, field) in _KEYS.items()},
    },
)
