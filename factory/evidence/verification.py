"""Record that a run was verified: one event after the run's end, made only where a person asks for
it.

`verify` itself only reads. Decides nothing; the result is given.
"""

from __future__ import annotations

from dataclasses import dataclass

from factory.evidence.ledger_head import cover_ledger
from factory.model.errors import Refusal
from factory.model.events import VerifyFinished
from factory.model.finding import Finding
from factory.model.layout import RunFolder
from factory.model.ledger_state import FINISHED
from factory.model.verdict import Status
from factory.plan.site import Site


@dataclass(frozen=True, slots=True)
class Checked:
    """Contain the result of a verification: its word (`verified`, `intact-untrusted` or
    `not-verified`), and counts of files read, findings, and parts that could not be checked.
    """

    run_id: str
    outcome: str
    status: Status
    duration_ms: int
    files: int
    findings: int
    not_checkable: int


def record(site: Site, checked: Checked) -> str:
    """Record the result. Return the id of the event.

    Raise Refusal RUN_UNKNOWN where the ledger does not say that the run finished, LEDGER_BROKEN,
    DISK_UNWRITABLE.
    """
    own = site.ledger.of_runs((checked.run_id,)) if checked.run_id else ()
    ends = [event.event_id for event in own if event.event_type == FINISHED]
    if not ends:
        facts = {"case": "unfinished", "run": checked.run_id or "that run"}
        raise Refusal(Finding("RUN_UNKNOWN", facts))
    event = VerifyFinished(
        outcome=checked.outcome,
        status=checked.status.value,
        manifest=site.store.sha256(RunFolder.of(checked.run_id).manifest),
        files=checked.files,
        findings=checked.findings,
        not_checkable=checked.not_checkable,
        duration_ms=checked.duration_ms,
        rc=checked.status.exit_code,
    )
    recorded = site.ledger.append(event.entry(checked.run_id, ends[-1]))
    cover_ledger(site)
    return recorded
