"""The renderings of a finished run for people and machines: report as Markdown, text and HTML,
JUnit, SARIF.

All of them are functions of the run's status and of bundles whose files are those that it names;
written again after a crash, they are the same bytes. Decides nothing.
"""

from __future__ import annotations

from factory.model.evidence import (
    FilesChanged,
    LogIndex,
    Manifest,
    PackLine,
    RunStatus,
    StatusDocument,
)
from factory.model.evidence_text import EvidenceError, parse_document, sha256
from factory.model.names import INTEGRATOR
from factory.plan.site import Site
from factory.report import text as report_text
from factory.report.html import report_html
from factory.report.junit import junit_xml
from factory.report.run_view import BundleView, RunView, excerpt
from factory.report.sarif import results_sarif


def write_renderings(site: Site, status: RunStatus, changed: FilesChanged | None) -> None:
    """Write every rendering below the integrator's folder, the one that the ledger names first."""
    folder = f"runs/{status.run_id}/{INTEGRATOR}"
    view = _view(site, status, changed)
    for name, content in (
        ("FINAL_REPORT.md", report_text.markdown(status, changed)),
        ("FINAL_REPORT.txt", report_text.plain(status, changed)),
        ("report.html", report_html(view)),
        ("junit.xml", junit_xml(view)),
        ("results.sarif", results_sarif(view)),
    ):
        site.store.write(f"{folder}/{name}", content)


def _view(site: Site, status: RunStatus, changed: FilesChanged | None) -> RunView:
    run = f"runs/{status.run_id}"
    bundles = {
        line.pack: _bundle(site, f"{run}/{line.pack}", line)
        for line in status.packs
        if line.bundle_sha256
    }
    try:
        logs = parse_document(
            LogIndex, site.store.read(f"{run}/{INTEGRATOR}/LOGS/INDEX.json") or b""
        )
    except EvidenceError:
        logs = LogIndex(logs=())
    return RunView(
        status, changed, {pack: view for pack, view in bundles.items() if view is not None}, logs
    )


def _bundle(site: Site, folder: str, line: PackLine) -> BundleView | None:
    """One bundle's own words; None where its files are not those of the manifest that the status
    names.
    """
    manifest = site.store.read(f"{folder}/manifest.json") or b""
    content = site.store.read(f"{folder}/STATUS.json") or b""
    try:
        files = {entry.path: entry.sha256 for entry in parse_document(Manifest, manifest).files}
        said = parse_document(StatusDocument, content)
    except EvidenceError:
        return None
    if sha256(manifest) != line.bundle_sha256 or files.get("STATUS.json") != sha256(content):
        return None
    excerpts = {}
    for check in said.checks:
        path = f"LOGS/{check.label}.log"
        if (check.rc or check.ended != "exited") and path in files:
            log = site.store.read(f"{folder}/{path}") or b""
            excerpts[check.label] = excerpt(log) if sha256(log) == files[path] else ""
    return BundleView(said, excerpts)
