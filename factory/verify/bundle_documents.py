"""Compare the documents of one bundle with each other and with the files next to them.

Needs no Git object. Does not know contracts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from factory.verify import paths
from factory.verify.documents import Action, BundleStatus, FilesChanged, LogIndex, LogRow, ScopeLock
from factory.verify.folder import EvidenceFolder
from factory.verify.form import FormError, canonical, plain, read
from factory.verify.manifests import FileDigests, check_digest
from factory.verify.names import inert, spell
from factory.verify.results import Results

_FIXED = frozenset(
    "STATUS.json FILES_CHANGED.json DIFF.patch CHANGES.bundle SCOPE_LOCK.json ACTION.json"
    " SUMMARY.md manifest.json LOGS/INDEX.json".split()
)
# No configuration takes these away.
ALWAYS_PROTECTED = frozenset(
    ".git .git/ **/.git/ .env* **/.env* dodo.py dodo.* dodo dodo/ noxfile.py __pycache__/dodo.* "
    "doit.cfg factory.toml .factory/ factory.keys/ "
    # what services, hooks, editors and agents run by themselves
    ".github/workflows/ .github/actions/ .gitlab-ci.yml .circleci/ Jenkinsfile azure-pipelines.yml "
    ".azure-pipelines/ bitbucket-pipelines.yml .buildkite/ .travis.yml .drone.yml .woodpecker.yml "
    ".woodpecker/ .cirrus.yml appveyor.yml .appveyor.yml .forgejo/workflows/ .gitea/workflows/ "
    ".tekton/ .build.yml .builds/ buildspec.yml cloudbuild.yaml "
    "CODEOWNERS .github/CODEOWNERS .gitlab/CODEOWNERS docs/CODEOWNERS "
    ".gitmodules **/.husky/ .githooks/ .pre-commit-config.yaml .pre-commit-hooks.yaml lefthook.yml "
    ".lefthook.yml .lefthook/ .overcommit.yml "
    "**/.vscode/ **/*.code-workspace **/.idea/ **/.zed/ **/.fleet/ **/.dir-locals.el **/.exrc "
    "**/.nvimrc **/.nvim.lua **/.devcontainer/ **/.devcontainer.json .gitpod.yml **/mise.toml "
    "**/.mise.toml **/.claude/ **/.mcp.json **/.cursor/ **/.codex/ **/.gemini/ **/.windsurf/ "
    "**/.continue/ **/.kiro/ **/.opencode/ **/opencode.json".split()
)

Shape = TypeVar("Shape")


@dataclass(frozen=True, slots=True)
class BundleDocuments:
    """Contain the documents of one bundle, parsed."""

    status: BundleStatus
    changed: FilesChanged
    lock: ScopeLock
    action: Action
    logs: LogIndex


def load(
    results: Results, run: EvidenceFolder, path: str, shape: type[Shape], pack: str = ""
) -> Shape | None:
    """Return a document of the run; None, with a finding, if it is missing or malformed."""
    content = run.read(path)
    if content is None:
        results.wrong("VERIFY_MISSING", path, "expected this document, found none", pack)
        return None
    try:
        return read(shape, content)
    except FormError as error:
        results.wrong("VERIFY_FORM", path, spell(str(error)), pack)
        return None


def load_documents(results: Results, run: EvidenceFolder, pack: str) -> BundleDocuments | None:
    """Return all documents of the bundle in `pack`/; None, with findings, if one is malformed."""
    status = load(results, run, f"{pack}/{paths.STATUS}", BundleStatus, pack)
    changed = load(results, run, f"{pack}/{paths.FILES_CHANGED}", FilesChanged, pack)
    lock = load(results, run, f"{pack}/{paths.SCOPE_LOCK}", ScopeLock, pack)
    action = load(results, run, f"{pack}/{paths.ACTION}", Action, pack)
    logs = load(results, run, f"{pack}/{paths.LOG_INDEX}", LogIndex, pack)
    if status is None or changed is None or lock is None or action is None or logs is None:
        return None
    return BundleDocuments(status, changed, lock, action, logs)


def check_documents(
    results: Results, run: EvidenceFolder, seen: FileDigests, pack: str, docs: BundleDocuments
) -> None:
    """Compare the documents of one bundle with each other, and its files with them."""
    _agreement(results, pack, docs)
    _lock(results, pack, docs)
    _files(results, run, seen, pack, docs)


def _agreement(results: Results, pack: str, docs: BundleDocuments) -> None:
    """Compare STATUS, FILES_CHANGED and ACTION."""
    status, changed, action = docs.status, docs.changed, docs.action
    key = hashlib.sha256(canonical(plain(action))).hexdigest()
    rows = changed.files
    for kind, name, what, expected, found in (
        ("VERIFY_ACTION", paths.STATUS, "its pack", pack, status.pack),
        ("VERIFY_ACTION", paths.ACTION, "its pack", pack, action.pack),
        ("VERIFY_ACTION", paths.STATUS, "the action key of ACTION.json", key, status.action_key),
        (
            "VERIFY_CHANGE",
            paths.FILES_CHANGED,
            "its base tree",
            status.base_tree,
            changed.base_tree,
        ),
        (
            "VERIFY_CHANGE",
            paths.FILES_CHANGED,
            "its result's tree",
            status.result_tree,
            changed.result_tree,
        ),
        ("VERIFY_CHANGE", paths.STATUS, "files changed", len(rows), status.files_changed),
        (
            "VERIFY_CHANGE",
            paths.STATUS,
            "lines added",
            _sum(row.lines_added for row in rows),
            status.lines_added,
        ),
        (
            "VERIFY_CHANGE",
            paths.STATUS,
            "lines removed",
            _sum(r.lines_removed for r in rows),
            status.lines_removed,
        ),
    ):
        results.differs(kind, f"{pack}/{name}", what, expected, found, pack)
    if not action.depends_on:
        file = f"{pack}/{paths.STATUS}"
        results.differs(
            "VERIFY_ACTION",
            file,
            "the base tree of ACTION.json",
            action.inputs,
            status.base_tree,
            pack,
        )


def _lock(results: Results, pack: str, docs: BundleDocuments) -> None:
    """Compare SCOPE_LOCK with the action, and with what nobody can loosen."""
    lock, action, file = docs.lock, docs.action, f"{pack}/{paths.SCOPE_LOCK}"
    for what, expected, found in (
        ("its pack", pack, lock.pack),
        ("the limits of ACTION.json", action.limits, lock.limits),
        ("the protected paths of ACTION.json", action.protected, lock.protected),
        ("the properties of ACTION.json", action.properties, lock.required_properties),
    ):
        results.differs("VERIFY_ACTION", file, what, expected, found, pack)
    for pattern in sorted(ALWAYS_PROTECTED - set(lock.protected)):
        results.wrong(
            "VERIFY_SCOPE", file, f"expected {pattern} to be protected, found that it is not", pack
        )


def _files(
    results: Results, run: EvidenceFolder, seen: FileDigests, pack: str, docs: BundleDocuments
) -> None:
    """Compare logs, artifacts and summary with the documents that name them; report other files."""
    status, place = docs.status, f"{pack}/"
    due = [(row.label, row.rc) for row in status.checks]
    due += [(row.label, row.rc) for row in status.judged.runs]
    check_logs(results, run, seen, place, docs.logs.logs, due, pack)
    own = [path.removeprefix(place) for path in seen.below(pack) if path in run.sizes]
    artifacts = sorted(
        path.removeprefix(paths.ARTIFACTS) for path in own if path.startswith(paths.ARTIFACTS)
    )
    there = tuple(sorted(map(spell, artifacts)))
    results.differs(
        "VERIFY_ARTIFACTS",
        f"{place}{paths.STATUS}",
        "the files of ARTIFACTS/",
        there,
        status.artifacts,
        pack,
    )
    for path in sorted(
        path
        for path in own
        if path not in _FIXED and not path.startswith((paths.ARTIFACTS, paths.LOGS))
    ):
        results.wrong(
            "VERIFY_EXTRA", place + spell(path), "expected no such file in a bundle, found it", pack
        )
    if run.read(f"{place}{paths.SUMMARY}") != summary_of(status):
        results.wrong(
            "VERIFY_STATUS",
            f"{place}{paths.SUMMARY}",
            "expected what STATUS.json yields, found another text",
            pack,
        )


def check_logs(
    results: Results,
    run: EvidenceFolder,
    seen: FileDigests,
    place: str,
    logs: tuple[LogRow, ...],
    due: list[tuple[str, int]],
    pack: str = "",
) -> None:
    """Compare LOGS/ of `place` with its index, and the index with the due commands (label,
    code).
    """
    index = f"{place}{paths.LOG_INDEX}"
    recorded = [(log.label, log.rc) for log in logs]
    results.differs("VERIFY_LOGS", index, "commands and codes", due, recorded, pack)
    known = {index}
    for log in logs:
        path = f"{paths.LOGS}{log.label}.log"
        known.add(place + path)
        results.differs("VERIFY_LOGS", index, "a log's path", path, log.path, pack)
        check_digest(results, place + path, log.sha256, seen(place + path), pack)
        if place + path not in results.spoilt:
            results.differs(
                "VERIFY_LOGS",
                place + path,
                "its size",
                log.bytes,
                run.sizes.get(place + path),
                pack,
            )
    there = (path for path in seen.below(place.rstrip("/")) if path in run.sizes)
    for path in sorted(
        path for path in there if path.startswith(f"{place}{paths.LOGS}") and path not in known
    ):
        results.wrong(
            "VERIFY_EXTRA", spell(path), "expected only logs that INDEX.json names, found it", pack
        )


def _sum(counts: Iterable[int | None]) -> int:
    return sum(count or 0 for count in counts)


def summary_of(status: BundleStatus) -> bytes:
    """Return SUMMARY.md as it must be."""
    rows = [f"# {inert(status.pack)}: {status.status}", ""]
    files = "1 file" if status.files_changed == 1 else f"{status.files_changed} files"
    rows += [f"{files} changed, +{status.lines_added} −{status.lines_removed}.", ""]
    rows += [f"- `{check.label}` ended with {check.rc}" for check in status.checks]
    ran = {check.label for check in status.checks}
    rows += [f"- `{label}` did not run" for label in status.required if label not in ran]
    rows += [f"- **{row.id}** {inert(row.message)}" for row in status.findings]
    return ("\n".join(rows).rstrip() + "\n").encode("utf-8")
