"""Make what a user asks for by environment variable after every run: evidence index and review.

Rule: nothing of it changes the run's verdict; what fails is one line. Does not know when a run is
settled: the pipeline calls it then, with the run lock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from factory.evidence.evidence_index import make_index
from factory.evidence.inventory import RunInventory
from factory.evidence.review import review
from factory.evidence.review_rules import Mode
from factory.model import layout
from factory.model.errors import Refusal
from factory.model.evidence_text import format_document
from factory.model.finding import Finding
from factory.model.layout import shown
from factory.model.names import AFTER_RUN_INDEX, AFTER_RUN_REVIEW
from factory.model.wording import counted
from factory.plan.site import Site


def after_run(
    site: Site, environ: Mapping[str, str], config_findings: Callable[[], tuple[Finding, ...]]
) -> Callable[[str], tuple[str, ...]]:
    """Return a function from the id of a settled run to lines about what was made for it."""

    def write_index(_run_id: str) -> str:
        made = make_index(site.store, site.ledger, RunInventory(site.store.root))
        count = f"{counted(made.runs, 'run')}, {counted(made.artifacts, 'artifact')}"
        return f"Index     {count}, {made.sha256[:12]}"

    def write_review(run_id: str) -> str:
        made = review(site, Mode.ADVISORY, config_findings())
        path = layout.review(run_id)
        site.store.write(path, format_document(made))
        count = f"{counted(made.errors, 'error')}, {counted(made.warnings, 'warning')}"
        return f"Review    {count}  {shown(path)}"

    steps = (
        ("Index", AFTER_RUN_INDEX, write_index),
        ("Review", AFTER_RUN_REVIEW, write_review),
    )
    wanted = [(name, step) for name, variable, step in steps if environ.get(variable) == "1"]
    return lambda run_id: tuple(_line(name, step, run_id) for name, step in wanted)


def _line(name: str, step: Callable[[str], str], run_id: str) -> str:
    try:
        return step(run_id)
    except Refusal as refusal:
        return f"{name:<10}not made: {refusal.findings[0].id}  {refusal.sentence}"
