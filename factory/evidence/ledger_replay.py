"""Replay this repository's ledger, and compare it with the run folders. Reads only.

Does not know how a run is rebuilt: that is `evidence.replay`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from factory.evidence.history import unknown_run
from factory.evidence.replay import Replayed, ReplayedRun, replay
from factory.evidence.replay_agrees import FolderSays, disagreements
from factory.files.ports import Ledger, Store
from factory.model.evidence import RunStatus, StatusDocument
from factory.model.evidence_text import AnyDocument, EvidenceError, parse_document
from factory.model.finding import Finding, Location
from factory.model.layout import RUNS, RunFolder, shown
from factory.model.names import RUN_ID


@dataclass(frozen=True, slots=True)
class LedgerReplay:
    """Contain the whole replay, the runs that were asked for, and where they disagree with their
    folders.
    """

    replayed: Replayed
    runs: tuple[ReplayedRun, ...]
    findings: tuple[Finding, ...]


def replay_ledger(store: Store, ledger: Ledger, run_id: str = "", until: int = 0) -> LedgerReplay:
    """Replay the ledger, up to event `until` (0: all of it). A part of it is not compared with
    today's folders.

    Raise Refusal LEDGER_BROKEN, LEDGER_ORDER, RUN_UNKNOWN.
    """
    count = ledger.state().head.seq
    replayed = replay(islice(ledger.events(), until or count))
    runs = tuple(run for run in replayed.runs if run_id in ("", run.run_id))
    if run_id and not runs:
        raise unknown_run(run_id, [run.run_id for run in replayed.runs])
    if until and until < count:
        return LedgerReplay(replayed, runs, ())
    found = [
        finding for run in runs for finding in disagreements(run, folder_says(store, run.run_id))
    ]
    return LedgerReplay(
        replayed, runs, (*found, *(_strangers(store, replayed) if not run_id else ()))
    )


def folder_says(store: Store, run_id: str) -> FolderSays:
    """Read from a run's folder what `replay_agrees` compares with the ledger."""
    run = RunFolder.of(run_id)
    names = store.names(run)
    manifests = {
        name: digest for name in names if (digest := store.sha256(run.bundle(name).manifest))
    }
    found = {
        name: _document(StatusDocument, store.read(run.bundle(name).status)) for name in manifests
    }
    return FolderSays(
        present=bool(names),
        has_manifest=bool(store.sha256(run.manifest)),
        status=_document(RunStatus, store.read(run.integrator.status)),
        status_digest=store.sha256(run.integrator.status),
        report_digest=store.sha256(run.integrator.report),
        bundles={name: status for name, status in found.items() if status is not None},
        manifests=manifests,
    )


def _document(model: type[AnyDocument], content: bytes | None) -> AnyDocument | None:
    try:
        return parse_document(model, content or b"")
    except EvidenceError:
        return None


def _strangers(store: Store, replayed: Replayed) -> Iterable[Finding]:
    """Yield LEDGER_DISAGREES for each run folder that the ledger does not know."""
    known = {run.run_id for run in replayed.runs}
    for name in store.names(RUNS):
        if RUN_ID.fullmatch(name) and name not in known:
            place = Location(shown(RunFolder.of(name)))
            yield Finding("LEDGER_DISAGREES", {"case": "unknown", "run": name}, location=place)
