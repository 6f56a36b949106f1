"""Compare the checks on the merged tree with the contracts, their logs, and what may be skipped."""

from __future__ import annotations

from collections.abc import Mapping

from factory.verify import paths
from factory.verify.bundle import Bundle
from factory.verify.bundle_documents import check_logs, load
from factory.verify.documents import LogIndex, RunStatus
from factory.verify.folder import EvidenceFolder
from factory.verify.manifests import FileDigests
from factory.verify.merge import MergeCheck
from factory.verify.objects import ObjectError
from factory.verify.patterns import PatternReach
from factory.verify.results import Results
from factory.verify.stack import unnarrowed
from factory.verify.trees import FOLDER, Clash, Unknown, parts

_FILE = f"{paths.Z}/{paths.STATUS}"


def check_rechecks(
    results: Results,
    run: EvidenceFolder,
    seen: FileDigests,
    status: RunStatus,
    bundles: Mapping[str, Bundle],
    merging: MergeCheck,
) -> None:
    """Compare the re-checks of a run, and their logs, with everything else."""
    due = []
    if status.rechecks or status.status == "PASS":
        due = [
            (pack, c.label, c.run)
            for pack in sorted(bundles)
            for c in bundles[pack].contract.acceptance
        ]
    rows = [(row.pack, row.label, row.run) for row in status.rechecks]
    results.differs("VERIFY_MERGE", _FILE, "the checks on the merged tree", due, rows)
    for row in status.rechecks:
        fine = row.outcome in ("ok", "as-accepted")
        if fine != (row.rc == 0):
            results.differs(
                "VERIFY_STATUS",
                _FILE,
                f"the code of {row.pack} {row.label}, {row.outcome}",
                "another",
                row.rc,
            )
    for pack in sorted({row.pack for row in status.rechecks if row.outcome == "as-accepted"}):
        if pack in bundles:
            _same_view(results, status, bundles[pack], merging)
    _logs(results, run, seen, status)


def _same_view(results: Results, status: RunStatus, bundle: Bundle, merging: MergeCheck) -> None:
    """Check that a skipped check's pack would see the tree it was accepted on."""
    part = f"skipped checks of {bundle.pack}"
    try:
        if not status.packs_committed and _differed(status.base_tree, bundle, merging):
            results.gap(part, "the pack's folder differed from the base commit")
            return
        seen = _view(status.merged_tree, bundle, merging)
    except Unknown as unknown:
        results.gap(part, f"the base's tree {unknown} is not at hand")
    except (Clash, ObjectError) as error:
        results.wrong("VERIFY_MERGE", _FILE, f"{part}: {error}", bundle.pack)
    else:
        results.differs(
            "VERIFY_MERGE",
            _FILE,
            f"{part}, the tree to see",
            bundle.status.result_tree,
            seen,
            bundle.pack,
        )


def _differed(base: str, bundle: Bundle, merging: MergeCheck) -> bool:
    """Return whether a pack's folder was not that of the base. Raise Unknown, ObjectError."""
    trees = merging.trees
    return trees is not None and trees.at(base, parts(bundle.folder)) != bundle.tree


def _view(merged: str, bundle: Bundle, merging: MergeCheck) -> str:
    inputs, trees = bundle.lock.inputs, merging.trees
    if trees is None:
        return merged
    if inputs is None:
        shown = unnarrowed(trees, merged, bundle, merging)
    else:
        shown = trees.narrowed(merged, PatternReach.of((*inputs, f"{bundle.folder}/")))
    own = (path for path, after in bundle.change.after.items() if after is not None)
    there = {path: entry for path in own if (entry := trees.at(merged, path)) is not None}
    return trees.edited(
        shown, {path: entry for path, entry in there.items() if entry.mode != FOLDER}
    )


def _logs(results: Results, run: EvidenceFolder, seen: FileDigests, status: RunStatus) -> None:
    index = load(results, run, f"{paths.Z}/{paths.LOG_INDEX}", LogIndex)
    if index is not None:
        again = [row for row in status.rechecks if row.outcome != "as-accepted"]
        ran = [(row.pack, row.label, row.rc) for row in again]
        ran += [(row.pack, row.label, row.rc) for row in status.judge_runs]
        ran.sort(key=lambda row: row[0])  # of each pack its checks first
        due = [(f"{pack}.{label}", rc) for pack, label, rc in ran]
        check_logs(results, run, seen, f"{paths.Z}/", index.logs, due)
