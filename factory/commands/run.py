"""Run `oneshot` and its phases: the same graph as doit's, driven by the same engine; the exit code
is the verdict.
"""

from __future__ import annotations

import os
import sys
import time
from argparse import Namespace
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from factory.commands.command_table import ORDER, PHASES
from factory.commands.options import Parser, add_refs, flags_of, here, run_id, whole_number
from factory.engine.driver import Driver
from factory.engine.oneshot import run_cards
from factory.engine.start import unchanged
from factory.model.card import Card, Closing
from factory.model.layout import DOIT_DATABASE, STATE_FOLDER, RunFolder
from factory.model.verdict import Status
from factory.report.answer import CommandResult
from factory.report.live import display_for

if TYPE_CHECKING:  # loaded only where something is to be done
    from factory.engine.pipeline import RepositoryPipeline
    from factory.report.progress import Display

MOST_WORKERS = 8
_TAKES_PACKS = ("oneshot", "launch", "bundle-validate", "integrate")
_DRY_RUNS = ("oneshot", "launch", "integrate")

_OPTIONS = """
options
  -n, --workers N       packs at a time; without it, what the configuration or the host says
  --base-ref REF        the commit that packs start from; without it, the configuration's (HEAD)
  --policy-ref REF      the commit whose configuration and keys are in force: a full name of a ref
  --run-id ID           name the run, where one is made; without it, a name by time and commit
  --fresh               run every check, also one that passed before over the same files
"""
_VERDICT = "Ends with the verdict: 0 PASS, 2 BLOCKED, 1 FAIL."

_PARTIAL = """\
      --partial         merge the packs that passed although others did not; the run is BLOCKED
                        all the same, and its result is never published
"""
_BRANCH = """\
      --branch          make the branch codex/RUN_ID at the merged result
"""
_DRY_RUN = """\
      --dry-run         say what would run and why; run nothing, and write nothing
"""

HELP = {
    # A phase without a text of its own has its line of the table.
    **{
        phase.name: f"usage: factory {phase.name} [OPTION…]\n\n{phase.line}\n{_VERDICT}\n{_OPTIONS}"
        for phase in PHASES
        if phase.module == "run"
    },
    "oneshot": (
        f"""\
usage: factory oneshot [PACK…] [OPTION…]

The main job: {ORDER}. What is up
to date is not run again; where nothing changed, nothing is run. With PACKs (ids or names of
folders) the run is about those and what they depend on, and so is its verdict.
{_VERDICT}

  factory oneshot TASK-0101
  factory oneshot --dry-run
{_OPTIONS}{_DRY_RUN}{_PARTIAL}"""
    ),
    "preflight": (
        f"""\
usage: factory preflight [OPTION…]

Check repository, configuration, packs and host, and run nothing of a pack.
{_VERDICT}
{_OPTIONS}"""
    ),
    "launch": (
        f"""\
usage: factory launch [PACK…] [OPTION…]

Run task packs in their sandboxes, with what they depend on; without a PACK, all of them. A PACK is
an id (TASK-0101) or the name of a folder. {_VERDICT}

  factory launch TASK-0101
{_OPTIONS}{_DRY_RUN}"""
    ),
    "bundle-validate": (
        f"""\
usage: factory bundle-validate [PACK…] [OPTION…]

Re-derive bundles and compare them with their contracts; packs whose bundle is not valid any
more are run first. Without a PACK, all of them. {_VERDICT}
{_OPTIONS}"""
    ),
    "integrate": (
        f"""\
usage: factory integrate [PACK…] [--branch] [OPTION…]

Merge the validated bundles and check the merged tree; what comes before is done where needed.
With PACKs, merge those and what they depend on.
With --branch the result of the PASS becomes the branch codex/RUN_ID, or as integration.branch
names it; integration.message, author, sign_off and sign word its commit. It is created, never
moved; your own branch, index, work tree and stash stay as they are.
{_VERDICT}

  factory integrate --branch
{_OPTIONS}{_DRY_RUN}{_PARTIAL}{_BRANCH}"""
    ),
}


def define(command: str, parser: Parser) -> None:
    """Add the options of every phase; packs and --branch where they mean something."""
    parser.add_argument("-n", "--workers", type=whole_number, metavar="N", default=0)
    add_refs(parser)
    parser.add_argument("--run-id", type=run_id, metavar="ID")
    parser.add_argument("--fresh", action="store_true")
    if command in _TAKES_PACKS:
        parser.add_argument("packs", nargs="*", metavar="PACK")
    if command in ("oneshot", "integrate"):
        parser.add_argument("--partial", action="store_true")
    if command in _DRY_RUNS:
        parser.add_argument("--dry-run", action="store_true")
    if command == "integrate":
        parser.add_argument("--branch", action="store_true")


def run(command: str, given: Namespace) -> CommandResult:
    """Drive the graph to the phase named `command`. Raise Refusal, UsageError, Interrupted."""
    flags = flags_of(given)
    flags |= {"workers": str(given.workers)} if given.workers else {}
    flags |= {"partial": "true"} if getattr(given, "partial", False) else {}
    flags |= {"fresh": "true"} if given.fresh else {}
    packs = tuple(getattr(given, "packs", ()))
    if command in _DRY_RUNS and given.dry_run:
        from factory.commands.plan import dry_run

        return dry_run(command, flags, packs)
    if command == "oneshot" and not packs and not given.run_id and not _wants_details(given):
        root = here()
        driver = unchanged(root, flags)
        if driver is not None:
            database = root / STATE_FOLDER / DOIT_DATABASE
            closing = run_cards(driver, [command], given.workers or 1, _display(given), database)
            return CommandResult(closing.status, closing.lines, closing.findings, closing.run_id)
    return _run_opened(command, given, flags, packs)


def _wants_details(given: Namespace) -> bool:
    """Return whether more is asked for than lines: what only an opened repository can say."""
    asked = given.json or given.json_out is not None
    return asked or os.environ.get("GITHUB_ACTIONS") == "true"


def _display(given: Namespace) -> Display:
    return display_for(sys.stderr if given.json else sys.stdout, os.environ, time.monotonic)


def _run_opened(
    command: str, given: Namespace, flags: Mapping[str, str], packs: tuple[str, ...]
) -> CommandResult:
    """Drive the graph of the repository, which is opened now."""
    from factory.engine import wiring

    pipeline = wiring.pipeline(here(), flags, given.run_id or "", only=packs)
    names = _names(command, pipeline, packs)
    site = pipeline.site
    if command == "integrate" and given.branch:
        from factory.engine.result_commit import refuse_no_room, refuse_unsigned

        refuse_no_room(site.refs, site.config, given.run_id or "RUN_ID")
        refuse_unsigned(site.refs, site.config)
    database = site.store.root / DOIT_DATABASE
    workers = _workers(pipeline)
    closing = run_cards(Driver(lambda: pipeline), names, workers, _display(given), database)
    answer = _answer(pipeline, names, closing)
    if command == "integrate" and given.branch and answer.status is Status.PASS:
        return _with_branch(pipeline, answer)
    if command == "integrate" and given.branch:
        why = (
            f"Branch    none was made: the run ended {answer.status.value}, and a branch has the"
            " result of a PASS"
        )
        done, steps = _before_next(answer.lines)
        return replace(answer, lines=(*done, why, *steps))
    return answer


def _before_next(lines: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the lines before those that say what may be typed next, and these."""
    at = next((n for n, line in enumerate(lines) if line.startswith("Next ")), len(lines))
    return lines[:at], lines[at:]


def _names(command: str, pipeline: RepositoryPipeline, packs: tuple[str, ...]) -> list[str]:
    if not packs or command in ("oneshot", "integrate"):
        return [command]
    from factory.contract.check import choose

    return [f"{command}:{entry.name}" for entry in choose(pipeline.run.catalogue, packs)]


def _workers(pipeline: RepositoryPipeline) -> int:
    """Return the number of workers: as configured, else one for each processor, and no more than
    there are packs.
    """
    configured = pipeline.site.config.workers
    return configured or max(
        1, min(os.cpu_count() or 1, len(pipeline.run.catalogue.entries), MOST_WORKERS)
    )


def _answer(pipeline: RepositoryPipeline, names: Iterable[str], closing: Closing) -> CommandResult:
    from factory.bundle.make import unique

    reached = _reached(pipeline.cards(), names)
    results = [(card, *pipeline.run.result_of(card)[:2]) for card in reached]
    findings = unique(finding for _, _, found in results for finding in found)
    report = pipeline.site.store.root / RunFolder.of(closing.run_id).integrator.report
    details: dict[str, object] = {
        "base_commit": pipeline.site.repository.commit,
        "cards": [
            {"card": card.name, "pack": card.pack, "status": status.value}
            for card, status, _ in results
        ],
        "report": str(report) if closing.run_id and report.is_file() else "",
    }
    return CommandResult(closing.status, closing.lines, findings, closing.run_id, details)


def _reached(cards: tuple[Card, ...], names: Iterable[str]) -> tuple[Card, ...]:
    """Return the cards that `names` ask for (a card, a phase, or oneshot) and all that come before
    them.
    """
    wanted = set(names)
    if "oneshot" in wanted:
        return cards
    for card in reversed(cards):
        if card.name in wanted or card.phase in wanted:
            wanted |= {card.name, *card.after}
    return tuple(card for card in cards if card.name in wanted)


def _with_branch(pipeline: RepositoryPipeline, answer: CommandResult) -> CommandResult:
    from factory.engine.branch import make_branch
    from factory.engine.summary import next_lines

    card = next(card for card in pipeline.cards() if card.phase == "integrate")
    marker = pipeline.site.markers.load(card)
    site = pipeline.site
    with site.locks.take("run"):
        run_id = marker.run_id if marker is not None else answer.run_id
        site.locks.announce("run", f"making the branch of {run_id}")
        made = make_branch(site, site.refs, run_id)
    lines = [f"Branch    {made.name} at {made.commit[:12]}{'' if made.fresh else ', as it was'}"]
    if not made.committed:
        lines.append(
            "          its task packs differ from the base commit, so the run cannot be published"
        )
    kept, _ = _before_next(answer.lines)
    steps = next_lines(
        (
            (f"git log -p HEAD..{made.name}", "look at it"),
            (f"git merge {made.name}", "take it into your own branch"),
            (f"git push origin {made.name}", "show it to others"),
        )
    )
    branch = {"name": made.name, "commit": made.commit, "tree": made.tree, "created": made.fresh}
    return CommandResult(
        answer.status,
        (*kept, *lines, *steps),
        answer.findings,
        made.run_id,
        {**answer.details, "branch": branch},
    )
