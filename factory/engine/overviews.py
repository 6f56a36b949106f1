"""What looks over all runs of a repository: evidence index, review, replay, garbage collection.

Wiring like `factory.engine.wiring`, which may use it: builds what is needed and hands it over;
decides nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from factory.contract.catalogue import read_catalogue
from factory.evidence import evidence_index, gc, review
from factory.evidence.evidence_index import IndexBuild
from factory.evidence.exports import ExportedRuns
from factory.evidence.inventory import RunInventory
from factory.evidence.ledger_replay import LedgerReplay, replay_ledger
from factory.evidence.review_rules import Mode
from factory.evidence.trash import settle_trash
from factory.evidence.workflows import FOLDER, is_workflow
from factory.files.added_files import WorkTreeGround
from factory.files.fs_guard import write_atomic
from factory.git import repository
from factory.model import layout
from factory.model.errors import Refusal
from factory.model.evidence_text import format_document
from factory.model.finding import Finding
from factory.model.index import EvidenceIndex, ReviewReport
from factory.model.layout import STATE_FOLDER, shown
from factory.model.names import AFTER_RUN_INDEX, AFTER_RUN_REVIEW
from factory.model.wording import counted
from factory.plan.site import Site

SCHEMAS_FOLDER = "schemas"
_OUR_SCHEMA = b'"$id": "urn:codex-orchestrator:schema:'


def make_index(site: Site, full: bool = False) -> IndexBuild:
    """Make the evidence index. Raises Refusal LEDGER_BROKEN, EVIDENCE_UNREADABLE,
    DISK_UNWRITABLE.
    """
    return evidence_index.make_index(site.store, site.ledger, RunInventory(site.store.root), full)


def load_index(site: Site) -> EvidenceIndex:
    """The evidence index as it stands. Raises Refusal INDEX_MISSING, INDEX_BROKEN."""
    return evidence_index.load_index(site.store)


def replay(site: Site, run_id: str, until: int) -> LedgerReplay:
    """Replay the ledger. Raises Refusal LEDGER_BROKEN, LEDGER_ORDER, RUN_UNKNOWN."""
    return replay_ledger(site.store, site.ledger, run_id, until)


def make_review(site: Site, mode: Mode, config_findings: tuple[Finding, ...]) -> ReviewReport:
    """Review the repository as it stands. Raises Refusal DISK_UNWRITABLE."""
    catalogue = read_catalogue(
        site.work_tree, site.config.packs_folder, site.config.ceilings, site.redactor
    )
    where = review.Reviewed(
        catalogue, site.work_tree, site.store, site.ledger, RunInventory(site.store.root)
    )
    return review.review(mode, where, _surroundings(site, config_findings))


def _surroundings(site: Site, config_findings: tuple[Finding, ...]) -> review.ReviewInputs:
    root = site.repository.root
    names = WorkTreeGround(root).names(FOLDER)
    contents = (
        (f"{FOLDER}/{name}", site.work_tree.read(f"{FOLDER}/{name}"))
        for name in names
        if is_workflow(name)
    )
    return review.ReviewInputs(
        commit=site.repository.commit,
        config_findings=config_findings,
        schema_findings=stale_schemas(root),
        schemas=len(our_schemas(root)),
        workflows={path: content for path, content in contents if content is not None},
        exposed=repository.not_ignored_below(site.repository, STATE_FOLDER),
    )


def our_schemas(root: Path) -> tuple[Path, ...]:
    """Files of the schemas folder, where one of them is ours; else none."""
    folder = root / SCHEMAS_FOLDER
    written = sorted(folder.glob("*.schema.json")) if folder.is_dir() else []
    return (
        tuple(written)
        if any(_OUR_SCHEMA in path.read_bytes() for path in written if path.is_file())
        else ()
    )


def stale_schemas(root: Path) -> tuple[Finding, ...]:
    """Findings over the schemas folder, where one of its files is ours."""
    if not our_schemas(root):
        return ()
    from factory.contract import schemas

    return schemas.stale(root / SCHEMAS_FOLDER, SCHEMAS_FOLDER)


def plan_gc(site: Site, keep: int, exported: Path | None) -> gc.Collection:
    """What could be removed. The run lock is held. Raises Refusal, UsageError for a folder that
    cannot hold copies.
    """
    exports = ExportedRuns(site.store.root, exported) if exported is not None else None
    return gc.plan(site, site.refs, keep, exports)


def collect_garbage(
    site: Site, keep: int, exported: Path | None, tell: Callable[[gc.Removal], None] | None
) -> gc.Collection:
    """Plan, and with `tell` remove, under the run lock. Raises Refusal LOCKED and as the phase
    does, UsageError.
    """
    with site.locks.hold("run"):
        site.locks.announce("run", "collecting garbage")
        settle_trash(site)
        planned = plan_gc(site, keep, exported)
        if tell is not None:
            gc.collect(site, planned, tell)
        return planned


def clean_caches(site: Site, tell: Callable[[gc.Removal], None], dry: bool) -> None:
    """Remove the caches, or with `dry` only tell, under the run lock. Raises Refusal LOCKED and as
    the phase does.
    """
    with site.locks.hold("run"):
        site.locks.announce("run", "removing caches")
        planned = gc.caches(site)
        if not dry:
            gc.collect(site, planned, tell)
            return
        for removal in planned.removals:
            tell(removal)


def after_run(
    site: Site, environ: Mapping[str, str], config_findings: Callable[[], tuple[Finding, ...]]
) -> Callable[[str], tuple[str, ...]]:
    """What is done when a run was settled, by the opt-in flags: lines to tell. The run lock is
    held.

    Nothing of it can change the run's verdict: what fails is told in its line.
    """

    def write_index(_run_id: str) -> str:
        made = make_index(site)
        return (
            f"Index     {counted(made.runs, 'run')}, {counted(made.artifacts, 'artifact')},"
            f" {made.sha256[:12]}"
        )

    def collect_review(run_id: str) -> str:
        made = make_review(site, Mode.ADVISORY, config_findings())
        path = layout.review(run_id)
        site.store.write(path, format_document(made))
        told = f"{counted(made.errors, 'error')}, {counted(made.warnings, 'warning')}"
        return f"Review    {told}  {shown(path)}"

    wanted = [
        (name, step)
        for name, variable, step in (
            ("Index", AFTER_RUN_INDEX, write_index),
            ("Review", AFTER_RUN_REVIEW, collect_review),
        )
        if environ.get(variable) == "1"
    ]
    return lambda run_id: tuple(_told(name, step, run_id) for name, step in wanted)


def _told(name: str, step: Callable[[str], str], run_id: str) -> str:
    try:
        return step(run_id)
    except Refusal as refusal:
        return f"{name:<10}not made: {refusal.findings[0].id}  {refusal.sentence}"


def write_report(path: Path, made: ReviewReport) -> None:
    """Write a review report to a file that a person named. Raises Refusal DISK_UNWRITABLE."""
    write_atomic(Path(os.path.realpath(path)), format_document(made))
