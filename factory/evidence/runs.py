"""Runs of the past, found by name or by the ledger, and the files of one that a person looks for.
Reads only.
"""

from __future__ import annotations

from factory.evidence.ledger_head import hold_runs
from factory.model.errors import Refusal
from factory.model.finding import Finding
from factory.model.ledger_standing import FINISHED
from factory.model.names import INTEGRATOR, RUN_ID, STATE_FOLDER
from factory.model.wording import nearest
from factory.plan.site import Site

IMPORTANT = (
    (f"{INTEGRATOR}/report.html", "the report, for a browser"),
    (f"{INTEGRATOR}/FINAL_REPORT.md", "the report"),
    (f"{INTEGRATOR}/STATUS.json", "the verdict, for programs"),
    (f"{INTEGRATOR}/junit.xml", "checks, for CI"),
    (f"{INTEGRATOR}/results.sarif", "findings, for code scanning"),
    (f"{INTEGRATOR}/MERGE_PLAN.md", "order and overlaps"),
    (f"{INTEGRATOR}/DIFF.patch", "the whole change"),
    (f"{INTEGRATOR}/CHANGES.bundle", "the change as Git objects"),
    ("attestations/ledger.jsonl", "what happened, event by event"),
    ("RUN_MANIFEST.json", "the digest of every file"),
)


def find_run(site: Site, run_id: str = "") -> str:
    """The run of that id, or the last one that finished. Raises Refusal RUN_UNKNOWN,
    LEDGER_LACKS_RUN.
    """
    present = tuple(name for name in site.store.names("runs") if RUN_ID.fullmatch(name))
    if run_id:
        if run_id in present:
            return run_id
        meant = nearest(run_id, present)
        hint = f"did you mean {meant}?" if meant else f"runs are in {STATE_FOLDER}/runs/"
        raise Refusal(Finding("RUN_UNKNOWN", f"there is no run {run_id}", hint))
    for event in site.ledger.newest(FINISHED):
        if event.run_id in present:
            return event.run_id
    hold_runs(site)
    raise Refusal(
        Finding("RUN_UNKNOWN", "no run has finished yet", "Make one with: factory oneshot")
    )


def report_of(site: Site, run_id: str) -> bytes:
    """FINAL_REPORT.txt of a run. Raises Refusal RUN_UNKNOWN where it ended without one."""
    content = site.store.read(f"runs/{run_id}/{INTEGRATOR}/FINAL_REPORT.txt")
    if content is None:
        hint = "The next run finishes or abandons it; its logs are in the run's folder."
        raise Refusal(
            Finding(
                "RUN_UNKNOWN", f"run {run_id} has no report: it ended before one was made", hint
            )
        )
    return content


def log_of(site: Site, run_id: str, pack: str, label: str) -> bytes:
    """One normalised log: of a pack, or ("" as pack) of a check on the merged tree. Raises Refusal
    RUN_UNKNOWN.
    """
    labels = labels_of(site, run_id, pack)
    if label not in labels:
        where = f"of {pack}" if pack else "of the merged tree"
        meant = nearest(label, labels)
        known = f"known are: {', '.join(labels)}" if labels else "it ran no command"
        hint = f"did you mean {meant}?" if meant else known
        raise Refusal(Finding("RUN_UNKNOWN", f"run {run_id} has no log {label!r} {where}", hint))
    return site.store.read(f"{_logs(site, run_id, pack)}/{label}.log") or b""


def labels_of(site: Site, run_id: str, pack: str) -> tuple[str, ...]:
    """Labels of the logs that a pack (or the merged tree) has in a run."""
    names = site.store.names(_logs(site, run_id, pack))
    return tuple(name.removesuffix(".log") for name in names if name.endswith(".log"))


def _logs(site: Site, run_id: str, pack: str) -> str:
    """Where logs are: in the run; for a pack that was launched alone, in its bundle, which no later
    run replaced.
    """
    place = f"runs/{run_id}/{pack or INTEGRATOR}"
    if not pack or site.store.sha256(f"{place}/manifest.json"):
        return f"{place}/LOGS"
    ends = site.ledger.newest("pack.finished")
    ran_in = next((event.run_id for event in ends if event.details.get("pack") == pack), "")
    return f"bundles/{pack}/LOGS" if ran_in == run_id else f"{place}/LOGS"


def important_files(site: Site, run_id: str) -> tuple[tuple[str, str], ...]:
    """(path below the run's folder, what it is) of the files that exist."""
    return tuple(
        (path, what) for path, what in IMPORTANT if site.store.sha256(f"runs/{run_id}/{path}")
    )
