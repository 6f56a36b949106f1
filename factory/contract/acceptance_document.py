"""Define acceptance.yml, version 1, as written: the commands that decide if a result is accepted.

Only shapes are checked here.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from factory.contract.document_parts import (
    CommandItem,
    Commands,
    CommandText,
    Part,
    Texts,
    Version,
    text_or_list_as,
)


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


class AcceptanceDocument(Part):
    """Define acceptance.yml: all commands run, all are required."""

    version: Version = Field(1, description="Version of this format.")
    format: GroupEntry = Field(
        default_factory=CommandGroup, description="Formatting checks, run at the root."
    )
    lint: GroupEntry = Field(default_factory=CommandGroup, description="Linters, run at the root.")
    tests: GroupEntry = Field(default_factory=CommandGroup, description="Tests, run at the root.")
    checks: Commands = Field((), description="Named checks, run at the root.")
    must: Commands = Field((), description="Commands run in the pack's folder.")
    deps: Texts = Field((), description="Packages to fetch; empty unless the network is declared.")
