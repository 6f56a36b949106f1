"""List the kinds of commands: one table for parser, schemas, plan, run and reports.

Pure. Does not know what a command runs. `verify` has a table of its own.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Literal


class Trait(enum.Flag):
    """Mark what sets one kind of command apart from others."""

    NONE = 0
    GROUPED = enum.auto()  # may be written as a mapping with `commands`
    IN_PACK_FOLDER = enum.auto()  # runs there unless `cwd` says otherwise; others run at the root
    COUNTS_TESTS = enum.auto()  # a test runner's closing line may lower the verdict


class CommandKind(enum.Enum):
    """List every kind of command, in the order in which a pack's commands run.

    A row is the stem of labels and logs (`tests-2`), the key in task.yml or acceptance.yml, the
    key's description, and its traits. Parser, schemas, plan, run and reports follow from this
    table.

    >>> CommandKind("check").key
    'checks'
    """

    _value_: str
    key: str
    description: str
    traits: Trait

    STEP = "step", "steps", "The work; may be empty when the pack only validates."
    FORMAT = "format", "format", "Formatting checks, run at the root.", Trait.GROUPED
    LINT = "lint", "lint", "Linters, run at the root.", Trait.GROUPED
    TESTS = "tests", "tests", "Tests, run at the root.", Trait.GROUPED | Trait.COUNTS_TESTS
    CHECK = "check", "checks", "Named checks, run at the root."
    MUST = "must", "must", "Commands run in the pack's folder.", Trait.IN_PACK_FOLDER

    def __new__(
        cls, stem: str, key: str, description: str, traits: Trait = Trait.NONE
    ) -> CommandKind:
        """Return the member of one row; its value is the stem."""
        member = object.__new__(cls)
        member._value_ = stem
        member.key, member.description, member.traits = key, description, traits
        return member


ACCEPTANCE_KINDS = tuple(kind for kind in CommandKind if kind is not CommandKind.STEP)
"""The kinds of acceptance.yml: all run, all are required."""

if TYPE_CHECKING:
    KindName = str
else:
    KindName = Literal[tuple(kind.value for kind in CommandKind)]
"""The name of a kind in a document of evidence."""
