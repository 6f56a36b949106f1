"""Launch one pack to one bundle, as a value: a function of the planned pack, the tree that it
starts from and objects, whatever machine runs it.

Attempts start from a fresh base each; all are recorded; nothing is retried into green. Appends to
no ledger, writes no file of a run and replaces no bundle: the caller does, from the value. A pack
that ends in a refusal or a defect is a value too, with the logs and events up to there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import PurePosixPath

from factory.bundle.make import Attempted, PackChange, make_bundle, required_labels, unique
from factory.files.ports import Store
from factory.git.merged_view import Collected
from factory.git.narrowing import narrow
from factory.git.ports import Objects
from factory.judge.acceptance import failure_signature, judge_attempts, judge_expectation
from factory.judge.denials import denied
from factory.judge.judge import is_out_of_scope
from factory.judge.path_guard import display
from factory.judge.secrecy import silenced, silent
from factory.judge.status_eval import Check, evaluate, of_findings
from factory.model.egress_record import ConnectionRecord
from factory.model.errors import Refusal
from factory.model.event import Entry
from factory.model.events import (
    AttemptFinished,
    CheckFinished,
    JudgeFinished,
    PackAbandoned,
    PackFinished,
    StepFinished,
)
from factory.model.evidence import AttemptRecord, StatusDocument
from factory.model.evidence_text import format_document, parse_document, sha256
from factory.model.finding import Finding
from factory.model.layout import IN_BUNDLE, IN_RAW, AttemptFolder
from factory.model.tree import MODE_SUBMODULE, Tree
from factory.model.verdict import Status
from factory.plan.plan import Plan, PlannedPack
from factory.run import attempt
from factory.run.attempt import Frozen, Machine, Ran, reused_event
from factory.run.comparing import Compared
from factory.run.defects import defect
from factory.run.egress import During, Traffic
from factory.run.lesson import LESSON, lesson_of
from factory.run.old_judge import JudgeAnswer, ask_judge
from factory.run.paid import MadeCheck
from factory.run.reading import stacked_base

_LONGEST_REASON = 500
_COMMANDS = (StepFinished.event_type, CheckFinished.event_type, JudgeFinished.event_type)


@dataclass(frozen=True, slots=True)
class Launched:
    """Describe what came of one pack.

    `status` is that of its bundle, and None where it ended in a refusal or a defect: then
    `findings` say which. `files` are the bundle by path, `raw` what a run keeps besides, by path
    below `raw/`. `events` have no run yet, and no parent but one another: first those of the work,
    last one that closes the pack. `connections` are what it did over the network. `checks` are to
    be remembered; `foreign` are keys of remembered ones that this user did not seal.
    """

    status: StatusDocument | None
    findings: tuple[Finding, ...]
    files: Mapping[str, bytes]
    raw: Mapping[str, bytes]
    events: tuple[Entry, ...]
    connections: tuple[ConnectionRecord, ...] = ()
    checks: tuple[MadeCheck, ...] = ()
    foreign: frozenset[str] = frozenset()

    @property
    def verdict(self) -> Status:
        """Return the pack's verdict: its bundle's, or what its findings amount to."""
        if self.status is not None:
            return Status(self.status.status)
        return of_findings(self.findings)


def launch_of(plan: Plan, store: Store, machine: Machine, pack: str) -> Launched:
    """Run one pack of a plan on what it starts from: the base, with the bundles in `store` that it
    depends on. Raise KeyError, Refusal PLAN_DISAGREES.
    """
    planned = plan.planned(pack)
    try:
        base = stacked_base(store, machine.objects, plan, planned)
    except Exception as error:  # noqa: BLE001  a pack that was begun has an end in the ledger
        return broken_off(planned, machine, error)
    return launch(planned, base, machine)


def launch(planned: PlannedPack, base: Tree, machine: Machine) -> Launched:
    """Run one pack on `base`, the whole tree that it starts from (`stacked_base`)."""
    paid = machine.paid.apart() if machine.paid is not None else None
    machine = replace(machine, paid=paid)
    work = _Work(planned, machine)
    try:
        tried = _attempts(work, base)
        status, files = _bundle(machine, planned, tried)
        done = work.finished(status, files, tried)
        if paid is None:
            return done
        return replace(done, checks=tuple(paid.made), foreign=frozenset(paid.foreign))
    except Exception as error:  # noqa: BLE001  what ran before keeps its evidence
        return work.broken_off(error)


def broken_off(
    planned: PlannedPack, machine: Machine, error: Exception, launched: Launched | None = None
) -> Launched:
    """Return the value of a pack that ended by `error`, before its first command or, with what
    `launched` left, once it was over.
    """
    if launched is None:
        return _broken_off(planned, machine, error, {}, (), ())
    raw, work = dict(launched.raw), launched.events[:-1]
    return _broken_off(planned, machine, error, raw, work, launched.connections)


def _broken_off(
    planned: PlannedPack,
    machine: Machine,
    error: Exception,
    raw: dict[str, bytes],
    work: tuple[Entry, ...],
    connections: tuple[ConnectionRecord, ...],
) -> Launched:
    pack = planned.pack.id
    if isinstance(error, Refusal):
        findings, why = error.findings, error.sentence
    else:
        name = PurePosixPath(planned.pack.folder).name
        met = defect(machine.redactor, f"launch:{name}", error, pack)
        findings, why = (met.finding,), f"{type(error).__name__}: {error}"
        raw = {**raw, met.name: met.traceback}
    reason = silent(machine.redactor, display(why[:_LONGEST_REASON]))
    end = PackAbandoned(
        pack=pack,
        reason=reason,
        logs=sum(one.event_type in _COMMANDS for one in work),
        rc=of_findings(findings).exit_code,
    )
    return Launched(None, findings, {}, raw, _closed(work, end.entry()), connections)


def _closed(work: tuple[Entry, ...], end: Entry) -> tuple[Entry, ...]:
    """Return the events of a pack; the last one follows from its last attempt, where there is
    one.
    """
    kind = AttemptFinished.event_type
    attempts = [at for at, one in enumerate(work) if one.event_type == kind]
    after = len(work) - attempts[-1] if attempts else 0
    return (*work, replace(end, after=after))


@dataclass(frozen=True, slots=True)
class Tried:
    """Describe one attempt's whole result."""

    record: AttemptRecord
    steps: tuple[Ran, ...]
    checks: tuple[Ran, ...]
    frozen: Frozen
    judged: JudgeAnswer
    findings: tuple[Finding, ...]
    artifacts: tuple[tuple[str, bytes], ...]
    normalized: tuple[attempt.NormalizedArtifact, ...] = ()


class _Work:
    """Collect what a pack has left so far: commands, events and connections."""

    def __init__(self, planned: PlannedPack, machine: Machine) -> None:
        self.planned = planned
        self.machine = machine
        self.began = machine.clock.monotonic()
        self._commands: dict[int, list[Ran]] = {}
        self._events: list[Entry] = []
        self._traffic = Traffic(machine.redactor, planned.pack)
        self._lessons: dict[int, str] = {}

    def since(self, began: float) -> int:
        """Return whole milliseconds since a reading of the monotonic clock."""
        return int((self.machine.clock.monotonic() - began) * 1000)

    def ran(self, number: int, ran: Ran) -> None:
        """Take a command that ended in attempt `number`, after what it did over the network."""
        self._commands.setdefault(number, []).append(ran)
        record = ran.logged.record
        during: During = "steps" if record.kind == "step" else "acceptance"
        for event in self._traffic.add(during, number, ran.connections):
            self._add(event, ran.ended_at)
        asked = JudgeFinished if "." in record.label else CheckFinished
        ended = StepFinished if record.kind == "step" else asked
        command = ended(
            pack=self.planned.pack.id,
            attempt=number,
            label=record.label,
            ended=record.ended,
            log=sha256(ran.logged.log),
            duration_ms=ran.duration_ms,
            rc=record.rc,
        )
        if ran.reused:
            self._add(reused_event(self.planned.pack.id, number, ran), ran.ended_at)
        self._add(command.entry(), ran.ended_at)

    def learns(self, number: int, last: Tried | None) -> str:
        """Return what attempt `number` can read of the last one, and keep it with its logs; "" for
        nothing: where the contract does not ask for it, and where the backend cannot show it.
        """
        if last is None or not self.planned.pack.learn:
            return ""
        if self.machine.sandbox.measure().backend != "full":
            return ""
        ran, before = (*last.steps, *last.checks, *last.judged.runs), last.record.number
        text = lesson_of(self.machine.redactor, before, ran, last.findings)
        self._lessons[number] = text
        return text

    def judged(self, one: Tried, began: float) -> None:
        """Take an attempt that was judged."""
        event = AttemptFinished(
            pack=self.planned.pack.id,
            attempt=one.record.number,
            status=one.record.status,
            result_tree=one.record.result_tree,
            changed=len(one.frozen.differences),
            artifacts=len(one.artifacts),
            ignored=one.frozen.left_out.ignored,
            discarded=one.frozen.left_out.discarded,
            outside=one.frozen.left_out.outside,
            duration_ms=self.since(began),
            rc=Status(one.record.status).exit_code,
        )
        self._add(event.entry(), self.machine.clock.utc())

    def finished(
        self, status: StatusDocument, files: dict[str, bytes], tried: tuple[Tried, ...]
    ) -> Launched:
        """Return the value of a pack that has a bundle."""
        end = PackFinished(
            pack=self.planned.pack.id,
            status=status.status,
            action_key=self.planned.key,
            result_tree=status.result_tree,
            manifest=sha256(files[IN_BUNDLE.manifest]),
            changed=status.files_changed,
            artifacts=len(status.artifacts),
            duration_ms=self.since(self.began),
            rc=Status(status.status).exit_code,
        )
        raw = {**self._raw(), **_normalized(self.planned, tried)}
        found = denied(
            self.planned.pack.id,
            (
                (ran.logged.record.label, ran.tried)
                for one in tried
                for ran in (*one.steps, *one.checks, *one.judged.runs)
            ),
            (finding for one in tried for finding in one.findings),
            self.machine.redactor,
        )
        if found is not None:  # None where all could be seen and nothing was denied
            raw[IN_RAW.pack(self.planned.pack.id).denied] = format_document(found)
        events = _closed(tuple(self._events), end.entry())
        return Launched(status, (), files, raw, events, self._traffic.records)

    def broken_off(self, error: Exception) -> Launched:
        """Return the value of a pack that has no bundle: the logs so far, and why."""
        events = tuple(self._events)
        return _broken_off(
            self.planned, self.machine, error, self._raw(), events, self._traffic.records
        )

    def _add(self, entry: Entry, when: str) -> None:
        self._events.append(replace(entry, ts_utc=when))

    def _raw(self) -> dict[str, bytes]:
        """Return raw logs and timings: what is not deterministic, never hashed into a bundle."""
        raw = self._traffic.raw()
        for number, text in self._lessons.items():
            raw[_raw_folder(self.planned, number).learned] = text.encode("utf-8")
        for number, commands in self._commands.items():
            folder = _raw_folder(self.planned, number)
            timings = []
            for ran in commands:
                label = ran.logged.record.label
                raw[folder.log(label)] = ran.raw
                timings.append(f"{label}\t{ran.duration_ms}\t{ran.logged.record.ended}\n")
                if ran.defect is not None:
                    raw[ran.defect.name] = ran.defect.traceback
            raw[folder.timings] = "".join(timings).encode()
        return raw


def _attempts(work: _Work, base: Tree) -> tuple[Tried, ...]:
    tried: list[Tried] = []
    for number in range(1, work.planned.limits.attempts + 1):
        began = work.machine.clock.monotonic()
        one = _try(work, base, number, tried[-1] if tried else None)
        tried.append(one)
        work.judged(one, began)
        same_again = len(tried) > 1 and one.record.failure == tried[-2].record.failure
        if one.record.status == Status.PASS.value or same_again:
            break
    return tuple(tried)


def _try(work: _Work, base: Tree, number: int, last: Tried | None) -> Tried:
    planned, machine = work.planned, work.machine
    budget = attempt.Budget(machine.clock, planned.limits)
    heard = partial(work.ran, number)
    visible = narrow(base, planned.shows)
    machine.objects.write_tree(visible)
    machine.objects.write_tree(planned.shared)
    machine.objects.write_tree(planned.visible)  # so that `why` can name what changed in it
    lesson = work.learns(number, last)
    files = ((LESSON, lesson),) if lesson else ()
    steps, frozen = attempt.do_steps(
        machine, planned, base, planned.shared, visible, budget, heard, files=files
    )
    findings = [*(finding for ran in steps for finding in ran.findings), *frozen.findings]
    findings += attempt.judge_size(machine, planned, frozen)
    if not frozen.withheld:
        required = "change" in planned.lock.judge.require
        findings += judge_expectation(planned.pack, bool(frozen.differences), required)
    checks: tuple[Ran, ...] = ()
    collected: tuple[Collected, ...] = ()
    refused = frozen.withheld or is_out_of_scope(frozen.findings)
    if all(ran.logged.record.rc == 0 for ran in steps) and not refused:
        checks, collected = attempt.accept(
            machine, planned, planned.shared, frozen.after, budget, heard
        )
        findings += [finding for ran in checks for finding in ran.findings]
        artifacts, problems = attempt.judge_collected(machine, planned, frozen.artifacts, collected)
        findings += problems
    else:
        artifacts, _ = attempt.judge_collected(machine, planned, frozen.artifacts)
    failed = any(ran.logged.record.rc for ran in (*steps, *checks))
    accepted = bool(checks) and not failed and not any(found.blocks for found in findings)
    judged = ask_judge(machine, planned, frozen, checks, heard, accepted=accepted)
    findings += judged.findings
    artifacts, normalized, unnormal = attempt.normalize_collected(machine, planned, artifacts)
    findings = list(silenced(machine.redactor, (*findings, *unnormal)))
    ran = (*steps, *checks)
    status = evaluate(
        required_labels(planned.pack) if planned.pack.acceptance else (),
        (Check(one.logged.record.label, one.logged.record.rc) for one in ran),
        findings,
    )
    record = AttemptRecord(
        number=number,
        status=status.value,
        result_tree=frozen.after.oid,
        failure=failure_signature((one.logged.record, one.logged.log) for one in ran),
        learned=sha256(lesson.encode("utf-8")) if lesson else "",
    )
    return Tried(
        record,
        steps,
        checks,
        frozen,
        judged,
        unique(findings),
        tuple(sorted(artifacts.items())),
        normalized,
    )


def _bundle(
    machine: Machine, planned: PlannedPack, tried: tuple[Tried, ...]
) -> tuple[StatusDocument, dict[str, bytes]]:
    last = tried[-1]
    records = tuple(one.record for one in tried)
    most, retry = planned.limits.attempts, planned.judge.retry
    findings = unique((*last.findings, *judge_attempts(planned.pack, records, most, retry)))
    attempted = Attempted(
        pack=planned.pack,
        action=planned.action,
        key=planned.key,
        change=change_of(machine, planned, last.frozen),
        commands=tuple(one.logged for one in (*last.steps, *last.checks)),
        findings=findings,
        attempts=records,
        artifacts=dict(last.artifacts),
        judged=last.judged.record,
        judge_runs=tuple(one.logged for one in last.judged.runs),
    )
    status, files = make_bundle(attempted, planned.lock)
    parse_document(StatusDocument, files[IN_BUNDLE.status])  # what is written must read back
    return status, files


def change_of(machine: Machine, planned: PlannedPack, frozen: Frozen) -> PackChange:
    """Return the change in three forms: leaves, patch, and objects that carry it to another
    machine.
    """
    objects = machine.objects
    before, after = frozen.before, frozen.after
    oids = {
        leaf.oid
        for difference in frozen.differences
        for leaf in (difference.before, difference.after)
        if leaf is not None and leaf.mode != MODE_SUBMODULE
    }
    both = frozen.compared or _compared(objects, frozen)
    start = objects.write_commit(before.oid, (), f"what {planned.pack.id} could see\n")
    tip = objects.write_commit(after.oid, (start,), f"{planned.pack.id}: {planned.pack.title}\n")
    carried = objects.bundle(
        (start, tip), _carried(objects, planned, before, after), f"refs/codex/{planned.pack.id}"
    )
    return PackChange(
        base_tree=before.oid,
        result_tree=after.oid,
        differences=frozen.differences,
        patch=both.patch,
        lines=both.lines,
        digests={oid: one.sha256 for oid, one in objects.measured(oids).items()},
        objects=carried,
        left_out=frozen.left_out,
    )


def _compared(objects: Objects, frozen: Frozen) -> Compared:
    if not frozen.differences:
        return Compared({}, b"")
    before, after = frozen.before.oid, frozen.after.oid
    return Compared(objects.numstat(before, after), objects.patch(before, after))


def _carried(
    objects: Objects, planned: PlannedPack, before: Tree, after: Tree
) -> dict[str, tuple[str, bytes]]:
    """Return the objects that are not in the base, chosen by the action alone.

    That is everything beyond the visible part without the pack's own folder; and, where
    inputs narrow the view, every tree, since a narrowed folder is in no commit.
    """
    known = planned.visible.changed({planned.pack.folder: None})
    carried = {**objects.new_objects(before, known), **objects.new_objects(after, known)}
    if planned.shows.patterns is not None:
        carried |= {
            tree.oid: ("tree", tree.payload) for whole in (before, after) for tree in whole.trees()
        }
    return carried


def _raw_folder(planned: PlannedPack, number: int) -> AttemptFolder:
    return IN_RAW.pack(planned.pack.id).attempt(number)


def _normalized(planned: PlannedPack, tried: tuple[Tried, ...]) -> dict[str, bytes]:
    """Return normalized.tsv of each attempt whose artifacts were normalised."""
    return {
        _raw_folder(planned, one.record.number).normalized: "".join(
            map(_normalized_row, one.normalized)
        ).encode("utf-8")
        for one in tried
        if one.normalized
    }


def _normalized_row(one: attempt.NormalizedArtifact) -> str:
    """Path, form, digest before and after, and what was made constant or why nothing was."""
    made = one.made
    told = (
        f"left as it was: {made.problem}"
        if made.problem
        else "; ".join(made.changes) or "nothing to change"
    )
    digests = f"{sha256(one.before)}\t{sha256(made.content)}"
    return f"{display(one.path)}\t{made.form or '-'}\t{digests}\t{told}\n"
