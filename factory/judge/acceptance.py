"""What the outcome of a command means: findings for steps and checks, documents and artifacts,
flakiness.

A log can only lower a verdict, never raise one. Does not run anything.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from factory.judge.path_guard import display, misnamed
from factory.judge.runner_words import failed_by_its_word, is_pytest, ran_no_test
from factory.judge.scope import compile_patterns
from factory.model.evidence import AttemptRecord, CheckRecord
from factory.model.evidence_text import sha256
from factory.model.finding import Finding
from factory.model.pack import Command, CommandKind, Limits, TaskPack
from factory.model.tree import Tree

EndedName = Literal["exited", "signalled", "timeout", "memory", "output", "cancelled"]


def check_record(command: Command, rc: int, ended: EndedName) -> CheckRecord:
    """The record of one executed command."""
    return CheckRecord(
        label=command.label,
        kind=command.kind.value,
        name=command.name,
        run=command.run,
        rc=rc,
        ended=ended,
    )


def judge_command(
    pack: TaskPack,
    command: Command,
    rc: int,
    ended: EndedName,
    disk_full: bool,
    log: bytes,
    limits: Limits,
) -> tuple[Finding, ...]:
    """Findings over one command that has ended."""
    what = f"{command.label} `{_short(command.run)}`"
    limited = _LIMITS.get(ended)
    if limited is not None:
        kind, clause, key = limited
        bound = command.timeout if ended == "timeout" and command.timeout else getattr(limits, key)
        message = f"{what} {clause}: {key} is {bound}"
        return (
            Finding(
                kind,
                message,
                f"Raise limits.{key} if that is what it needs.",
                command.location,
                pack.id,
            ),
        )
    if disk_full and rc != 0:
        message = f"{what} ran out of space: disk is {limits.disk}"
        return (
            Finding(
                "LIMIT_DISK",
                message,
                "Raise limits.disk if that is what it needs.",
                command.location,
                pack.id,
            ),
        )
    if ran_no_test(command, rc, log):
        message = f"{what} ran no test; a check that tests nothing accepts nothing"
        hint = "Point it at tests that exist."
        if rc == 0 and is_pytest(command):
            hint = (
                "Point it at tests that exist, and let pytest print its closing line (at most one"
                " -q)."
            )
        return (Finding("CHECK_RAN_NO_TEST", message, hint, command.location, pack.id),)
    said = failed_by_its_word(command, rc, log)
    if said:
        message = (
            f"{what} ended with 0, and its runner says: {_short(said.decode('utf-8', 'replace'))}"
        )
        hint = "Let the runner's own exit code through: no pipe behind it, no hook that changes it."
        return (Finding("CHECK_FAILED", message, hint, command.location, pack.id),)
    if rc == 0:
        return ()
    kind = "STEP_FAILED" if command.kind is CommandKind.STEP else "CHECK_FAILED"
    hint = f"Read it with: factory print-report --pack {pack.id} --log {command.label}"
    return (
        Finding(kind, f"{what} ended with {rc}{_last_line(log)}", hint, command.location, pack.id),
    )


_LIMITS = {
    "timeout": ("LIMIT_TIME", "ran longer than its seconds allow", "timeout"),
    "memory": ("LIMIT_MEMORY", "used more bytes of memory than allowed", "memory"),
    "output": ("LIMIT_OUTPUT", "printed more bytes than allowed", "output"),
}


def _short(run: str, most: int = 100) -> str:
    line = display(
        " ".join(run.split())[: most + 1]
    )  # no sign becomes shorter, and a line may be a whole log
    return line if len(line) <= most else line[: most - 1] + "…"


def _last_line(log: bytes) -> str:
    lines = [line.strip() for line in log.decode("utf-8", "replace").splitlines() if line.strip()]
    return f"; its last line: {_short(lines[-1])}" if lines else ""


def judge_docs(pack: TaskPack, result: Tree) -> tuple[Finding, ...]:
    """Whether every file under docs.required exists once the pack has done its work."""
    return tuple(
        Finding(
            "DOCS_MISSING",
            f"docs.required names {display(path)}, which does not exist",
            "Write it, or take it out of docs.required.",
            pack.place("/docs/required"),
            pack.id,
        )
        for path in pack.docs_required
        if result.get(path) is None
    )


def judge_artifacts(
    pack: TaskPack, collected: Iterable[str], problems: Iterable[tuple[str, str]]
) -> tuple[Finding, ...]:
    """Whether each required pattern collected something, and whether anything could not be
    collected.
    """
    problems = tuple(problems)
    paths = (
        *collected,
        *(path for path, _ in problems),
    )  # what is there and unsafe is told once, as unsafe
    missing = tuple(
        Finding(
            "ARTIFACT_MISSING",
            f"required artifact {pattern} was not produced",
            "Produce it in a step or a check, or take it out of artifacts.required.",
            pack.place("/artifacts/required"),
            pack.id,
        )
        for pattern in pack.artifacts.required
        if not any(compile_patterns((pattern,)).matches(path) for path in paths)
    )
    unsafe = tuple(
        Finding(
            "ARTIFACT_UNSAFE",
            f"artifact {display(path)} {problem}",
            "Write plain files.",
            pack=pack.id,
        )
        for path, problem in problems
    )
    return missing + unsafe


def judge_normalized(pack: TaskPack, problems: Iterable[tuple[str, str]]) -> tuple[Finding, ...]:
    """A warning for each artifact that was to be normalised and is not, with its reason."""
    return tuple(
        Finding(
            "ARTIFACT_NOT_NORMALIZED",
            f"artifact {display(path)} is collected as it was made: {problem}",
            "Write it in a plain form, or take it out of artifacts.normalize.",
            pack.place("/artifacts/normalize"),
            pack.id,
        )
        for path, problem in problems
        if problem
    )


def artifact_name_problem(path: str) -> str:
    """Why an artifact cannot be carried under its name, one clause; empty when it can."""
    return misnamed(path)


def failure_signature(records: Iterable[tuple[CheckRecord, bytes]]) -> str:
    """What names a failure: SHA-256 over label, code and log of the first command that failed;
    empty for none.
    """
    for record, log in records:
        if record.rc != 0:
            return sha256(b"\0".join((record.label.encode(), str(record.rc).encode(), log)))
    return ""


def judge_attempts(pack: TaskPack, attempts: Iterable[AttemptRecord]) -> tuple[Finding, ...]:
    """FLAKY where acceptance both failed and passed on one and the same tree."""
    by_tree: dict[str, set[str]] = {}
    for attempt in attempts:
        by_tree.setdefault(attempt.result_tree, set()).add(attempt.status)
    if not any(len(statuses) > 1 for statuses in by_tree.values()):
        return ()
    message = "acceptance failed and then passed on an identical tree; a retry proves nothing"
    return (
        Finding(
            "FLAKY",
            message,
            "Make the check deterministic.",
            pack.place("/limits/attempts"),
            pack.id,
        ),
    )
