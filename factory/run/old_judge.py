"""Ask the old judge: run acceptance again over a result whose judge is as it was before the work,
and count over the base which tests ran.

Nothing runs where a change touches no file of the judge, or where acceptance failed already: such a
pack pays for nothing. Decides nothing itself (`judge.old_judge`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

from factory.git.ports import Objects
from factory.judge.acceptance import is_uncounted, judge_no_test
from factory.judge.half_code import same_judge, with_judge_of
from factory.judge.judge_set import JudgeSet, Role
from factory.judge.old_judge import (
    ANY_TEST,
    SUBJECT_TO,
    Permits,
    Touched,
    has_inline_tests,
    judge_changed,
    judge_fewer,
    judge_weakened,
    may_have_inline_tests,
    permits_of,
    touched,
    under_old_judge,
)
from factory.judge.path_guard import display
from factory.judge.runner_words import RunnerSays, counted
from factory.judge.seen_tests import SeenTests, seen_in
from factory.model.command_kind import CommandKind
from factory.model.finding import Finding
from factory.model.findings.entry import Facts
from factory.model.judged import (
    HunkRecord,
    JudgedCheckRecord,
    JudgedRecord,
    JudgeFileRecord,
    JudgeRunRecord,
    OutcomeName,
)
from factory.model.pack import Command
from factory.model.tree import MODE_EXECUTABLE, MODE_FILE, Difference, Leaf, Tree
from factory.plan.plan import PlannedPack
from factory.run.attempt import Frozen, Machine, OnRan, Ran
from factory.run.proving import ask_before, ask_without_hunks, judge_fixed
from factory.run.running_again import outcome_of, run_again

_FILES = (MODE_FILE, MODE_EXECUTABLE)
_FIRST = 3  # paths or tests that a remark names


@dataclass(frozen=True, slots=True)
class JudgeAnswer:
    """Describe what was asked of the judge: the record for the bundle, findings, and all commands
    that ran for it, by labels such as `old.tests-1`.
    """

    record: JudgedRecord
    findings: tuple[Finding, ...] = ()
    runs: tuple[Ran, ...] = ()


def judge_files(
    objects: Objects, judge_set: JudgeSet, permits: Permits, changes: Iterable[Difference]
) -> tuple[Touched, ...]:
    """Return the changed files of the judge. A half-code file is none if its judge's part is the
    same; where the old part can be set into the new file, that is stored.
    """
    found = touched(judge_set, permits, changes)
    halves = {each.path: each for each in found if each.half and _are_files(each)}
    if not halves:
        return found
    leaves = (leaf for each in halves.values() for leaf in _sides(each.difference) if leaf)
    contents = objects.read({leaf.oid for leaf in leaves})
    kept = []
    for each in found:
        if each.path not in halves:
            kept.append(each)
            continue
        old, new = (contents[leaf.oid] if leaf else b"" for leaf in _sides(each.difference))
        if not same_judge(each.path, old, new):
            kept.append(replace(each, old=_with_old_part(objects, each, old, new)))
    return tuple(kept)


def _sides(change: Difference) -> tuple[Leaf | None, Leaf | None]:
    return change.before, change.after


def _are_files(each: Touched) -> bool:
    return all(leaf is None or leaf.mode in _FILES for leaf in _sides(each.difference))


def _with_old_part(objects: Objects, each: Touched, old: bytes, new: bytes) -> Leaf | None:
    after = each.difference.after
    made = with_judge_of(each.path, old, new) if after is not None else None
    if made is None or after is None:
        return each.difference.before  # the whole file
    return Leaf(after.mode, objects.write_blob(made))


def run_under_old_judge(
    machine: Machine,
    planned: PlannedPack,
    result: Tree,
    files: tuple[Touched, ...],
    on_ran: OnRan,
) -> dict[str, Ran]:
    """Run acceptance over `result` under the old judge; return what ran by the check's own label.

    Checks under `format` and `lint` see other files than the remaining ones, so each of the two
    groups has a view of its own, if their views differ. A group whose view is the result is not
    asked.
    """
    commands = planned.pack.acceptance
    whole = under_old_judge(result, files, CommandKind.TESTS)
    config = under_old_judge(result, files, CommandKind.FORMAT)
    found: dict[str, Ran] = {}
    subject = {each.label for each in commands if each.kind in SUBJECT_TO}
    if whole.oid == config.oid:
        ran = run_again(machine, planned, whole, "old", commands, on_ran)
        return {each.label: one for each, one in zip(commands, ran, strict=True)}
    others = tuple(each for each in commands if each.label not in subject)
    if others:
        ran = run_again(machine, planned, whole, "old", others, on_ran)
        found |= {each.label: one for each, one in zip(others, ran, strict=True)}
    first = tuple(each for each in commands if each.label in subject)
    if first and config.oid != result.oid:
        ran = run_again(machine, planned, config, "old", first, on_ran)
        found |= {each.label: one for each, one in zip(first, ran, strict=True)}
    return found


@dataclass(frozen=True, slots=True)
class OldJudge:
    """Describe what the old judge says of a result: each check that was asked, findings, all that
    ran, and the tests that went by leave of a contract.
    """

    old: Mapping[str, Ran]
    findings: tuple[Finding, ...] = ()
    runs: tuple[Ran, ...] = ()
    retired: tuple[str, ...] = ()


def ask_old_judge(
    machine: Machine,
    planned: PlannedPack,
    trees: tuple[Tree, Tree],
    files: tuple[Touched, ...],
    checks: tuple[Ran, ...],
    permits: Permits,
    on_ran: OnRan,
    *,
    inline_tests: bool = False,
    tree: Literal["own", "merged"] = "own",
) -> OldJudge:
    """Run what the changed `files` of the judge demand. `trees` are the base and the result, both
    as the pack sees them; `checks` are acceptance over the result, all at 0.
    """
    pack, (base, result) = planned.pack, trees
    findings: list[Finding] = []
    runs: list[Ran] = []
    old: dict[str, Ran] = {}
    if not all(each.permitted for each in files):
        old = run_under_old_judge(machine, planned, result, files, on_ran)
        runs += old.values()
        findings += [
            judge_changed(pack, permits, files, command, tree)
            for command in pack.acceptance
            if command.label in old and old[command.label].logged.record.rc != 0
        ]
    retired: tuple[str, ...] = ()
    if inline_tests or any(each.permitted for each in files):
        weakened = _Weakened(machine, planned, checks, permits, on_ran)
        weakened.compare(base, result)
        runs += weakened.runs
        findings += weakened.findings
        retired = tuple(sorted(weakened.retired))
    return OldJudge(old, tuple(findings), tuple(runs), retired)


def ask_judge(
    machine: Machine,
    planned: PlannedPack,
    frozen: Frozen,
    checks: tuple[Ran, ...],
    on_ran: OnRan,
    *,
    accepted: bool,
) -> JudgeAnswer:
    """Return what the judge says of a frozen change. `checks` are the acceptance commands as they
    ended; unless the change is `accepted` by them and by all else, nothing more is run.
    """
    require = planned.lock.judge.require
    if not frozen.differences and "fixed" not in require:
        return JudgeAnswer(_record((), checks, OldJudge({})))
    permits = permits_of((planned.lock.judge,), planned.judge.may_change)
    judge_set = planned.rules.judge.compiled
    files = judge_files(machine.objects, judge_set, permits, frozen.differences)
    if not accepted:
        return JudgeAnswer(_record(files, checks, OldJudge({})))
    changed = [each.path for each in files if each.permitted and each.difference.before is not None]
    old = ask_old_judge(
        *(machine, planned, (frozen.before, frozen.after), files, checks, permits, on_ran),
        inline_tests=_inline_tests(machine.objects, frozen.differences),
    )
    findings = [*_remark("JUDGE_PERMITTED", planned, changed), *old.findings]
    findings += _remark("TESTS_RETIRED", planned, old.retired)
    runs = [*old.runs]
    every = zip(planned.pack.acceptance, checks, strict=True)
    uncounted = [command for command, ran in every if is_uncounted(ran.findings)]
    if uncounted:
        base = [ran for ran in runs if ran.logged.record.label.startswith("base.")]
        if not base:
            commands = planned.pack.acceptance
            base += run_again(machine, planned, frozen.before, "base", commands, on_ran)
            runs += base
        findings += _uncounted(planned, uncounted, files, base)
    words: dict[str, OutcomeName] = {}
    hunks: tuple[HunkRecord, ...] = ()
    if "fixed" in require and not _blocked(findings):
        before = ask_before(machine, planned, frozen, files, on_ran)
        words = before.words
        runs += before.runs
        findings += judge_fixed(planned, words)
    if "every-hunk" in require and not _blocked(findings):
        left_out = ask_without_hunks(machine, planned, frozen, files, on_ran)
        hunks = left_out.records
        runs += left_out.runs
        findings += left_out.findings
    record = _record(files, checks, replace(old, runs=tuple(runs)), words, hunks)
    return JudgeAnswer(record, tuple(findings), tuple(runs))


def _blocked(findings: Iterable[Finding]) -> bool:
    return any(finding.blocks for finding in findings)


def _uncounted(
    planned: PlannedPack,
    commands: Iterable[Command],
    files: Iterable[Touched],
    base: Iterable[Ran],
) -> Iterator[Finding]:
    """Yield CHECK_RAN_NO_TEST for each command whose tests nothing counts, where the change touched
    what configures a runner, or where they were counted over the base.
    """
    touched_paths = [each.path for each in files if each.role is Role.CONFIGURATION]
    shown = tuple(map(display, touched_paths[:_FIRST]))
    logs = {ran.logged.record.label: ran.raw for ran in base}
    for command in commands:
        if shown:
            yield judge_no_test(planned.pack, command, "configured", paths=shown)
        elif counted(command, logs[f"base.{command.label}"]) is not RunnerSays.UNKNOWN:
            yield judge_no_test(planned.pack, command, "base")


def _inline_tests(objects: Objects, changes: Iterable[Difference]) -> bool:
    """Return whether a file that was there and changed has tests inside code."""
    before = {
        change.path: change.before.oid
        for change in changes
        if change.before is not None
        and change.before.mode in _FILES
        and may_have_inline_tests(change.path)
    }
    contents = objects.read(set(before.values())) if before else {}
    return any(has_inline_tests(path, contents[oid]) for path, oid in before.items())


class _Weakened:
    """Compare the tests that ran on the base with those of the result, check by check."""

    def __init__(
        self,
        machine: Machine,
        planned: PlannedPack,
        checks: tuple[Ran, ...],
        permits: Permits,
        on_ran: OnRan,
    ) -> None:
        self._machine, self._planned = machine, planned
        self._checks, self._permits, self._on_ran = checks, permits, on_ran
        self._commands = planned.pack.acceptance
        self.runs: list[Ran] = []
        self.findings: list[Finding] = []
        self.retired: set[str] = set()

    def compare(self, base: Tree, result: Tree) -> None:
        """Run acceptance over the base, and over the result again where its log names too few."""
        before = self._seen(base, "base")
        after = {
            command.label: seen_in(ran.raw)
            for command, ran in zip(self._commands, self._checks, strict=True)
        }
        if any(before[label].ran - seen.ran for label, seen in after.items()):
            after = self._seen(result, "result")
        for command in self._commands:
            self._judge(command, before[command.label], after[command.label])

    def _seen(self, tree: Tree, view: str) -> dict[str, SeenTests]:
        ran = run_again(
            *(self._machine, self._planned, tree, view, self._commands, self._on_ran), counting=True
        )
        self.runs += ran
        return {
            command.label: seen_in(one.raw)
            for command, one in zip(self._commands, ran, strict=True)
        }

    def _judge(self, command: Command, before: SeenTests, after: SeenTests) -> None:
        pack, permits = self._planned.pack, self._permits
        lost = sorted(before.ran - after.ran)
        gone = tuple(test for test in lost if not permits.retire(test))
        self.retired |= set(lost) - set(gone)
        if gone:
            self.findings.append(judge_weakened(pack, command, gone, permits))
        elif before.counted - max(after.counted, 0) > len(lost):  # names can be printed by tests
            if permits.retire(ANY_TEST):
                self.retired.add(ANY_TEST)
            else:
                found = judge_fewer(pack, command, before.counted, after.counted)
                self.findings.append(found)


def _remark(name: str, planned: PlannedPack, things: Sequence[str]) -> list[Finding]:
    """Return the remark about what the contract permits, if there is any."""
    if not things:
        return []
    first = tuple(display(thing) for thing in things[:_FIRST])
    facts: Facts = {"count": len(things), "first": first}
    return [Finding(name, facts, pack=planned.pack.id)]


def _record(
    files: Iterable[Touched],
    checks: Iterable[Ran],
    asked: OldJudge,
    words: Mapping[str, OutcomeName] = MappingProxyType({}),
    hunks: tuple[HunkRecord, ...] = (),
) -> JudgedRecord:
    old = asked.old
    return JudgedRecord(
        files=tuple(
            JudgeFileRecord(
                path=display(each.path),
                role=each.role.value,
                change=_kind(each.difference),
                permitted=each.permitted,
            )
            for each in files
        ),
        checks=tuple(
            JudgedCheckRecord(
                label=label,
                before=words.get(label, "not-asked"),
                old_judge=outcome_of(old[label]) if label in old else "not-asked",
            )
            for label in (ran.logged.record.label for ran in checks)
        ),
        runs=tuple(
            JudgeRunRecord(
                label=ran.logged.record.label,
                rc=ran.logged.record.rc,
                ended=ran.logged.record.ended,
            )
            for ran in asked.runs
        ),
        retired=tuple(display(test) for test in asked.retired),
        hunks=hunks,
    )


def _kind(change: Difference) -> Literal["added", "modified", "removed"]:
    if change.before is None:
        return "added"
    return "removed" if change.after is None else "modified"
