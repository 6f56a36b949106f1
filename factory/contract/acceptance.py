"""Define acceptance.yml, version 1: the commands that decide if a result is accepted.

The kinds are rows of `model.command_kind`; another row is another key here and in the schema.
Pure. Does not know what ran.
"""

from collections.abc import Iterator
from typing import Annotated, Any

from factory.contract.commands import CommandItem, Commands, commands_of
from factory.contract.document_parts import (
    CommandText,
    Part,
    Patterns,
    Texts,
    Version,
    one_or_many,
    text_or_list_as,
)
from factory.contract.written import DEPS_WITHOUT_NETWORK, Breach, Written
from factory.model.command_kind import ACCEPTANCE_KINDS, CommandKind, Trait
from factory.model.pack import Command, Constraints, Expectation, JudgeContract, Requirement
from factory.model.wording import quoted
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


Requirements = Annotated[
    tuple[Requirement, ...],
    BeforeValidator(one_or_many, json_schema_input_type=Requirement | tuple[Requirement, ...]),
]


class Acceptance(Part):
    """Define the keys of acceptance.yml that are no kind of command."""

    version: Version = Field(1, description="Version of this format.")
    deps: Texts = Field((), description="Packages to fetch; empty unless the network is declared.")
    allow_network: bool = Field(
        False, description="true: acceptance reaches the hosts of constraints.allow_network too."
    )
    allow_cloud_mutations: bool = Field(
        False, description="true: acceptance has the user's credentials that steps have, too."
    )
    judge: Patterns = Field((), description="Patterns of more files that belong to the judge.")
    may_change: Patterns = Field(
        (), description="Patterns of files of the judge that the pack is meant to change."
    )
    retires: Texts = Field((), description="Ids of tests that may go; * for any.")
    require: Requirements = Field((), description="What a PASS must have shown.")
    fixed: Texts = Field(
        (),
        description="Labels or names of checks that may show a repair, in addition to the tests.",
    )

    @property
    def networked(self) -> bool:
        """Return whether acceptance has network; packages to fetch say so in the older form."""
        return self.allow_network or bool(self.deps)

    def judging(self) -> JudgeContract:
        """Return what judges the pack in addition to its commands."""
        return JudgeContract(
            patterns=tuple(dict.fromkeys(self.judge)),
            may_change=tuple(dict.fromkeys(self.may_change)),
            retires=tuple(dict.fromkeys(self.retires)),
            require=tuple(dict.fromkeys(self.require)),
            fixed=tuple(dict.fromkeys(self.fixed)),
        )

    def commands(self, written: Written) -> tuple[Command, ...]:
        """Return all commands in the order of their kinds."""
        found: list[Command] = []
        for kind in ACCEPTANCE_KINDS:
            listed = getattr(self, kind.key)
            items = listed.commands if kind.traits & Trait.GROUPED else listed
            cwd = written.folder if kind.traits & Trait.IN_PACK_FOLDER else ""
            found += commands_of(kind, items, written, cwd)
        return tuple(found)

    def breaches(
        self, written: Written, rights: Constraints, expect: Expectation
    ) -> Iterator[Breach]:
        """Yield what contradicts; `rights` are those that the pack asks for, `expect` what it
        promises of its change.
        """
        commands = self.commands(written)
        if not commands:
            yield Breach("PACK_NO_ACCEPTANCE", {}, 1, 1)
        yield from written.patterns("/judge", "/may_change")
        if "change" in self.require and expect == "no_change":
            clause = "change is required, and task.yml says expect: no_change"
            yield written.breach("/require", clause, "remove one of them")
        if self.fixed and "fixed" not in self.require:
            clause = "checks are named, and require does not name fixed"
            yield written.breach("/fixed", clause, "write require: [fixed]")
        known = {name for command in commands for name in (command.label, command.name)}
        for name in (name for name in self.fixed if name not in known):
            hint = "write the label or the name of one, as in tests-1"
            yield written.breach("/fixed", f"{quoted(name)} is no check of this file", hint)
        if self.allow_network and not rights.network.declared:
            clause = "acceptance has network, and constraints.allow_network is false"
            yield written.breach("/allow_network", clause, "remove it, or declare the hosts")
        if self.allow_cloud_mutations and not (rights.cloud.declared and self.networked):
            clause = "acceptance has credentials, and not both of constraints.allow_cloud_mutations"
            clause += " and allow_network"
            yield written.breach("/allow_cloud_mutations", clause, "remove it, or declare both")
        if self.deps and not rights.network.declared:
            yield written.breach("/deps", *DEPS_WITHOUT_NETWORK)


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
