"""The review of a whole repository: objective checks over work tree, ledger, runs and index. Reads
only.

Each check is independent: what prevents one is its finding, and the others go on. Does not know
what a check's outcome means for the verdict: that is `evidence.review_rules`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from factory.contract.catalogue import Catalogue
from factory.contract.work_tree import UserWorkTree
from factory.evidence.evidence_index import derive_index
from factory.evidence.inventory import RunInventory
from factory.evidence.ledger_replay import replay_ledger
from factory.evidence.review_rules import CheckResult, Mode, report
from factory.evidence.run_files import judge_run_files
from factory.evidence.workflows import judge_permissions, judge_pins
from factory.files.ports import Ledger, Store
from factory.judge.path_guard import display
from factory.judge.scope import compile_patterns
from factory.model.errors import Refusal
from factory.model.finding import Finding, Location
from factory.model.findings.entry import Facts
from factory.model.index import ReviewReport
from factory.model.layout import EVIDENCE_INDEX, STATE_FOLDER, RunFolder, shown
from factory.model.pack import TaskPack


@dataclass(frozen=True, slots=True)
class ReviewInputs:
    """List what was gathered before: findings over configuration and schemas, workflows by path,
    exposed paths.

    `schemas` counts the schema files that are ours; `exposed` are files of the state folder that
    Git would commit.
    """

    commit: str
    config_findings: tuple[Finding, ...]
    schema_findings: tuple[Finding, ...]
    schemas: int
    workflows: Mapping[str, bytes]
    exposed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reviewed:
    """Name what a review reads."""

    catalogue: Catalogue
    work_tree: UserWorkTree
    store: Store
    ledger: Ledger
    inventory: RunInventory


def review(mode: Mode, where: Reviewed, around: ReviewInputs) -> ReviewReport:
    """Make every check.

    Raise Refusal DISK_UNWRITABLE where nothing can be remembered of what was read.
    """
    return report(
        mode,
        around.commit,
        (
            _contracts(where.catalogue, around),
            _pack_files(where.catalogue),
            _docs(where),
            CheckResult("RV-SCHEMAS", around.schemas, around.schema_findings),
            _workflows("RV-WORKFLOW-PINS", judge_pins, around.workflows),
            _workflows("RV-WORKFLOW-PERMISSIONS", judge_permissions, around.workflows),
            CheckResult("RV-STATE-IGNORED", 1, tuple(_exposed(around.exposed))),
            _guarded("RV-LEDGER", lambda: _ledger(where)),
            _guarded("RV-RUNS", lambda: _runs(where)),
            _guarded("RV-INDEX", lambda: _index(where)),
        ),
    )


def _guarded(name: str, judge: Callable[[], tuple[int, tuple[Finding, ...]]]) -> CheckResult:
    try:
        count, findings = judge()
    except Refusal as refusal:
        return CheckResult(name, 1, refusal.findings)
    return CheckResult(name, count, findings)


def _contracts(catalogue: Catalogue, around: ReviewInputs) -> CheckResult:
    found = (*around.config_findings, *catalogue.all_findings())
    others = tuple(finding for finding in found if finding.id != "PACK_FILE_MISSING")
    return CheckResult("RV-CONTRACTS", len(catalogue.entries) + 1, others)


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
