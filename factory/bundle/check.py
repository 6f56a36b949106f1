"""Compare a bundle with its own manifest and its contract: bytes in, findings out.

Every check that needs no Git is here. An absent file is a finding, never a reason to check less.
Does not know where a bundle is stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from factory.bundle.make import kind_of, manifest_of, summary
from factory.judge import path_guard
from factory.judge.status_eval import Check, evaluate
from factory.model.action import ActionDocument, action_key
from factory.model.evidence import (
    FileRecord,
    FilesChanged,
    LogIndex,
    Manifest,
    ScopeLock,
    StatusDocument,
)
from factory.model.evidence_text import (
    EvidenceError,
    finding_of,
    format_document,
    parse_document,
    sha256,
)
from factory.model.finding import Finding, Location
from factory.model.findings.entry import Fact
from factory.model.layout import IN_BUNDLE
from factory.model.pack import Command
from factory.model.tree import Difference
from factory.strict.document import Document

AnyDocument = TypeVar("AnyDocument", bound=Document)
_FIXED = frozenset(
    {
        IN_BUNDLE.status,
        IN_BUNDLE.files_changed,
        IN_BUNDLE.patch,
        IN_BUNDLE.objects,
        IN_BUNDLE.scope_lock,
        IN_BUNDLE.action,
        IN_BUNDLE.summary,
        IN_BUNDLE.manifest,
        IN_BUNDLE.log_index,
    }
)
_ARTIFACTS = f"{IN_BUNDLE.artifacts}/"


@dataclass(frozen=True, slots=True)
class OpenedBundle:
    """Contain the documents of a bundle whose manifest and schemas are valid."""

    status: StatusDocument
    changed: FilesChanged
    action: ActionDocument
    lock: ScopeLock
    logs: LogIndex


def judge_manifest(
    pack: str, folder: str, manifest: bytes | None, digests: Mapping[str, str]
) -> tuple[Finding, ...]:
    """Return findings from comparing every file with manifest.json, both ways.

    `digests` maps each file of the folder (manifest excluded) to its SHA-256, "" for what is not a
    plain file.
    """
    name = f"{folder}/{IN_BUNDLE.manifest}"
    if manifest is None:
        return (_finding("BUNDLE_MISSING", pack, path=name),)
    try:
        document = parse_document(Manifest, manifest)
    except EvidenceError as error:
        return (_finding("BUNDLE_MANIFEST", pack, "form", path=name, problem=str(error)),)
    listed = {entry.path: entry.sha256 for entry in document.files}
    found = []
    if document.subject != pack or len(listed) != len(document.files):
        subject = path_guard.display(document.subject)
        found.append(_finding("BUNDLE_MANIFEST", pack, "subject", path=name, found=subject))
    differing = {
        path for path in listed.keys() | digests.keys() if listed.get(path) != digests.get(path)
    }
    for path in sorted(differing):
        place = f"{folder}/{path_guard.display(path)}"
        if path not in digests:
            found.append(_finding("BUNDLE_MANIFEST", pack, "missing", path=place))
        elif path not in listed:
            found.append(_finding("BUNDLE_MANIFEST", pack, "extra", path=place))
        else:
            now = digests[path] or "no plain file"
            found.append(
                _finding(
                    "BUNDLE_MANIFEST", pack, "digest", path=place, expected=listed[path], found=now
                )
            )
    return tuple(found)


def open_bundle(
    pack: str, folder: str, files: Mapping[str, bytes]
) -> tuple[OpenedBundle | None, tuple[Finding, ...]]:
    """Parse every document of a bundle; return (documents, ()), or (None, findings) if one is
    invalid.
    """
    found: list[Finding] = []

    def opened(name: str, model: type[AnyDocument]) -> AnyDocument | None:
        try:
            if name not in files:
                raise EvidenceError("does not exist")
            return parse_document(model, files[name])
        except EvidenceError as error:
            found.append(
                _finding(
                    "BUNDLE_SCHEMA",
                    pack,
                    "form",
                    place=f"{folder}/{name}",
                    path=f"{folder}/{name}",
                    problem=str(error),
                )
            )
            return None

    status = opened(IN_BUNDLE.status, StatusDocument)
    changed = opened(IN_BUNDLE.files_changed, FilesChanged)
    action = opened(IN_BUNDLE.action, ActionDocument)
    lock = opened(IN_BUNDLE.scope_lock, ScopeLock)
    logs = opened(IN_BUNDLE.log_index, LogIndex)
    if IN_BUNDLE.patch not in files or IN_BUNDLE.objects not in files:
        found.append(_finding("BUNDLE_SCHEMA", pack, "missing", path=folder))
    if found or status is None or changed is None or action is None or lock is None or logs is None:
        return None, tuple(found)
    return OpenedBundle(status, changed, action, lock, logs), ()


def judge_documents(
    pack: str,
    bundle: OpenedBundle,
    files: Mapping[str, bytes],
    commands: tuple[Command, ...],
    key: str,
    lock: ScopeLock,
    digests: Mapping[str, str],
) -> tuple[Finding, ...]:
    """Return findings unless the documents agree with each other, the plan's key and today's
    contract.

    `commands` are all that the contract requires to end with 0; none if there is nothing to accept
    by. `digests` are the SHA-256 of `files`.
    """
    status = bundle.status
    found: list[Finding] = []
    others = [each for each in (status.action_key, action_key(bundle.action)) if each != key]
    packs = [each for each in (status.pack, bundle.action.pack) if each != pack]
    if others:
        found.append(_finding("BUNDLE_STALE", pack, "action", expected=key, found=others[0]))
    elif packs:
        named = path_guard.display(packs[0])
        found.append(_finding("BUNDLE_STALE", pack, "pack", expected=pack, found=named))
    if bundle.lock != lock:
        found.append(_finding("BUNDLE_STALE", pack, "lock"))
    if status.required != tuple(command.label for command in commands):
        found.append(_finding("BUNDLE_STATUS", pack, "required"))
    declared = {
        command.label: (command.kind.value, command.name, command.run) for command in commands
    }
    if commands and any(
        declared.get(check.label) != (check.kind, check.name, check.run) for check in status.checks
    ):
        found.append(_finding("BUNDLE_STATUS", pack, "commands"))
    if (bundle.changed.base_tree, bundle.changed.result_tree) != (
        status.base_tree,
        status.result_tree,
    ):
        found.append(_finding("BUNDLE_DISAGREES", pack, "trees"))
    found += _judge_files(pack, bundle, files, digests)
    return tuple(found)


def _judge_files(
    pack: str, bundle: OpenedBundle, files: Mapping[str, bytes], digests: Mapping[str, str]
) -> list[Finding]:
    """Compare logs, artifacts, summary and manifest with the documents; report every other file."""
    found: list[Finding] = []
    for log in bundle.logs.logs:
        content = files.get(log.path, b"")
        if (log.path, log.sha256, log.bytes) != (
            IN_BUNDLE.log(log.label),
            digests.get(log.path) or sha256(content),
            len(content),
        ):
            place = path_guard.display(log.path)
            found.append(_finding("BUNDLE_DISAGREES", pack, "log", path=place))
    ended = [(check.label, check.rc) for check in bundle.status.checks]
    ended += [(again.label, again.rc) for again in bundle.status.judged.runs]
    if [(log.label, log.rc) for log in bundle.logs.logs] != ended:
        found.append(_finding("BUNDLE_DISAGREES", pack, "codes"))
    carried = tuple(
        sorted(
            path_guard.display(p.removeprefix(_ARTIFACTS))
            for p in files
            if p.startswith(_ARTIFACTS)
        )
    )
    if carried != bundle.status.artifacts:
        found.append(_finding("BUNDLE_DISAGREES", pack, "artifacts"))
    if files.get(IN_BUNDLE.summary) != summary(bundle.status):
        found.append(_finding("BUNDLE_DISAGREES", pack, "summary"))
    known = {*_FIXED, *(log.path for log in bundle.logs.logs)}
    for path in sorted(path for path in files.keys() - known if not path.startswith(_ARTIFACTS)):
        found.append(_finding("BUNDLE_DISAGREES", pack, "extra", path=path_guard.display(path)))
    others = {path: content for path, content in files.items() if path != IN_BUNDLE.manifest}
    due = manifest_of(pack, others, digests)
    if files.get(IN_BUNDLE.manifest) != format_document(due):
        found.append(_finding("BUNDLE_MANIFEST", pack, "differs", path=IN_BUNDLE.manifest))
    return found


def judge_status(pack: str, bundle: OpenedBundle) -> tuple[Finding, ...]:
    """Return BUNDLE_STATUS unless the status is the one that its own evidence yields."""
    status = bundle.status
    try:
        findings = tuple(finding_of(record) for record in status.findings)
    except ValueError as error:
        return (_finding("BUNDLE_STATUS", pack, "form", problem=str(error)),)
    if any(
        finding.severity.value != record.severity
        for finding, record in zip(findings, status.findings, strict=True)
    ):
        return (_finding("BUNDLE_STATUS", pack, "severity"),)
    last = status.attempts[-1] if status.attempts else None
    numbers = tuple(attempt.number for attempt in status.attempts)
    if (
        last is None
        or last.result_tree != status.result_tree
        or numbers != tuple(range(1, len(numbers) + 1))
    ):
        return (_finding("BUNDLE_STATUS", pack, "attempts"),)
    due = evaluate(
        status.required, (Check(check.label, check.rc) for check in status.checks), findings
    )
    if due.value == status.status:
        return ()
    return (_finding("BUNDLE_STATUS", pack, "status", expected=due.value, found=status.status),)


def judge_agreement(
    pack: str,
    changed: FilesChanged,
    by_tree: tuple[Difference, ...],
    by_patch: tuple[Difference, ...],
) -> tuple[Finding, ...]:
    """Compare FILES_CHANGED with the trees, and the patch with both; return findings.

    A path that only the patch changes is HIDDEN_CHANGE.
    """
    named = {record.path: record for record in changed.files}
    found: list[Finding] = []
    in_tree = {path_guard.display(difference.path): difference for difference in by_tree}
    in_patch = {path_guard.display(difference.path): difference for difference in by_patch}
    for path in sorted(in_patch.keys() - named.keys()):
        found.append(_finding("HIDDEN_CHANGE", pack, path=path))
    for path in sorted((named.keys() | in_tree.keys()) - (in_patch.keys() - named.keys())):
        if path not in in_tree:
            found.append(_finding("BUNDLE_DISAGREES", pack, "not-in-tree", path=path))
        elif path not in named:
            found.append(_finding("BUNDLE_DISAGREES", pack, "not-named", path=path))
        elif not _same(named[path], in_tree[path]):
            found.append(_finding("BUNDLE_DISAGREES", pack, "named-otherwise", path=path))
        elif in_patch.get(path) != in_tree[path]:
            found.append(_finding("BUNDLE_DISAGREES", pack, "patched-otherwise", path=path))
    if not found and [record.path for record in changed.files] != list(in_tree):
        found.append(_finding("BUNDLE_DISAGREES", pack, "order"))
    return tuple(found)


def _same(record: FileRecord, difference: Difference) -> bool:
    before, after = difference.before, difference.after
    return (
        record.kind == kind_of(difference)
        and record.mode_before == (f"{before.mode:06o}" if before else "")
        and record.mode_after == (f"{after.mode:06o}" if after else "")
        and record.oid_before == (before.oid if before else "")
        and record.oid_after == (after.oid if after else "")
    )


def judge_numbers(
    pack: str,
    bundle: OpenedBundle,
    lines: Mapping[str, tuple[int, int] | None],
    digests: Mapping[str, str],
) -> tuple[Finding, ...]:
    """Compare line counts and digests with derived ones: `lines` by displayed path, `digests` by
    object id.
    """
    found = []
    for record in bundle.changed.files:
        counts = lines.get(record.path)
        if (record.lines_added, record.lines_removed) != (counts or (None, None)):
            found.append(_finding("BUNDLE_DISAGREES", pack, "lines", path=record.path))
        for oid, digest in (
            (record.oid_before, record.sha256_before),
            (record.oid_after, record.sha256_after),
        ):
            if digests.get(oid, "") != digest:
                found.append(_finding("BUNDLE_DISAGREES", pack, "content", path=record.path))
    totals = (
        len(bundle.changed.files),
        sum(record.lines_added or 0 for record in bundle.changed.files),
        sum(record.lines_removed or 0 for record in bundle.changed.files),
    )
    if totals != (
        bundle.status.files_changed,
        bundle.status.lines_added,
        bundle.status.lines_removed,
    ):
        found.append(_finding("BUNDLE_DISAGREES", pack, "totals"))
    return tuple(found)


def _finding(kind: str, pack: str, case: str = "", place: str = "", **facts: Fact) -> Finding:
    location = Location(place) if place else None
    return Finding(kind, {"case": case, **facts}, pack=pack, location=location)
