"""Make a bundle as a set of files from one attempt, in deterministic bytes.

Pure: contents come in, files come out. Does not know where a bundle is stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from factory.judge import path_guard
from factory.judge.status_eval import Check, evaluate
from factory.model.action import ActionDocument
from factory.model.evidence import (
    AttemptRecord,
    CheckRecord,
    FileRecord,
    FilesChanged,
    LogIndex,
    LogRecord,
    Manifest,
    ManifestEntry,
    ScopeLock,
    StatusDocument,
)
from factory.model.evidence_text import finding_record, format_document, sha256
from factory.model.finding import Finding
from factory.model.inert import Markdown, code, markdown
from factory.model.judged import JudgedRecord
from factory.model.layout import IN_BUNDLE
from factory.model.pack import TaskPack
from factory.model.tree import MODE_LINK, Difference
from factory.model.wording import counted

Files = dict[str, bytes]
KindName = Literal["added", "modified", "removed", "mode", "type"]


@dataclass(frozen=True, slots=True)
class LoggedCommand:
    """Describe one executed command with its normalised log."""

    record: CheckRecord
    log: bytes
    truncated: bool


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Count new files that are no part of a change: those that ignore rules name, those that
    `discard` names, and others outside the scope of a pack with `outside: drop`.
    """

    ignored: int = 0
    discarded: int = 0
    outside: int = 0


@dataclass(frozen=True, slots=True)
class PackChange:
    """Describe a pack's change in three ways: leaves, patch, and lines per path (None: binary).

    `digests` maps object ids of leaves to the SHA-256 of their bytes. A pack's trees contain what
    it could see; the integrator's are whole.
    """

    base_tree: str
    result_tree: str
    differences: tuple[Difference, ...]
    patch: bytes
    lines: Mapping[str, tuple[int, int] | None]
    digests: Mapping[str, str]
    objects: bytes
    left_out: LeftOut = LeftOut()

    @property
    def added(self) -> int:
        return sum(counts[0] for counts in self.lines.values() if counts is not None)

    @property
    def removed(self) -> int:
        return sum(counts[1] for counts in self.lines.values() if counts is not None)


@dataclass(frozen=True, slots=True)
class Attempted:
    """Contain everything that a bundle is made of."""

    pack: TaskPack
    action: ActionDocument
    key: str
    change: PackChange
    commands: tuple[LoggedCommand, ...]
    findings: tuple[Finding, ...]
    attempts: tuple[AttemptRecord, ...]
    artifacts: Mapping[str, bytes]
    judged: JudgedRecord
    judge_runs: tuple[LoggedCommand, ...] = ()


def required_labels(pack: TaskPack) -> tuple[str, ...]:
    """Return labels of every command that must end with 0: steps and acceptance."""
    return tuple(command.label for command in (*pack.steps, *pack.acceptance))


def status_document(attempted: Attempted) -> StatusDocument:
    """Return STATUS.json, decided by `judge.status_eval`; a pack without acceptance cannot PASS."""
    pack, change = attempted.pack, attempted.change
    required = required_labels(pack) if pack.acceptance else ()
    checks = tuple(command.record for command in attempted.commands)
    status = evaluate(
        required, (Check(check.label, check.rc) for check in checks), attempted.findings
    )
    return StatusDocument(
        pack=pack.id,
        status=status.value,
        action_key=attempted.key,
        base_tree=change.base_tree,
        result_tree=change.result_tree,
        required=required,
        checks=checks,
        findings=tuple(finding_record(finding) for finding in attempted.findings),
        attempts=attempted.attempts,
        artifacts=tuple(sorted(path_guard.display(path) for path in attempted.artifacts)),
        files_changed=len(change.differences),
        lines_added=change.added,
        lines_removed=change.removed,
        judged=attempted.judged,
    )


def files_changed(change: PackChange) -> FilesChanged:
    """Return FILES_CHANGED.json of a change."""
    return FilesChanged(
        base_tree=change.base_tree,
        result_tree=change.result_tree,
        files=tuple(_file_record(change, difference) for difference in change.differences),
        ignored_dropped=change.left_out.ignored,
        discarded=change.left_out.discarded,
        outside_dropped=change.left_out.outside,
    )


def _file_record(change: PackChange, difference: Difference) -> FileRecord:
    before, after = difference.before, difference.after
    lines = change.lines.get(difference.path)
    return FileRecord(
        path=path_guard.display(difference.path),
        kind=kind_of(difference),
        mode_before=f"{before.mode:06o}" if before else "",
        mode_after=f"{after.mode:06o}" if after else "",
        oid_before=before.oid if before else "",
        oid_after=after.oid if after else "",
        # a submodule has no content
        sha256_before=change.digests.get(before.oid, "") if before else "",
        sha256_after=change.digests.get(after.oid, "") if after else "",
        lines_added=lines[0] if lines else None,
        lines_removed=lines[1] if lines else None,
    )


def kind_of(difference: Difference) -> KindName:
    """Return added, removed, type (link ↔ file), mode (same content) or modified."""
    if difference.before is None:
        return "added"
    if difference.after is None:
        return "removed"
    if (difference.before.mode == MODE_LINK) != (difference.after.mode == MODE_LINK):
        return "type"
    return "mode" if difference.before.oid == difference.after.oid else "modified"


def make_bundle(attempted: Attempted, lock: ScopeLock) -> tuple[StatusDocument, Files]:
    """Return (status, every file of the bundle by path, manifest included)."""
    status = status_document(attempted)
    files: Files = {
        IN_BUNDLE.status: format_document(status),
        IN_BUNDLE.files_changed: format_document(files_changed(attempted.change)),
        IN_BUNDLE.patch: attempted.change.patch,
        IN_BUNDLE.objects: attempted.change.objects,
        IN_BUNDLE.scope_lock: format_document(lock),
        IN_BUNDLE.action: format_document(attempted.action),
        IN_BUNDLE.summary: summary(status),
    }
    records = []
    for command in (*attempted.commands, *attempted.judge_runs):
        path = IN_BUNDLE.log(command.record.label)
        files[path] = command.log
        records.append(
            LogRecord(
                label=command.record.label,
                path=path,
                sha256=sha256(command.log),
                bytes=len(command.log),
                truncated=command.truncated,
                rc=command.record.rc,
            )
        )
    files[IN_BUNDLE.log_index] = format_document(LogIndex(logs=tuple(records)))
    for path, content in attempted.artifacts.items():
        files[IN_BUNDLE.artifacts.at(path)] = content
    files[IN_BUNDLE.manifest] = format_document(manifest_of(attempted.pack.id, files))
    return status, files


def manifest_of(
    subject: str, files: Mapping[str, bytes], digests: Mapping[str, str] | None = None
) -> Manifest:
    """Return the manifest of `files`, which must not include the manifest itself; `digests` are
    their SHA-256 where they are known.
    """
    known = digests if digests is not None else {path: sha256(files[path]) for path in files}
    return Manifest(
        subject=subject,
        files=tuple(
            ManifestEntry(path=path, sha256=known[path], bytes=len(files[path]))
            for path in sorted(files)
        ),
    )


def summary(status: StatusDocument) -> bytes:
    """Return SUMMARY.md: the status for a person, as Markdown in which nothing of a pack acts."""
    lines = [
        markdown("# {}: {}", status.pack, status.status),
        "",
        (
            f"{counted(status.files_changed, 'file')} changed, +{status.lines_added}"
            f" −{status.lines_removed}."
        ),
        "",
    ]
    lines += [
        markdown("- {} ended with {}", code(check.label), check.rc) for check in status.checks
    ]
    ran = {check.label for check in status.checks}
    lines += [
        markdown("- {} did not run", code(label)) for label in status.required if label not in ran
    ]
    lines += [
        markdown("- **{}** {}", Markdown(finding.id), finding.message)
        for finding in status.findings
    ]
    return ("\n".join(lines).rstrip() + "\n").encode("utf-8")


def unique(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return the findings without exact repeats, in order."""
    return tuple(dict.fromkeys(findings))
