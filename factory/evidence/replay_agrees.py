"""Compare what the ledger says of a run with what the run's folder says. Pure: both are given.

Does not know how either was read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from factory.evidence.replay import ReplayedPack, ReplayedRun
from factory.model.event import RunState
from factory.model.evidence import PackLine, RunStatus, StatusDocument
from factory.model.finding import Finding, Location
from factory.model.layout import IN_BUNDLE, INTEGRATOR, RunFolder, shown


@dataclass(frozen=True, slots=True)
class FolderSays:
    """Describe a run's folder: whether it and its manifest exist, and its verdict (None: missing or
    malformed).

    `status_digest` and `report_digest` are SHA-256 of STATUS.json and FINAL_REPORT.md, "" where
    there is none. `bundles` are the verdicts of the well-formed bundles, `manifests` the digests of
    all, by pack.
    """

    present: bool
    has_manifest: bool
    status: RunStatus | None
    status_digest: str
    report_digest: str
    bundles: Mapping[str, StatusDocument] = field(default_factory=lambda: MappingProxyType({}))
    manifests: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


def disagreements(run: ReplayedRun, says: FolderSays) -> tuple[Finding, ...]:
    """Return every difference between replay and folder; none means that they agree."""
    match run.state:
        case RunState.REMOVED:
            return (
                (_finding(run, "the ledger says that it was removed, and its folder is there"),)
                if says.present
                else ()
            )
        case RunState.FINISHED:
            return tuple(_of_finished(run, says))
        case RunState.OPEN | RunState.PREPARED if says.has_manifest:
            return (
                _finding(
                    run,
                    f"the ledger says that it is {run.state.value}, and its folder has a manifest",
                ),
            )
        case _:
            return ()


def _of_finished(run: ReplayedRun, says: FolderSays) -> Iterable[Finding]:
    if not says.present:
        yield Finding("RUN_GONE", {"run": run.run_id})
        return
    if says.status is None:
        yield _finding(
            run,
            f"it finished {run.status}, and its folder has no {INTEGRATOR.status} that is"
            " well formed",
        )
        return
    status = says.status
    pairs = (
        ("run id", run.run_id, status.run_id),
        ("verdict", run.status, status.status),
        ("base commit", run.base_commit, status.base_commit),
        ("base ref", run.base_ref, status.base_ref),
        ("merged tree", run.merged_tree, status.merged_tree),
        (f"digest of {IN_BUNDLE.status}", run.hashes.get("status", ""), says.status_digest),
        (f"digest of {INTEGRATOR.report}", run.hashes.get("report", ""), says.report_digest),
    )
    for what, recorded, found in pairs:
        if recorded != found:
            yield _finding(
                run,
                f"its {what} is {_short(recorded)} in the ledger and {_short(found)} in its folder",
            )
    lines = {line.pack: line for line in status.packs}
    yield from _of_packs(run, lines)
    yield from _of_rechecks(run, status)
    for pack in run.packs:
        if pack.pack in lines and lines[pack.pack].bundle_sha256:  # else the run took no bundle in
            yield from _of_bundle(run, pack, says)


def _of_packs(run: ReplayedRun, lines: dict[str, PackLine]) -> Iterable[Finding]:
    for pack in run.packs:
        line = lines.get(pack.pack)
        if line is None:
            yield _finding(
                run, f"{pack.pack} took part by the ledger, and its folder does not know it"
            )
            continue
        if pack.action_key and pack.status and pack.status != line.status:
            yield _finding(
                run,
                f"{pack.pack} ended {pack.status} in the ledger and {line.status} in its folder",
            )
        if pack.from_run != line.came_from:
            recorded, found = pack.from_run or "this run", line.came_from or "this run"
            yield _finding(
                run,
                f"{pack.pack} came from {recorded} in the ledger and from {found} in its folder",
            )


def _of_rechecks(run: ReplayedRun, status: RunStatus) -> Iterable[Finding]:
    """Compare the checks on the merged tree.

    Those that broke off are left out: a run that is not PASS does not record them.
    """
    if not status.rechecks and status.status != "PASS":
        return
    again = [row for row in status.rechecks if row.outcome != "as-accepted"]
    for pack in run.packs:
        recorded = _outcomes(pack.outcomes)
        found = _outcomes(
            (row.label, row.rc, row.outcome) for row in again if row.pack == pack.pack
        )
        if recorded != found:
            yield _finding(
                run,
                f"{pack.pack}: its checks on the merged tree are {recorded} in the ledger and"
                f" {found} in its folder",
            )


def _outcomes(ran: Iterable[tuple[str, int, str]]) -> str:
    return ", ".join(f"{label} {rc} {outcome}" for label, rc, outcome in ran) or "none"


def _of_bundle(run: ReplayedRun, pack: ReplayedPack, says: FolderSays) -> Iterable[Finding]:
    """Compare one pack with its bundle: by digest where the ledger names it, by what ran where it
    ran here.
    """
    if pack.manifest and pack.manifest != says.manifests.get(pack.pack, ""):
        recorded, found = _short(pack.manifest), _short(says.manifests.get(pack.pack, ""))
        yield _finding(
            run, f"{pack.pack}: its bundle is {recorded} in the ledger and {found} in its folder"
        )
    if not pack.status:
        return
    bundle = says.bundles.get(pack.pack)
    if bundle is None:
        yield _finding(
            run,
            f"{pack.pack} ended {pack.status}, and its bundle has no {IN_BUNDLE.status} that is"
            " well formed",
        )
        return
    pairs = (
        ("verdict", pack.status, bundle.status),
        ("action key", pack.action_key, bundle.action_key),
        ("result tree", pack.result_tree, bundle.result_tree),
        ("number of attempts", str(pack.attempts), str(len(bundle.attempts))),
        (
            "commands",
            _commands(pack.ran),
            _commands((check.label, check.rc) for check in bundle.checks),
        ),
    )
    for what, recorded, found in pairs:
        if recorded != found:
            yield _finding(
                run,
                f"{pack.pack}: its {what} is {recorded} in the ledger and {found} in its bundle",
            )


def _commands(ran: Iterable[tuple[str, int]]) -> str:
    return ", ".join(f"{label} {rc}" for label, rc in ran) or "none"


def _finding(run: ReplayedRun, what: str) -> Finding:
    facts = {"case": "wrong", "run": run.run_id, "problem": what}
    place = Location(shown(RunFolder.of(run.run_id)))
    return Finding("LEDGER_DISAGREES", facts, location=place)


def _short(text: str) -> str:
    return f"{text[:12]}…" if len(text) > 40 else text or "nothing"
