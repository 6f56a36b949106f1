"""Launch: one pack to one bundle. A pure function of the action and the base's objects, whatever
machine runs it.

Attempts start from a fresh base each; all are recorded; nothing is retried into green. The bundle
is complete on disk before anything says that it exists; from the event that says so on, nothing of
it is run again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

from factory.bundle.make import Attempted, Change, make_bundle, required_labels, scope_lock, unique
from factory.git.narrowing import narrow
from factory.git.ports import Objects
from factory.judge.acceptance import failure_signature, judge_attempts
from factory.judge.denials import DENIED_FILE, denied
from factory.judge.path_guard import display
from factory.judge.secrecy import silenced, silent
from factory.judge.status_eval import Check, evaluate
from factory.model.errors import Refusal
from factory.model.evidence import AttemptRecord, StatusDocument
from factory.model.evidence_text import format_document, parse_document, sha256
from factory.model.finding import Finding
from factory.model.pack import TaskPack
from factory.model.properties import Enforcement
from factory.model.tree import MODE_SUBMODULE, Tree
from factory.model.verdict import Status
from factory.plan.action_key import bounded_limits
from factory.plan.planner import PlannedPack, Planner
from factory.plan.site import Session
from factory.run import attempt, egress
from factory.run.attempt import Frozen, Ran
from factory.run.comparing import Compared
from factory.run.reading import stacked_base
from factory.sandbox.ports import Collected

_LONGEST_REASON = 500


@dataclass(frozen=True, slots=True)
class Tried:
    """One attempt's whole result."""

    record: AttemptRecord
    steps: tuple[Ran, ...]
    checks: tuple[Ran, ...]
    frozen: Frozen
    findings: tuple[Finding, ...]
    artifacts: tuple[tuple[str, bytes], ...]
    normalized: tuple[attempt.NormalizedArtifact, ...] = ()


def launch(session: Session, planner: Planner, pack_id: str) -> StatusDocument:
    """Run one pack and put its bundle in place. Raises Refusal where it cannot even begin."""
    planned = planner.planned(pack_id)
    session.ensure_run()
    details, hashes = _in_force(
        session.site.sandbox.measure(planned.pack.constraints.network.declared)
    )
    cause = session.record(
        "pack.started",
        hashes={"action_key": planned.key, **hashes},
        details={"pack": pack_id, **details},
    )
    session.causes[pack_id] = cause
    heard: list[tuple[int, Ran]] = []
    try:
        return _launched(session, planner, planned, cause, heard)
    except Exception as error:
        # What stands there is of an earlier action, and no part of a run that tried this one; its
        # own run has it.
        session.site.store.remove(f"bundles/{pack_id}")
        with contextlib.suppress(
            Refusal
        ):  # a disk that takes no more is the very reason, and is told as such
            _keep_abandoned(session, pack_id, heard, error)
        raise


def _keep_abandoned(
    session: Session, pack_id: str, heard: list[tuple[int, Ran]], error: Exception
) -> None:
    """The logs of what ran, and an event: a pack that provokes a defect or a refusal leaves them
    all the same.
    """
    for number in sorted({number for number, _ in heard}):
        _keep_logs(session, pack_id, number, [ran for at, ran in heard if at == number])
    refused = isinstance(error, Refusal)
    why = (
        error.findings[0].message
        if isinstance(error, Refusal)
        else f"{type(error).__name__}: {error}"
    )
    session.causes[pack_id] = session.record(
        "pack.abandoned",
        parent=session.causes[pack_id],
        rc=(Status.BLOCKED if refused else Status.FAIL).exit_code,
        file_counts={"logs": len(heard)},
        details={
            "pack": pack_id,
            "reason": silent(session.site.redactor, display(why[:_LONGEST_REASON])),
        },
    )


def _launched(
    session: Session,
    planner: Planner,
    planned: PlannedPack,
    cause: str,
    heard: list[tuple[int, Ran]],
) -> StatusDocument:
    """`heard` is told each command as it ends, with the number of its attempt."""
    run_id, pack_id = session.run_id, planned.pack.id
    started = session.site.clock.monotonic()
    base = stacked_base(session.site, planner, planned)
    tried = _attempts(session, planned, base, cause, heard)
    status, files = _bundle(session, planner, planned, tried)
    _keep_raw(session, pack_id, tried)
    _keep_denied(session, run_id, pack_id, tried)
    session.site.store.replace_folder(f"bundles/{pack_id}", files)
    session.causes[pack_id] = session.record(
        "pack.finished",
        parent=session.causes[pack_id],
        duration_ms=session.milliseconds(started),
        rc=Status(status.status).exit_code,
        hashes={
            "action_key": planned.key,
            "result_tree": status.result_tree,
            "manifest": sha256(files["manifest.json"]),
        },
        file_counts={"changed": status.files_changed, "artifacts": len(status.artifacts)},
        details={"pack": pack_id, "status": status.status},
    )
    return status


def _in_force(enforcement: Enforcement) -> tuple[dict[str, str], dict[str, str]]:
    """What is recorded of the sandbox that a pack runs in: details and digests of an event."""
    facts = enforcement.facts
    details = {"properties": " ".join(sorted(given.value for given in enforcement.given))}
    told = {"sandbox": enforcement.backend, "sandbox_version": facts.get("bwrap_version", "")}
    details |= {
        **told,
        "kernel": facts.get("kernel", ""),
        "landlock_abi": facts.get("landlock_abi", ""),
    }
    hashes = {
        "sandbox": facts.get("bwrap_sha256", ""),
        "syscall_filter": facts.get("seccomp_sha256", ""),
    }
    return details, {name: value for name, value in hashes.items() if value}


def _attempts(
    session: Session, planned: PlannedPack, base: Tree, cause: str, heard: list[tuple[int, Ran]]
) -> tuple[Tried, ...]:
    limits = bounded_limits(planned.pack.limits, session.site.config.ceilings)
    tried: list[Tried] = []
    for number in range(1, limits.attempts + 1):
        started = session.site.clock.monotonic()
        one = _try(
            session, planned, base, number, _recorder(session, planned.pack, cause, number, heard)
        )
        tried.append(one)
        session.causes[planned.pack.id] = session.record(
            "attempt.finished",
            parent=cause,
            duration_ms=session.milliseconds(started),
            rc=Status(one.record.status).exit_code,
            hashes={"result_tree": one.record.result_tree},
            file_counts=_counts(one),
            details={"pack": planned.pack.id, "attempt": str(number), "status": one.record.status},
        )
        same_again = len(tried) > 1 and one.record.failure == tried[-2].record.failure
        if one.record.status == Status.PASS.value or same_again:
            break
    return tuple(tried)


def _counts(one: Tried) -> dict[str, int]:
    """How many files an attempt changed, left as artifacts, and left where the base ignores
    them.
    """
    frozen = one.frozen
    return {
        "changed": len(frozen.differences),
        "artifacts": len(one.artifacts),
        "ignored": frozen.ignored,
    }


def _recorder(
    session: Session, pack: TaskPack, cause: str, attempt_number: int, so_far: list[tuple[int, Ran]]
) -> attempt.Heard:
    """Records each command as it ends, after what it did over the network."""

    def heard(ran: Ran) -> None:
        so_far.append((attempt_number, ran))
        record = ran.logged.record
        during: egress.During = "steps" if record.kind == "step" else "acceptance"
        egress.keep(session, pack, during, attempt_number, cause, ran.connections)
        session.record_soon(
            "step.finished" if record.kind == "step" else "check.finished",
            parent=cause,
            duration_ms=ran.duration_ms,
            rc=record.rc,
            hashes={"log": sha256(ran.logged.log)},
            details={
                "pack": pack.id,
                "attempt": str(attempt_number),
                "label": record.label,
                "ended": record.ended,
            },
        )

    return heard


def _try(
    session: Session, planned: PlannedPack, base: Tree, number: int, heard: attempt.Heard
) -> Tried:
    budget = attempt.Budget(
        session, bounded_limits(planned.pack.limits, session.site.config.ceilings)
    )
    visible = narrow(base, planned.visible_patterns)
    session.site.objects.write_tree(visible)
    session.site.objects.write_tree(planned.shared)
    session.site.objects.write_tree(planned.visible)  # so that `why` can name what changed in it
    steps, frozen = attempt.do_steps(session, planned, base, planned.shared, visible, budget, heard)
    findings = [*(finding for ran in steps for finding in ran.findings), *frozen.findings]
    findings += attempt.judge_size(session, planned, frozen)
    checks: tuple[Ran, ...] = ()
    collected: tuple[Collected, ...] = ()
    if all(ran.logged.record.rc == 0 for ran in steps) and not frozen.withheld:
        checks, collected = attempt.accept(
            session, planned, planned.shared, frozen.after, budget, heard
        )
        findings += [finding for ran in checks for finding in ran.findings]
        artifacts, problems = attempt.judge_collected(session, planned, frozen.artifacts, collected)
        findings += problems
    else:
        artifacts, _ = attempt.judge_collected(session, planned, frozen.artifacts)
    artifacts, normalized, unnormal = attempt.normalize_collected(session, planned, artifacts)
    findings = list(silenced(session.site.redactor, (*findings, *unnormal)))
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
    )
    return Tried(
        record,
        steps,
        checks,
        frozen,
        unique(findings),
        tuple(sorted(artifacts.items())),
        normalized,
    )


def _bundle(
    session: Session, planner: Planner, planned: PlannedPack, tried: tuple[Tried, ...]
) -> tuple[StatusDocument, dict[str, bytes]]:
    last = tried[-1]
    records = tuple(one.record for one in tried)
    findings = unique((*last.findings, *judge_attempts(planned.pack, records)))
    attempted = Attempted(
        pack=planned.pack,
        action=planned.action,
        key=planned.key,
        change=change_of(session, planned, last.frozen),
        commands=tuple(one.logged for one in (*last.steps, *last.checks)),
        findings=findings,
        attempts=records,
        artifacts=dict(last.artifacts),
    )
    lock = scope_lock(planned.pack, session.site.config, planner.protected.sources)
    status, files = make_bundle(attempted, lock)
    parse_document(StatusDocument, files["STATUS.json"])  # what is written must read back
    return status, files


def change_of(session: Session, planned: PlannedPack, frozen: Frozen) -> Change:
    """The change as three tellings: leaves, patch, and objects that carry it to another machine."""
    objects = session.site.objects
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
    return Change(
        base_tree=before.oid,
        result_tree=after.oid,
        differences=frozen.differences,
        patch=both.patch,
        lines=both.lines,
        contents=objects.read(sorted(oids)) if oids else {},
        objects=carried,
        ignored=frozen.ignored,
    )


def _compared(objects: Objects, frozen: Frozen) -> Compared:
    if not frozen.differences:
        return Compared({}, b"")
    before, after = frozen.before.oid, frozen.after.oid
    return Compared(objects.numstat(before, after), objects.patch(before, after))


def _carried(
    objects: Objects, planned: PlannedPack, before: Tree, after: Tree
) -> dict[str, tuple[str, bytes]]:
    """Objects that whoever holds the base does not hold, chosen by the action alone.

    That is everything beyond the visible part without the pack's own folder; and, where
    inputs narrow the view, every tree, since a narrowed folder is in no commit.
    """
    known = planned.visible.changed({planned.pack.folder: None})
    carried = {**objects.new_objects(before, known), **objects.new_objects(after, known)}
    if planned.visible_patterns is not None:
        carried |= {
            tree.oid: ("tree", tree.payload) for whole in (before, after) for tree in whole.trees()
        }
    return carried


def _keep_raw(session: Session, pack_id: str, tried: tuple[Tried, ...]) -> None:
    """Raw logs and timings, beside the deterministic part and never hashed into it."""
    for one in tried:
        folder = _keep_logs(session, pack_id, one.record.number, (*one.steps, *one.checks))
        if one.normalized:
            rows = "".join(map(_normalized_row, one.normalized))
            session.site.store.write(f"{folder}/normalized.tsv", rows.encode("utf-8"))


def _keep_logs(session: Session, pack_id: str, number: int, commands: Sequence[Ran]) -> str:
    """What the commands of one attempt printed and how long they took; the folder that has it."""
    folder = f"runs/{session.run_id}/raw/{pack_id}/attempt-{number}"
    timings = []
    for ran in commands:
        label = ran.logged.record.label
        session.site.store.write(f"{folder}/{label}.log", ran.raw)
        timings.append(f"{label}\t{ran.duration_ms}\t{ran.logged.record.ended}\n")
    session.site.store.write(f"{folder}/timings.tsv", "".join(timings).encode())
    return folder


def _keep_denied(session: Session, run_id: str, pack_id: str, tried: tuple[Tried, ...]) -> None:
    """What was tried and denied, beside the raw logs; no file where all could be seen and nothing
    was denied.
    """
    ran = (command for one in tried for command in (*one.steps, *one.checks))
    commands = ((each.logged.record.label, each.tried) for each in ran)
    found = denied(
        pack_id,
        commands,
        (finding for one in tried for finding in one.findings),
        session.site.redactor,
    )
    if found is not None:
        session.site.store.write(
            f"runs/{run_id}/raw/{pack_id}/{DENIED_FILE}", format_document(found)
        )


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
