"""Judge the outcomes of commands: findings about steps, checks, documents, artifacts, flakiness.

A log can only lower a verdict, never raise one. Does not run anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Literal

from factory.judge.path_guard import display, misnamed
from factory.judge.runner_words import RunnerSays, by_reports, failed_by_its_word, ran_tests
from factory.judge.scope import compile_patterns
from factory.model.command_kind import CommandKind
from factory.model.evidence import AttemptRecord, CheckRecord
from factory.model.evidence_text import sha256
from factory.model.finding import Finding, Location
from factory.model.findings.entry import Fact
from factory.model.pack import Command, Limits, TaskPack
from factory.model.tree import Tree

EndedName = Literal["exited", "signalled", "timeout", "memory", "output", "cancelled"]


def check_record(command: Command, rc: int, ended: EndedName) -> CheckRecord:
    """Return the record of one executed command."""
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
    """Return the findings about one command that has ended; `bound` facts are seconds or bytes."""

    def broken(finding: str, **facts: Fact) -> tuple[Finding, ...]:
        known = {"label": command.label, "run": _short(command.run), **facts}
        return (Finding(finding, known, pack=pack.id, location=command.location),)

    if ended == "timeout" and command.timeout:
        return broken("LIMIT_TIME", case="own", bound=command.timeout)
    if ended in _LIMITS:
        finding, key = _LIMITS[ended]
        return broken(finding, case="limit", bound=getattr(limits, key))
    if disk_full and rc != 0:
        return broken("LIMIT_DISK", bound=limits.disk)
    ran = ran_tests(command, rc, log)
    if ran is RunnerSays.NONE:
        return (judge_no_test(pack, command, _no_test(pack)),)
    said = failed_by_its_word(command, rc, log)
    if said:
        shown = _short(said.decode("utf-8", "replace"))
        return broken("CHECK_FAILED", case="runner", said=shown)
    if ran is RunnerSays.UNKNOWN:
        return broken("TESTS_NOT_COUNTED")
    if rc == 0:
        return ()
    finding = "STEP_FAILED" if command.kind is CommandKind.STEP else "CHECK_FAILED"
    facts: dict[str, Fact] = {"rc": rc, "last": _last_line(log), "log_of": pack.id}
    lacked = "" if _has_network(pack, command) else _lacked_network(log)
    if lacked:
        return broken(finding, case="network", said=lacked, **facts)
    return broken(finding, case="rc", **facts)


# What names and connections that fail are called by libc, curl, pip, Node, Go and OpenSSH.
_NO_NETWORK = (
    *("Could not resolve host", "Temporary failure in name resolution", "ENOTFOUND", "EAI_AGAIN"),
    *("Name or service not known", "no such host", "getaddrinfo", "Network is unreachable"),
    *("ENETUNREACH", "Connection refused", "ECONNREFUSED"),
    *("No matching distribution found", "(from versions: none)"),
)
_LACKED = re.compile("|".join(map(re.escape, _NO_NETWORK)).encode())


def _has_network(pack: TaskPack, command: Command) -> bool:
    """Return whether a command of a pack has any host that it may reach."""
    step, declared = command.kind is CommandKind.STEP, pack.constraints
    return (declared.network.declared and (step or pack.acceptance_network)) or (
        declared.cloud.declared and (step or pack.acceptance_cloud)
    )


def _lacked_network(log: bytes) -> str:
    """Return the words at the end of a log that a program without network says; "" for none."""
    said = _LACKED.search(log, max(0, len(log) - _TAIL))
    return said[0].decode() if said else ""


def judge_reports(
    pack: TaskPack, command: Command, findings: tuple[Finding, ...], reports: Iterable[bytes]
) -> tuple[Finding, ...]:
    """Return the findings about a command with what JUnit files say, which it wrote, where its log
    did not count its tests.
    """
    if not is_uncounted(findings):
        return findings
    match by_reports(reports):
        case RunnerSays.SOME:
            return ()
        case RunnerSays.NONE:
            return (judge_no_test(pack, command, _no_test(pack)),)
        case RunnerSays.UNKNOWN:
            return findings


def is_uncounted(findings: Iterable[Finding]) -> bool:
    """Return whether nothing says how many tests a command ran."""
    return any(finding.id == "TESTS_NOT_COUNTED" for finding in findings)


def judge_no_test(pack: TaskPack, command: Command, case: str, **facts: Fact) -> Finding:
    """Return CHECK_RAN_NO_TEST about one command."""
    known = {"case": case, "label": command.label, "run": _short(command.run), **facts}
    return Finding("CHECK_RAN_NO_TEST", known, pack=pack.id, location=command.location)


def _no_test(pack: TaskPack) -> str:
    """Return the case of CHECK_RAN_NO_TEST: a view that `inputs` narrows may lack the tests."""
    return "none" if pack.inputs is None else "narrowed"


_LIMITS = {
    "timeout": ("LIMIT_TIME", "timeout"),
    "memory": ("LIMIT_MEMORY", "memory"),
    "output": ("LIMIT_OUTPUT", "output"),
}


def _short(run: str, most: int = 100) -> str:
    line = display(
        " ".join(run.split())[: most + 1]
    )  # display never shortens a character; cutting first saves time on a long line
    return line if len(line) <= most else line[: most - 1] + "…"


def _last_line(log: bytes) -> str:
    """Return the last line of a log that is not blank, shortened; "" if there is none."""
    size = _TAIL
    while True:
        start = max(0, len(log) - size)
        start = start and log.find(b"\n", start) + 1  # a whole line
        tail = log[start:] if start or size >= len(log) else b""
        lines = [one.strip() for one in tail.decode("utf-8", "replace").splitlines() if one.strip()]
        if lines or size >= len(log):
            return _short(lines[-1]) if lines else ""
        size *= 8


_TAIL = 1 << 14  # bytes at the end of a log that nearly always have a line


def judge_docs(pack: TaskPack, result: Tree) -> tuple[Finding, ...]:
    """Return DOCS_MISSING for each file under docs.required that is absent from the result."""
    return tuple(
        Finding(
            "DOCS_MISSING",
            {"path": display(path)},
            pack=pack.id,
            location=pack.place("/docs/required"),
        )
        for path in pack.docs_required
        if result.get(path) is None
    )


def judge_expectation(pack: TaskPack, changed: bool, required: bool = False) -> tuple[Finding, ...]:
    """Return NO_CHANGE or CHANGE_UNEXPECTED where the steps broke what `expect` promises, or
    changed nothing though a change is `required`.
    """
    if pack.expect == ("no_change" if changed else "change"):
        kind = "CHANGE_UNEXPECTED" if changed else "NO_CHANGE"
        facts = {} if changed else {"case": "expect"}
        return (Finding(kind, facts, pack=pack.id, location=pack.place("/expect")),)
    if required and not changed:
        place = Location(f"{pack.folder}/acceptance.yml")
        return (Finding("NO_CHANGE", {"case": "require"}, pack=pack.id, location=place),)
    return ()


def judge_artifacts(
    pack: TaskPack, collected: Iterable[str], problems: Iterable[tuple[str, str]]
) -> tuple[Finding, ...]:
    """Return ARTIFACT_MISSING for each required pattern without a file, ARTIFACT_UNSAFE for each
    problem.

    `problems` are (path, problem) of files that exist but were not collected.
    """
    problems = tuple(problems)
    paths = (
        *collected,
        *(path for path, _ in problems),
    )  # an existing but unsafe file is reported once, as unsafe
    missing = tuple(
        Finding(
            "ARTIFACT_MISSING",
            {"pattern": pattern},
            pack=pack.id,
            location=pack.place("/artifacts/required"),
        )
        for pattern in pack.artifacts.required
        if not any(compile_patterns((pattern,)).matches(path) for path in paths)
    )
    unsafe = tuple(
        Finding("ARTIFACT_UNSAFE", {"path": display(path), "problem": problem}, pack=pack.id)
        for path, problem in problems
    )
    return missing + unsafe


def judge_normalized(pack: TaskPack, problems: Iterable[tuple[str, str]]) -> tuple[Finding, ...]:
    """Return a warning for each artifact that was to be normalised but was not, with its reason."""
    return tuple(
        Finding(
            "ARTIFACT_NOT_NORMALIZED",
            {"path": display(path), "problem": problem},
            pack=pack.id,
            location=pack.place("/artifacts/normalize"),
        )
        for path, problem in problems
        if problem
    )


def artifact_name_problem(path: str) -> str:
    """Return why an artifact cannot keep its name, one clause; "" if it can."""
    return misnamed(path)


def failure_signature(records: Iterable[tuple[CheckRecord, bytes]]) -> str:
    """Return the SHA-256 over label, code and log of the first command that failed; "" if none
    did.
    """
    for record, log in records:
        if record.rc != 0:
            return sha256(b"\0".join((record.label.encode(), str(record.rc).encode(), log)))
    return ""


def judge_attempts(
    pack: TaskPack, attempts: Sequence[AttemptRecord], most: int, retry: Literal["allow", "block"]
) -> tuple[Finding, ...]:
    """Return FLAKY if acceptance both failed and passed on the same tree, else what a pass after a
    failed attempt is by policy: RETRY_BLOCKED, or a remark.
    """
    by_tree: dict[str, set[str]] = {}
    for attempt in attempts:
        by_tree.setdefault(attempt.result_tree, set()).add(attempt.status)
    place = pack.place("/limits/attempts")
    if any(len(statuses) > 1 for statuses in by_tree.values()):
        return (Finding("FLAKY", {"case": "attempts"}, pack=pack.id, location=place),)
    if len(attempts) < 2 or attempts[-1].status != "PASS":
        return ()
    kind = "RETRY_BLOCKED" if retry == "block" else "RETRIED"
    facts = {"number": len(attempts), "most": most}
    return (Finding(kind, facts, pack=pack.id, location=place),)
