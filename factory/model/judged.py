"""Define what documents of the evidence say of the judge: the contract's lock, policy and plan, and
a bundle's STATUS.json.
"""

from typing import Literal

from factory.model.pack import Requirement
from factory.strict.document import Document

OutcomeName = Literal["ok", "fixed", "broken", "pre-existing", "flaky", "ran-no-test", "not-asked"]
"""The words for what a check says of another tree or under another judge."""
AfterName = Literal["ok", "broken", "ran-no-test", "not-run"]
"""The words for what a check says of a pack's own result."""


class JudgeLock(Document):
    """Record what judges a pack in addition to its commands: its own `patterns`, what it may
    change and retire, what policy and contract require together, and checks that may show a repair.
    """

    patterns: tuple[str, ...] = ()
    may_change: tuple[str, ...] = ()
    retires: tuple[str, ...] = ()
    require: tuple[Requirement, ...] = ()
    fixed: tuple[str, ...] = ()


class JudgePolicy(Document):
    """Record `[judge]` of the configuration; each of `may_change` is a list that bounds what
    contracts may let change.
    """

    patterns: tuple[str, ...] = ()
    require: tuple[Requirement, ...] = ()
    may_change: tuple[tuple[str, ...], ...] = ()
    retry: Literal["allow", "block"] = "allow"
    contracts: Literal["open", "pinned"] = "open"


class PlannedJudge(Document):
    """Record the judge in force for every pack: patterns of its files, those of tests among them,
    modules of the standard library that no new file may come before, and what policy says of it.

    What one pack adds is in its `scope.judge`. The first of `action.judge` is this record's digest.
    """

    patterns: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    shadowed: tuple[str, ...] = ()
    require: tuple[Requirement, ...] = ()
    may_change: tuple[tuple[str, ...], ...] = ()
    retry: Literal["allow", "block"] = "allow"
    contracts: Literal["open", "pinned"] = "open"


class JudgeFileRecord(Document):
    """Record one changed file of the judge; `permitted` by the contract's `may_change`, within the
    bounds of policy.
    """

    path: str
    role: Literal["test", "configuration"]
    change: Literal["added", "modified", "removed"]
    permitted: bool


class JudgedCheckRecord(Document):
    """Record what an acceptance check says on the base's code (`before`) and of the result under
    the judge as it was (`old_judge`).
    """

    label: str
    before: OutcomeName = "not-asked"
    old_judge: OutcomeName = "not-asked"


class AskedRecord(Document):
    """Record what one acceptance check says: of the result (`after`), of the base's code under the
    result's judge (`before`), and of the result under the judge as it was (`old_judge`).
    """

    label: str
    after: AfterName
    before: OutcomeName
    old_judge: OutcomeName


class JudgeRunRecord(Document):
    """Record one command that ran to ask the judge. Its label is that of its log: the check's own
    after `old.` (the result under the old judge), `base.` (the base), `result.` (the result, its
    tests named), `before.` and `again.` (the base's code under the result's judge), or `hunk-1.`
    (the result without its first hunk).
    """

    label: str
    rc: int
    ended: Literal["exited", "signalled", "timeout", "memory", "output", "cancelled"]


class MergedJudgeRecord(JudgeRunRecord):
    """Record one command that ran to ask the judge about the merged tree, for one pack. Its log is
    that of `PACK.LABEL` in the integrator's folder.
    """

    pack: str


class HunkRecord(Document):
    """Record one hunk that was left out: its first line in the new file, how many lines it has (0:
    the whole file), and the first check that fails without it ("": none does).
    """

    path: str
    line: int
    lines: int
    failed: str


class JudgedRecord(Document):
    """Record what was asked of the judge: its changed files, each check, all that ran for it, and
    the tests that went by leave of `retires`.
    """

    files: tuple[JudgeFileRecord, ...] = ()
    checks: tuple[JudgedCheckRecord, ...] = ()
    runs: tuple[JudgeRunRecord, ...] = ()
    retired: tuple[str, ...] = ()
    hunks: tuple[HunkRecord, ...] = ()
