"""Prove that a change was needed: run acceptance over the base's code under the result's judge, and
over the result without one hunk at a time.

Asked only where `require` names it. Decides nothing itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from factory.git.ports import Objects
from factory.judge.half_code import with_judge_of
from factory.judge.hunks import Hunk, hunks_of, without
from factory.judge.old_judge import Touched, place_of
from factory.judge.path_guard import display
from factory.model.command_kind import Trait
from factory.model.finding import Finding
from factory.model.findings.entry import Facts
from factory.model.judged import HunkRecord, OutcomeName
from factory.model.pack import Command, TaskPack
from factory.model.tree import MODE_EXECUTABLE, MODE_FILE, Difference, Leaf, Tree
from factory.plan.plan import PlannedPack
from factory.run.attempt import Frozen, Machine, OnRan, Ran
from factory.run.running_again import outcome_of, run_again

MOST_HUNKS = 64
"""Hunks that are left out, one acceptance each; a change with more is not proved."""
_FILES = (MODE_FILE, MODE_EXECUTABLE)
_FIRST = 3  # hunks that a finding names


@dataclass(frozen=True, slots=True)
class Before:
    """Describe acceptance over the base's code: a word for each label, and all that ran."""

    words: dict[str, OutcomeName]
    runs: tuple[Ran, ...]


def ask_before(
    machine: Machine,
    planned: PlannedPack,
    frozen: Frozen,
    files: Iterable[Touched],
    on_ran: OnRan,
) -> Before:
    """Run acceptance over the base's code with the result's judge, and once more where a check
    fails: what fails and then does not is flaky.
    """
    commands = planned.pack.acceptance
    view = _with_new_judge(machine.objects, frozen.before, files)
    runs = list(run_again(machine, planned, view, "before", commands, on_ran))
    words = {each.label: outcome_of(ran) for each, ran in zip(commands, runs, strict=True)}
    if "broken" in words.values():
        again = run_again(machine, planned, view, "again", commands, on_ran)
        for command, ran in zip(commands, again, strict=True):
            if words[command.label] == "broken":
                words[command.label] = "flaky" if outcome_of(ran) == "ok" else "fixed"
        runs += again
    return Before(words, tuple(runs))


def _with_new_judge(objects: Objects, base: Tree, files: Iterable[Touched]) -> Tree:
    """Return the base with the judge of the result, permitted or not."""
    changes: dict[str, Leaf | None] = {}
    for each in files:
        before, after = each.difference.before, each.difference.after
        changes[each.path] = after
        if each.half and after is not None and after.mode in _FILES:
            old = before.oid if before is not None and before.mode in _FILES else ""
            contents = objects.read({after.oid, *([old] if old else [])})
            made = with_judge_of(each.path, contents[after.oid], contents[old] if old else b"")
            if made is not None:
                changes[each.path] = Leaf(after.mode, objects.write_blob(made))
    gone = base.changed({path: None for path, leaf in changes.items() if leaf is None})
    return gone.changed({path: leaf for path, leaf in changes.items() if leaf is not None})


def judge_fixed(planned: PlannedPack, words: dict[str, OutcomeName]) -> tuple[Finding, ...]:
    """Return NOT_FIXED unless a check that may show a repair failed before the work."""
    asked = [each for each in planned.pack.acceptance if _may_show(each, planned.lock.judge.fixed)]
    if any(words.get(each.label) == "fixed" for each in asked):
        return ()
    facts: Facts = {"case": "unnamed"}
    if asked:
        shown = tuple(f"{each.label} {words.get(each.label, 'not-asked')}" for each in asked)
        facts = {"case": "none", "checks": shown}
    return (Finding("NOT_FIXED", facts, pack=planned.pack.id, location=place_of(planned.pack)),)


def _may_show(command: Command, named: tuple[str, ...]) -> bool:
    counts = bool(command.kind.traits & Trait.COUNTS_TESTS)
    return counts or command.label in named or command.name in named


@dataclass(frozen=True, slots=True)
class Hunks:
    """Describe acceptance without each hunk: the records, findings, and all that ran."""

    records: tuple[HunkRecord, ...]
    findings: tuple[Finding, ...]
    runs: tuple[Ran, ...]


def ask_without_hunks(
    machine: Machine,
    planned: PlannedPack,
    frozen: Frozen,
    files: Iterable[Touched],
    on_ran: OnRan,
) -> Hunks:
    """Run acceptance without each hunk of what is no file of the judge. Some check must fail each
    time.
    """
    judge = {each.path for each in files}
    changes = [change for change in frozen.differences if change.path not in judge]
    records: list[HunkRecord] = []
    runs: list[Ran] = []
    for number, (change, hunk, view) in enumerate(
        _views(machine.objects, frozen.after, changes), 1
    ):
        if number > MOST_HUNKS:
            facts: Facts = {"case": "budget", "budget": MOST_HUNKS}
            return Hunks(tuple(records), (_unproved(planned.pack, facts),), tuple(runs))
        ran = run_again(machine, planned, view, f"hunk-{number}", planned.pack.acceptance, on_ran)
        runs += ran
        pairs = zip(planned.pack.acceptance, ran, strict=True)
        failed = next((each.label for each, one in pairs if one.logged.record.rc != 0), "")
        records.append(
            HunkRecord(path=display(change.path), line=hunk.line, lines=hunk.lines, failed=failed)
        )
    unproved = [f"{row.path}:{row.line}" for row in records if not row.failed]
    if not unproved:
        return Hunks(tuple(records), (), tuple(runs))
    facts = {"case": "hunks", "count": len(unproved), "first": tuple(unproved[:_FIRST])}
    return Hunks(tuple(records), (_unproved(planned.pack, facts),), tuple(runs))


def _views(
    objects: Objects, result: Tree, changes: Iterable[Difference]
) -> Iterator[tuple[Difference, Hunk, Tree]]:
    """Yield each hunk with the result without it."""
    for change in changes:
        before, after = change.before, change.after
        if before is None or after is None or {before.mode, after.mode} - set(_FILES):
            yield change, Hunk(0, 0, 0, 0), result.changed({change.path: before})
            continue
        contents = objects.read({before.oid, after.oid})
        old, new = contents[before.oid], contents[after.oid]
        for hunk in hunks_of(old, new):
            content = without(old, new, hunk)
            mode = before.mode if content == old else after.mode
            leaf = Leaf(mode, objects.write_blob(content))
            yield change, hunk, result.changed({change.path: leaf})


def _unproved(pack: TaskPack, facts: Facts) -> Finding:
    return Finding("HUNK_UNPROVED", facts, pack=pack.id, location=place_of(pack))
