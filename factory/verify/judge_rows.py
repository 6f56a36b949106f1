"""Define what documents say of the judge, as this checker understands them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from factory.verify.contract import KINDS
from factory.verify.form import AtLeast, Like

Label = Annotated[str, Like(rf"(?:{'|'.join(KINDS)})-[1-9][0-9]*")]
Texts = tuple[str, ...]
Requirement = Literal["judge", "change", "fixed", "every-hunk"]
OutcomeName = Literal["ok", "fixed", "broken", "pre-existing", "flaky", "ran-no-test", "not-asked"]

AfterName = Literal["ok", "broken", "ran-no-test", "not-run"]


@dataclass(frozen=True, slots=True)
class JudgeFileRow:
    """Record one changed file of the judge."""

    path: str
    role: Literal["test", "configuration"]
    change: Literal["added", "modified", "removed"]
    permitted: bool


@dataclass(frozen=True, slots=True)
class JudgedCheckRow:
    """Record what a check says on the base's code, and under the judge as it was."""

    label: Label
    before: OutcomeName
    old_judge: OutcomeName


@dataclass(frozen=True, slots=True)
class JudgeRunRow:
    """Record one command that ran to ask the judge."""

    label: str
    rc: int
    ended: Literal["exited", "signalled", "timeout", "memory", "output", "cancelled"]


@dataclass(frozen=True, slots=True)
class AskedRow:
    """Record what one acceptance check says, before and after."""

    label: Label
    after: AfterName
    before: OutcomeName
    old_judge: OutcomeName


@dataclass(frozen=True, slots=True)
class MergedJudgeRow(JudgeRunRow):
    """Record one command that asked the judge about the merged tree."""

    pack: str


@dataclass(frozen=True, slots=True)
class HunkRow:
    """Record one hunk that was left out, and the first check that fails without it."""

    path: str
    line: Annotated[int, AtLeast(0)]
    lines: Annotated[int, AtLeast(0)]
    failed: str


@dataclass(frozen=True, slots=True)
class JudgedRow:
    """Record what was asked of the judge."""

    files: tuple[JudgeFileRow, ...]
    checks: tuple[JudgedCheckRow, ...]
    runs: tuple[JudgeRunRow, ...]
    retired: Texts
    hunks: tuple[HunkRow, ...]


@dataclass(frozen=True, slots=True)
class JudgeRow:
    """Record what judges a pack in addition to its commands, and what it may change of that."""

    patterns: Texts
    may_change: Texts
    retires: Texts
    require: tuple[Requirement, ...]
    fixed: Texts


@dataclass(frozen=True, slots=True)
class JudgeRules:
    """Record what the configuration says of the judge."""

    patterns: Texts
    require: tuple[Requirement, ...]
    may_change: tuple[Texts, ...]
    retry: Literal["allow", "block"]
    contracts: Literal["open", "pinned"]


@dataclass(frozen=True, slots=True)
class PlannedJudge:
    """Record the judge in force."""

    patterns: Texts
    tests: Texts
    shadowed: Texts
    require: tuple[Requirement, ...]
    may_change: tuple[Texts, ...]
    retry: Literal["allow", "block"]
    contracts: Literal["open", "pinned"]
