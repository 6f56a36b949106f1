"""Answer `ledger-replay`: every run as the ledger records it, and whether the run folders agree."""

from __future__ import annotations

import argparse
import re
from argparse import Namespace
from collections.abc import Iterator

from factory.commands.options import Parser, here, run_id
from factory.engine import wiring
from factory.evidence.ledger_replay import LedgerReplay, replay_ledger
from factory.evidence.replay import ReplayedPack, ReplayedRun
from factory.judge.status_eval import of_findings
from factory.model.wording import counted
from factory.report.answer import CommandResult, finding_lines

HELP = {
    "ledger-replay": (
        """\
usage: factory ledger-replay [--run-id RUN_ID] [--until SEQ] [OPTION…]

Rebuild the state of every run from the ledger, phase by phase and pack by pack, and compare it
with the run folders. An event that may not follow the ones before it is named. With --until the
ledger is read up to that event, and folders of today are not compared. Ends with 0 where all
agrees, else 2.

  factory ledger-replay
  factory ledger-replay --until 40 --json

options
  --run-id RUN_ID       show only this run
  --until SEQ           read events 1 to SEQ
"""
    ),
}


def define(command: str, parser: Parser) -> None:
    """Add which run, and how far."""
    del command
    parser.add_argument("--run-id", type=run_id, metavar="RUN_ID")
    parser.add_argument("--until", type=_seq, default=0, metavar="SEQ")


def run(command: str, given: Namespace) -> CommandResult:
    """Replay the ledger. Raise Refusal LEDGER_BROKEN, LEDGER_ORDER, RUN_UNKNOWN."""
    del command
    site = wiring.site(here(), {})
    rebuilt = replay_ledger(site.store, site.ledger, given.run_id or "", given.until)
    status = of_findings(rebuilt.findings)
    details = {
        "events": rebuilt.replayed.events,
        "head": rebuilt.replayed.head,
        "runs": [_run_row(run) for run in rebuilt.runs],
    }
    head = (
        f"{status.value}  {counted(rebuilt.replayed.events, 'event')},"
        f" {counted(len(rebuilt.runs), 'run')}"
    )
    lines = (*_lines(rebuilt), *finding_lines(rebuilt.findings), head)
    return CommandResult(status, lines, rebuilt.findings, given.run_id or "", details)


def _lines(rebuilt: LedgerReplay) -> Iterator[str]:
    for run in rebuilt.runs:
        yield f"{run.run_id}  {run.state.value}{f' {run.status}' if run.status else ''}"
        phases = [f"{phase} {status}" for phase, status in run.phases() if status]
        yield f"  phases   {' · '.join(phases) or 'none ended'}"
        for pack in run.packs:
            yield f"  {pack.pack}  {_pack_text(pack)}"
        yield ""


def _pack_text(pack: ReplayedPack) -> str:
    words = [pack.state.value, *([pack.status] if pack.status else [])]
    if pack.attempts:
        words.append(f"after {counted(pack.attempts, 'attempt')}")
    if pack.from_run:
        words.append(f"from {pack.from_run}")
    return " ".join(words)


def _run_row(run: ReplayedRun) -> dict[str, object]:
    return {
        "run_id": run.run_id,
        "state": run.state.value,
        "status": run.status,
        "base_commit": run.base_commit,
        "base_ref": run.base_ref,
        "merged_tree": run.merged_tree,
        "started": run.started,
        "ended": run.ended,
        "events": run.events,
        "branch": run.branch,
        "phases": dict(run.phases()),
        "packs": [_pack_row(pack) for pack in run.packs],
    }


def _pack_row(pack: ReplayedPack) -> dict[str, object]:
    return {
        "pack": pack.pack,
        "state": pack.state.value,
        "status": pack.status,
        "attempts": pack.attempts,
        "action_key": pack.action_key,
        "result_tree": pack.result_tree,
        "valid": pack.valid,
        "from_run": pack.from_run,
    }


def _seq(text: str) -> int:
    if re.fullmatch(r"[1-9][0-9]{0,14}", text) is None:
        raise argparse.ArgumentTypeError(
            f"expected the number of an event, from 1 on, found {text!r}"
        )
    return int(text)
