"""A run's end as values, for everything that renders it."""

from __future__ import annotations

from dataclasses import replace

from factory.model.evidence import (
    CheckRecord,
    FileRecord,
    FilesChanged,
    FindingRecord,
    LogIndex,
    LogRecord,
    OverlapRecord,
    PackLine,
    PolicyRecord,
    RecheckRecord,
    RunStatus,
    StatusDocument,
)
from factory.report.run_view import BundleView, RunView, Span, WhenAndWhere


def finding(kind: str, message: str, **more: object) -> FindingRecord:
    known = {"id": kind, "severity": "error", "message": message}
    return FindingRecord(**{**known, **more})  # type: ignore[arg-type]


def line(pack: str, **more: object) -> PackLine:
    known = {
        "pack": pack,
        "title": "Licence inventory",
        "domain": "security",
        "why": "Lists what we ship and under which terms.",
        "status": "PASS",
        "files_changed": 1,
        "lines_added": 2,
        "lines_removed": 1,
        "checks_ok": 1,
        "checks": 1,
        "artifacts": (),
        "bundle_sha256": "a" * 64,
    }
    return PackLine(**{**known, **more})  # type: ignore[arg-type]


def status(**more: object) -> RunStatus:
    known = {
        "run_id": "factory_20261122_101502_1f0c9a2e_001",
        "status": "PASS",
        "base_ref": "HEAD",
        "base_commit": "b" * 40,
        "base_tree": "c" * 40,
        "merged_tree": "d" * 40,
        "packs_committed": True,
        "packs": (line("TASK-0101"),),
        "findings": (),
        "rechecks": (),
        "overlaps": (),
        "largest_set": (),
        "smallest_conflict": (),
        "exact": True,
        "properties_given": ("fs_read_scoped", "net_isolated"),
        "properties_accepted": (),
        "policy": PolicyRecord(sha256="9" * 64),
    }
    return RunStatus(**{**known, **more})  # type: ignore[arg-type]


def check(label: str, run: str, rc: int = 0) -> CheckRecord:
    kind = label.partition("-")[0]
    return CheckRecord(label=label, kind=kind, name=label, run=run, rc=rc, ended="exited")


def bundle(pack: str, *checks: CheckRecord, excerpts: dict[str, str] | None = None) -> BundleView:
    document = StatusDocument(
        pack=pack,
        status="PASS",
        action_key="e" * 64,
        base_tree="c" * 40,
        result_tree="d" * 40,
        required=tuple(each.label for each in checks),
        checks=checks,
        findings=(),
        attempts=(),
        artifacts=(),
        files_changed=1,
        lines_added=2,
        lines_removed=1,
    )
    return BundleView(document, excerpts or {})


def changed(*paths: str) -> FilesChanged:
    rows = tuple(
        FileRecord(
            path=path,
            kind="modified",
            mode_before="100644",
            mode_after="100644",
            oid_before="1" * 40,
            oid_after="2" * 40,
            sha256_before="3" * 64,
            sha256_after="4" * 64,
            lines_added=None if path.endswith(".bin") else 2,
            lines_removed=None if path.endswith(".bin") else 1,
        )
        for path in paths
    )
    return FilesChanged(base_tree="c" * 40, result_tree="d" * 40, files=rows)


def spoilt(text: str) -> RunView:
    """A run in which everything that a pack, a branch or an exception can name is `text`."""
    rows = tuple(
        finding(
            kind,
            message,
            severity=severity,
            hint=text,
            facts={"label": "tests-1", text: text},
            file=text,
            line=3,
            pack=pack,
        )
        for kind, message, severity, pack in (
            ("CHECK_FAILED", f"tests-1 `{text}` ended with 1", "error", "TASK-0101"),
            ("CRASH", text, "error", ""),
            ("REPO_DIRTY", text, "warning", text),
        )
    )
    met = OverlapRecord(
        first="TASK-0101", second=text, path=text, other_path=text, hidden=False, resolved=text
    )
    verdict = status(
        status="FAIL",
        base_ref=text,
        packs=(
            line(
                "TASK-0101", title=text, domain=text, why=text, status="BLOCKED", artifacts=(text,)
            ),
            line(text),
        ),
        findings=rows,
        rechecks=(
            RecheckRecord(
                pack=text, label="tests-1", run=text, outcome="broken", rc=1, culprits=(text,)
            ),
        ),
        overlaps=(met,),
        largest_set=(text,),
        smallest_conflict=(text,),
        properties_accepted=("net_isolated",),
    )
    name = f"{text}.tests-1"
    log = LogRecord(
        label=name, path=f"LOGS/{name}.log", sha256="5" * 64, bytes=1, truncated=False, rc=1
    )
    own = bundle("TASK-0101", check("tests-1", text, 1), excerpts={"tests-1": f"{text}\n{text}"})
    own = replace(own, patch=("diff --git a/x b/x", "@@ -1 +1 @@", f"-{text}", f"+{text}", text))
    facts = WhenAndWhere(text, "2026-11-22T10:15:02.000Z", 1500, text, (Span(text, 0, 70_000),))
    logs = LogIndex(logs=(log,))
    return RunView(verdict, changed(text, "a.bin"), {"TASK-0101": own}, logs, facts)
