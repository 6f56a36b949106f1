"""Write the renderings of a finished run: Markdown, text and HTML reports, JUnit, SARIF.

All of them are functions of the run's status and of bundles with the digests that it names. Written
again after a crash, they have the same bytes. Decides nothing. Another one is a function, its row
here and its name in `IntegratorFolder.renderings`; `verify` reads it back with a check of its own.
"""

from __future__ import annotations

from factory.model.evidence import (
    EventDocument,
    FilesChanged,
    LogIndex,
    Manifest,
    PackLine,
    RunStatus,
    StatusDocument,
)
from factory.model.evidence_text import EvidenceError, parse_document, sha256
from factory.model.layout import IN_BUNDLE, BundleFolder, IntegratorFolder, RunFolder
from factory.model.ledger_state import PREPARED, STARTED
from factory.plan.site import Site
from factory.report import text as report_text
from factory.report.html import report_html
from factory.report.junit import junit_xml
from factory.report.run_view import (
    MOST_DIFF_BYTES,
    BundleView,
    RunView,
    WhenAndWhere,
    excerpt,
    facts_of,
    patch_lines,
)
from factory.report.sarif import results_sarif


def write_renderings(site: Site, status: RunStatus, changed: FilesChanged | None) -> None:
    """Write every rendering into the integrator's folder; FINAL_REPORT.md, which the ledger names,
    first.
    """
    folder = RunFolder.of(status.run_id).integrator
    site.store.write_together(rendered(folder, _view(site, status, changed)))


def _facts(site: Site, run: RunFolder, run_id: str) -> WhenAndWhere:
    """Return the facts of a run whose end is prepared; no later event is looked at, so that
    rendering it again after a crash gives the same bytes.
    """
    found: list[EventDocument] = []
    for event in site.ledger.newest():
        if event.run_id != run_id:
            continue
        if event.event_type == PREPARED:
            found = []
        found.append(event)
        if event.event_type == STARTED:
            break
    return facts_of(reversed(found), site.store.read(run.raw.enforcement) or b"")


def rendered(folder: IntegratorFolder, view: RunView) -> dict[str, bytes]:
    """Return every rendering of a run by its path in `folder`."""
    return {
        folder.report: report_text.markdown(view.status, view.changed),
        folder.report_text: report_text.plain(view.status, view.changed),
        folder.report_page: report_html(view),
        folder.junit: junit_xml(view),
        folder.sarif: results_sarif(view),
    }


def _view(site: Site, status: RunStatus, changed: FilesChanged | None) -> RunView:
    run = RunFolder.of(status.run_id)
    bundles = {
        line.pack: _bundle(site, run.bundle(line.pack), line)
        for line in status.packs
        if line.bundle_sha256
    }
    try:
        logs = parse_document(LogIndex, site.store.read(run.integrator.log_index) or b"")
    except EvidenceError:
        logs = LogIndex(logs=())
    return RunView(
        status,
        changed,
        {pack: view for pack, view in bundles.items() if view is not None},
        logs,
        _facts(site, run, status.run_id),
    )


def _bundle(site: Site, folder: BundleFolder, line: PackLine) -> BundleView | None:
    """Return one bundle's status and log ends; None if its files do not match the status's
    manifest.
    """
    manifest = site.store.read(folder.manifest) or b""
    content = site.store.read(folder.status) or b""
    try:
        files = {entry.path: entry.sha256 for entry in parse_document(Manifest, manifest).files}
        said = parse_document(StatusDocument, content)
    except EvidenceError:
        return None
    if sha256(manifest) != line.bundle_sha256 or files.get(IN_BUNDLE.status) != sha256(content):
        return None
    excerpts = {}
    for check in said.checks:
        path = IN_BUNDLE.log(check.label)
        if (check.rc or check.ended != "exited") and path in files:
            log = site.store.read(folder.at(path)) or b""
            excerpts[check.label] = excerpt(log) if sha256(log) == files[path] else ""
    patch, more = _patch(site, folder, files.get(IN_BUNDLE.patch, ""))
    return BundleView(said, excerpts, patch, more)


def _patch(site: Site, folder: BundleFolder, digest: str) -> tuple[tuple[str, ...], int]:
    """Return what the report shows of a bundle's patch; nothing of one that is large, or not the
    one that the manifest lists.
    """
    if site.store.size(folder.patch) > MOST_DIFF_BYTES:
        return (), 0
    content = site.store.read(folder.patch) or b""
    return patch_lines(content) if content and sha256(content) == digest else ((), 0)
