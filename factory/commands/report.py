"""Answer `summary`, `print-report` and `open-run`: what a run left. Printing a BLOCKED run's
report ends with 0; a damaged run's is not printed.
"""

from __future__ import annotations

from argparse import Namespace
from collections import Counter

from factory.commands.options import Parser, here, run_id
from factory.contract.catalogue import read_catalogue
from factory.contract.check import choose
from factory.engine import wiring
from factory.evidence import runs
from factory.evidence.run_intact import first_few, refuse_damaged, run_damage
from factory.evidence.signatures import signature_status
from factory.judge.status_eval import of_findings
from factory.model.errors import Refusal, UsageError
from factory.model.evidence import FilesChanged, RunStatus
from factory.model.evidence_text import finding_of, parse_document
from factory.model.finding import Finding
from factory.model.layout import INTEGRATOR, RunFolder, shown
from factory.model.verdict import Status
from factory.plan.site import Site
from factory.report.answer import CommandResult, finding_lines
from factory.report.brief import brief
from factory.report.terminal import plain

HELP = {
    "summary": (
        """\
usage: factory summary [RUN_ID]

Print the verdict of a run and where its evidence is, without a RUN_ID of the last one that
finished. Runs nothing, and says nothing of what changed since; that says: factory why
Ends with the verdict of that run: 0 PASS, 2 BLOCKED, 1 FAIL.

options
"""
    ),
    "print-report": (
        """\
usage: factory print-report [RUN_ID] [OPTION…]

Print the report of a run, without a RUN_ID of the last one that finished; or one log of it. What
a pack printed is shown with every control character made visible. A run whose files are not those
that it was finished with is refused.

  factory print-report
  factory print-report --pack TASK-0104 --log tests-2

options
  --pack PACK           the pack whose log is meant
  --log LABEL           print this log; without --pack, of the checks on the merged tree
"""
    ),
    "open-run": (
        """\
usage: factory open-run [RUN_ID]

Print the folder of a run and its important files, without a RUN_ID of the last one that finished.
Ends with 2 where its files are not those that it was finished with.

  cd "$(factory open-run | head -n 1)"

options
"""
    ),
}


def define(command: str, parser: Parser) -> None:
    """Add the run; for the report, a log of it."""
    parser.add_argument("run_id", nargs="?", type=run_id, metavar="RUN_ID")
    if command == "print-report":
        parser.add_argument("--pack", metavar="PACK", default="")
        parser.add_argument("--log", metavar="LABEL", default="")


def run(command: str, given: Namespace) -> CommandResult:
    """Print the report, a log, or the places. Raise Refusal RUN_UNKNOWN, RUN_DAMAGED,
    UsageError.
    """
    site = wiring.site(here(), {})
    found = runs.find_run(site, given.run_id or "")
    if command == "summary":
        return _summary(site, found)
    if command == "open-run":
        return _places(site, found)
    refuse_damaged(site, found)
    if given.pack and not given.log:
        known = ", ".join(runs.labels_of(site, found, _pack(site, given.pack, found))) or "none"
        raise UsageError("expected --log LABEL with --pack", f"logs of {given.pack}: {known}")
    if given.log:
        content = runs.log_of(
            site, found, _pack(site, given.pack, found) if given.pack else "", given.log
        )
    else:
        content = runs.report_of(site, found)
    text = content.decode("utf-8", "replace")
    if not given.log:
        text += f"\nSignature: {signature_status(site, found)}\n"
    return CommandResult(
        Status.PASS,
        tuple(map(plain, text.splitlines())),
        run_id=found,
        details={"text": text},
        verbatim=bool(given.log),
    )


def _summary(site: Site, found: str) -> CommandResult:
    """Return the verdict of a run as its own files say. Raise Refusal RUN_DAMAGED, RUN_UNKNOWN."""
    refuse_damaged(site, found)
    folder = RunFolder.of(found).integrator
    content = site.store.read(folder.status)
    if content is None:
        raise Refusal(Finding("RUN_UNKNOWN", {"case": "report", "run": found}))
    status = parse_document(RunStatus, content)
    changed = site.store.read(folder.files_changed)
    findings = tuple(finding_of(record) for record in status.findings)
    lines = [*finding_lines(findings), *(("",) if findings else ())]
    lines += brief(status, parse_document(FilesChanged, changed) if changed is not None else None)
    lines += [
        f"Report    {shown(folder.report)}",
        f"Evidence  {signature_status(site, found)}",
        "",
        f"{status.status}  {found}, on {status.base_commit[:12]}; nothing was run now",
    ]
    counts = Counter(line.status for line in status.packs)
    details: dict[str, object] = {
        "base_commit": status.base_commit,
        "merged_tree": status.merged_tree,
        "packs": [{"pack": line.pack, "status": line.status} for line in status.packs],
        "counts": dict(sorted(counts.items())),
        "report": str(site.store.root / folder.report),
    }
    return CommandResult(Status(status.status), tuple(lines), findings, found, details)


def _pack(site: Site, name: str, found: str) -> str:
    """Return the id of a pack, also of one that is gone since that run."""
    if "/" not in name and site.store.sha256(RunFolder.of(found).bundle(name).manifest):
        return name
    return choose(read_catalogue(site.work_tree, site.config.packs_folder), (name,))[0].id


def _places(site: Site, found: str) -> CommandResult:
    folder = site.store.root / RunFolder.of(found)
    files = runs.important_files(site, found)
    width = max((len(path) for path, _ in files), default=0)
    names = site.store.names(RunFolder.of(found))
    packs = [name for name in names if site.store.sha256(RunFolder.of(found).bundle(name).manifest)]
    lines = [str(folder), *(f"  {path:<{width}}  {what}" for path, what in files)]
    lines += [f"  {name + '/':<{width}}  bundle" for name in packs if name != INTEGRATOR]
    details = {"folder": str(folder), "files": [path for path, _ in files], "bundles": packs}
    damage = first_few(run_damage(site, found))
    return CommandResult(
        of_findings(damage), (*lines, *finding_lines(damage)), damage, found, details
    )
