"""Review a whole repository: objective checks over work tree, ledger, runs and index. Reads only.

Each check is independent: what prevents one is its finding, and the others go on. Does not know
what a check's outcome means for the verdict: that is `evidence.review_rules`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from factory.contract.catalogue import Catalogue, read_catalogue
from factory.contract.check import our_schemas, stale_schemas
from factory.contract.work_tree import UserWorkTree
from factory.evidence.evidence_index import derive_index
from factory.evidence.inventory import RunInventory
from factory.evidence.ledger_replay import replay_ledger
from factory.evidence.review_rules import CheckResult, Mode, report
from factory.evidence.run_files import judge_run_files
from factory.evidence.workflows import FOLDER, is_workflow, judge_permissions, judge_pins
from factory.files.added_files import AddedFiles
from factory.files.ports import Ledger, Store
from factory.git import checkout
from factory.judge.path_guard import display
from factory.judge.scope import compile_patterns
from factory.model.errors import Refusal
from factory.model.finding import Finding, Location
from factory.model.findings.entry import Facts
from factory.model.index import ReviewReport
from factory.model.layout import EVIDENCE_INDEX, STATE_FOLDER, RunFolder, shown
from factory.model.pack import TaskPack
from factory.plan.site import Site


@dataclass(frozen=True, slots=True)
class Reviewed:
    """Contain what the checks look at.

    `config_findings` are about the configuration, `schemas` counts the schema files that are ours,
    `workflows` maps paths to bytes, and `exposed` are paths of the state folder that Git would
    commit.
    """

    catalogue: Catalogue
    work_tree: UserWorkTree
    store: Store
    ledger: Ledger
    inventory: RunInventory
    config_findings: tuple[Finding, ...]
    schema_findings: tuple[Finding, ...]
    schemas: int
    workflows: Mapping[str, bytes]
    exposed: tuple[str, ...]


def review(site: Site, mode: Mode, config_findings: tuple[Finding, ...]) -> ReviewReport:
    """Return the report of every check. Raise Refusal DISK_UNWRITABLE if what was read cannot be
    remembered.
    """
    where = _gather(site, config_findings)
    return report(
        mode,
        site.repository.commit,
        (
            _contracts(where),
            _pack_files(where.catalogue),
            _docs(where),
            CheckResult("RV-SCHEMAS", where.schemas, where.schema_findings),
            _workflows("RV-WORKFLOW-PINS", judge_pins, where.workflows),
            _workflows("RV-WORKFLOW-PERMISSIONS", judge_permissions, where.workflows),
            CheckResult("RV-STATE-IGNORED", 1, tuple(_exposed(where.exposed))),
            _guarded("RV-LEDGER", lambda: _ledger(where)),
            _guarded("RV-RUNS", lambda: _runs(where)),
            _guarded("RV-INDEX", lambda: _index(where)),
        ),
    )


def _gather(site: Site, config_findings: tuple[Finding, ...]) -> Reviewed:
    """Return what the checks look at, read now."""
    root, config = site.repository.root, site.config
    paths = [f"{FOLDER}/{name}" for name in AddedFiles(root).names(FOLDER) if is_workflow(name)]
    workflows = {path: site.work_tree.read(path) for path in paths}
    return Reviewed(
        catalogue=read_catalogue(
            site.work_tree, config.packs_folder, config.ceilings, site.redactor
        ),
        work_tree=site.work_tree,
        store=site.store,
        ledger=site.ledger,
        inventory=RunInventory(site.store.root),
        config_findings=config_findings,
        schema_findings=stale_schemas(root),
        schemas=len(our_schemas(root)),
        workflows={path: content for path, content in workflows.items() if content is not None},
        exposed=checkout.not_ignored_below(site.repository, STATE_FOLDER),
    )


def _guarded(name: str, judge: Callable[[], tuple[int, tuple[Finding, ...]]]) -> CheckResult:
    try:
        count, findings = judge()
    except Refusal as refusal:
        return CheckResult(name, 1, refusal.findings)
    return CheckResult(name, count, findings)


def _contracts(where: Reviewed) -> CheckResult:
    found = (*where.config_findings, *where.catalogue.all_findings())
    others = tuple(finding for finding in found if finding.id != "PACK_FILE_MISSING")
    return CheckResult("RV-CONTRACTS", len(where.catalogue.entries) + 1, others)


def _pack_files(catalogue: Catalogue) -> CheckResult:
    found = tuple(
        finding for finding in catalogue.all_findings() if finding.id == "PACK_FILE_MISSING"
    )
    return CheckResult("RV-PACK-FILES", len(catalogue.entries), found)


def _docs(where: Reviewed) -> CheckResult:
    packs = [entry.pack for entry in where.catalogue.entries if entry.pack is not None]
    wanted = [(pack, path) for pack in packs for path in pack.docs_required]
    found = [
        _doc_missing(pack, path)
        for pack, path in wanted
        if _is_missing(where.work_tree, pack, path)
    ]
    return CheckResult("RV-DOCS", len(wanted), tuple(found))


def _is_missing(work_tree: UserWorkTree, pack: TaskPack, path: str) -> bool:
    """Return whether a required file does not exist and is not one that the pack
    itself may write.
    """
    try:
        there = work_tree.read(path) is not None
    except Refusal:
        there = False  # the way there is a link
    own = bool(pack.steps) and compile_patterns(pack.scope.allowed).matches(path)
    return not there and not own


def _doc_missing(pack: TaskPack, path: str) -> Finding:
    place = pack.place("/docs/required")
    return Finding("DOCS_MISSING", {"path": display(path)}, pack=pack.id, location=place)


def _workflows(
    name: str, judge: Callable[[str, bytes], tuple[Finding, ...]], workflows: Mapping[str, bytes]
) -> CheckResult:
    found = tuple(finding for path in sorted(workflows) for finding in judge(path, workflows[path]))
    return CheckResult(name, len(workflows), found)


def _exposed(paths: Iterable[str]) -> Iterable[Finding]:
    first, *more = [*paths] or [""]
    if not first:
        return
    facts: Facts = {"folder": STATE_FOLDER, "count": 1 + len(more), "first": display(first)}
    yield Finding("STATE_EXPOSED", facts, location=Location(display(first)))


def _ledger(where: Reviewed) -> tuple[int, tuple[Finding, ...]]:
    rebuilt = replay_ledger(where.store, where.ledger)
    return rebuilt.replayed.events, rebuilt.findings


def _runs(where: Reviewed) -> tuple[int, tuple[Finding, ...]]:
    found: list[Finding] = []
    count = 0
    for name in where.inventory.names():
        content = where.store.read(RunFolder.of(name).manifest)
        if content is None:
            # an abandoned run has none; that a finished one must have it is the ledger's check
            continue
        count += 1
        found += judge_run_files(name, content, where.inventory.survey(name).files)
    return count, tuple(found)


def _index(where: Reviewed) -> tuple[int, tuple[Finding, ...]]:
    on_disk = where.store.sha256(EVIDENCE_INDEX)
    if not on_disk:
        return 0, ()
    _, made = derive_index(where.ledger, where.inventory)
    if made.sha256 == on_disk:
        return made.artifacts, ()
    facts = {"expected": made.sha256, "found": on_disk}
    place = Location(shown(EVIDENCE_INDEX))
    return made.artifacts, (Finding("INDEX_STALE", facts, location=place),)
