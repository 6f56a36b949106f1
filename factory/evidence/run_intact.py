"""Decide whether a finished run is unchanged since it ended: its files, its manifest, and its
digests in the ledger.

Reads only. Unless `full`, a file is trusted to be unchanged by its inode, size and change time
(`evidence.inventory`); that detects ordinary edits. With `full` every byte is read. Does not know
who asks.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from factory.evidence.run_files import altered, judge_run_files
from factory.model.errors import Refusal
from factory.model.evidence import EventDocument
from factory.model.finding import Finding
from factory.model.findings.entry import Facts
from factory.model.layout import INTEGRATOR, RunFolder
from factory.model.ledger_state import FINISHED, PREPARED
from factory.plan.site import Site

_STATUS, _REPORT = INTEGRATOR.status, INTEGRATOR.report
_MOST = 5


def run_damage(site: Site, run_id: str, full: bool = True) -> tuple[Finding, ...]:
    """Return a finding for each file of a finished run that was changed, removed or added; none for
    an unfinished run.

    Raise Refusal EVIDENCE_UNREADABLE, LEDGER_BROKEN.
    """
    run = RunFolder.of(run_id)
    events = site.ledger.of_runs((run_id,))
    manifest = site.store.read(run.manifest)
    finished = any(event.event_type == FINISHED for event in events)
    if manifest is None and not finished:
        return ()
    if not site.store.names(run):
        return judge_run_files(run_id, None, ())
    from factory.evidence.inventory import RunInventory  # costs what only lists too much

    surveyed = RunInventory(site.store.root).survey(run_id, full, remember=False)
    found = judge_run_files(run_id, manifest, surveyed.files)
    digests = {one.path: one.sha256 for one in surveyed.files}
    return found or tuple(_against_ledger(run_id, events, digests))


def _against_ledger(
    run_id: str, events: Iterable[EventDocument], digests: dict[str, str]
) -> Iterable[Finding]:
    """Compare status and report with the events that recorded them; without such an event there is
    nothing to compare.
    """
    last = {event.event_type: event for event in events}
    for kind, name, path in ((PREPARED, "status", _STATUS), (FINISHED, "report", _REPORT)):
        recorded = last[kind].hashes.get(name, "") if kind in last else ""
        if kind in last and recorded != digests.get(path, ""):
            yield altered(run_id, path, recorded, digests.get(path, ""))


class Intact:
    """Answer whether finished runs are damaged, reading each run at most once a process; quick, by
    stat numbers.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._known: dict[str, tuple[Finding, ...]] = {}

    @property
    def asked(self) -> tuple[str, ...]:
        """Return the ids of the runs that were looked at."""
        return tuple(self._known)

    def damage(self, run_id: str) -> tuple[Finding, ...]:
        """Return the findings of `run_damage`; a run that cannot be read, or is gone, is damaged
        too.
        """
        if run_id not in self._known:
            try:
                self._known[run_id] = run_damage(self._site, run_id, full=False)
            except Refusal as refusal:
                self._known[run_id] = refusal.findings
        return self._known[run_id]

    def whole(self, run_id: str) -> bool:
        """Return whether a run ended, and every file of it is as it was then."""
        return self._site.store.size(RunFolder.of(run_id).manifest) > 0 and not self.damage(run_id)

    def replaced(self, run_id: str) -> tuple[Finding, ...]:
        """Return the same damage as RUN_REPLACED, which does not block: the run that takes its
        place reports it.
        """
        return tuple(
            Finding("RUN_REPLACED", finding.facts, location=finding.location)
            for finding in first_few(self.damage(run_id))
        )


def refuse_damaged(site: Site, run_id: str) -> None:
    """Raise Refusal RUN_DAMAGED where a finished run is not as it was written.

    Every byte is read.
    """
    found = run_damage(site, run_id)
    if found:
        raise Refusal(*first_few(found))


def first_few(found: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Return the first few of many findings, the last of which says how many more there are."""
    if len(found) <= _MOST:
        return found
    last = found[_MOST - 1]
    more = len(found) - _MOST
    facts: Facts = {**last.facts, "case": f"{last.facts['case']}-more", "more": more}
    return (*found[: _MOST - 1], replace(last, facts=facts))
