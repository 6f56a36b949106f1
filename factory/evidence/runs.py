"""Find past runs by name or by the ledger, and the files of one that a person looks for.

Reads only.
"""

from __future__ import annotations

from factory.evidence.ledger_head import refuse_missing_runs
from factory.model.errors import Refusal
from factory.model.events import PackFinished
from factory.model.finding import Finding
from factory.model.layout import IN_RUN, INTEGRATOR, RUNS, BundleFolder, Folder, RunFolder, shown
from factory.model.ledger_state import FINISHED
from factory.model.names import RUN_ID
from factory.model.wording import nearest
from factory.plan.site import Site

IMPORTANT = (
    (INTEGRATOR.report_page, "the report, for a browser"),
    (INTEGRATOR.report, "the report"),
    (INTEGRATOR.status, "the verdict, for programs"),
    (INTEGRATOR.junit, "checks, for CI"),
    (INTEGRATOR.sarif, "findings, for code scanning"),
    (INTEGRATOR.merge_plan, "order and overlaps"),
    (INTEGRATOR.patch, "the whole change"),
    (INTEGRATOR.objects, "the change as Git objects"),
    (IN_RUN.attestations.ledger, "what happened, event by event"),
    (IN_RUN.manifest, "the digest of every file"),
)


def find_run(site: Site, run_id: str = "") -> str:
    """Return that run id, or the id of the last run that finished.

    Raise Refusal RUN_UNKNOWN, LEDGER_LACKS_RUN.
    """
    present = tuple(name for name in site.store.names(RUNS) if RUN_ID.fullmatch(name))
    if run_id:
        if run_id in present:
            return run_id
        meant = nearest(run_id, present)
        advice = f"did you mean {meant}?" if meant else f"runs are in {shown(RUNS)}/"
        facts = {"case": "folder", "run": run_id, "advice": advice}
        raise Refusal(Finding("RUN_UNKNOWN", facts))
    for event in site.ledger.newest(FINISHED):
        if event.run_id in present:
            return event.run_id
    refuse_missing_runs(site)
    raise Refusal(Finding("RUN_UNKNOWN", {"case": "none"}))


def report_of(site: Site, run_id: str) -> bytes:
    """Return FINAL_REPORT.txt of a run. Raise Refusal RUN_UNKNOWN where it ended without one."""
    content = site.store.read(RunFolder.of(run_id).integrator.report_text)
    if content is None:
        raise Refusal(Finding("RUN_UNKNOWN", {"case": "report", "run": run_id}))
    return content


def log_of(site: Site, run_id: str, pack: str, label: str) -> bytes:
    """Return one normalised log: of a pack, or ("" as pack) of a check on the merged tree.

    Raise Refusal RUN_UNKNOWN.
    """
    labels = labels_of(site, run_id, pack)
    if label not in labels:
        owner = pack or "the merged tree"
        meant = nearest(label, labels)
        known = f"known are: {', '.join(labels)}" if labels else "it ran no command"
        facts = {
            "case": "log",
            "run": run_id,
            "label": label,
            "owner": owner,
            "advice": f"did you mean {meant}?" if meant else known,
        }
        raise Refusal(Finding("RUN_UNKNOWN", facts))
    return site.store.read(_logs(site, run_id, pack).at(f"{label}.log")) or b""


def labels_of(site: Site, run_id: str, pack: str) -> tuple[str, ...]:
    """Return the labels of the logs that a pack (or the merged tree) has in a run."""
    names = site.store.names(_logs(site, run_id, pack))
    return tuple(name.removesuffix(".log") for name in names if name.endswith(".log"))


def _logs(site: Site, run_id: str, pack: str) -> Folder:
    """Return the folder of logs: in the run, or in the bundle of a pack that was launched alone and
    not replaced since.
    """
    run = RunFolder.of(run_id)
    if not pack:
        return run.integrator.logs
    if site.store.sha256(run.bundle(pack).manifest):
        return run.bundle(pack).logs
    ends = site.ledger.newest(PackFinished.event_type)
    ran_in = next((event.run_id for event in ends if event.details.get("pack") == pack), "")
    return BundleFolder.of(pack).logs if ran_in == run_id else run.bundle(pack).logs


def important_files(site: Site, run_id: str) -> tuple[tuple[str, str], ...]:
    """Return (path below the run's folder, what it is) of the files that exist."""
    return tuple(
        (path, what) for path, what in IMPORTANT if site.store.sha256(RunFolder.of(run_id).at(path))
    )
