"""Answer `gc`: show what is proved to be superseded or exported; with --yes, record and remove
it.
"""

from __future__ import annotations

import argparse
import re
import sys
from argparse import Namespace
from pathlib import Path

from factory.commands.options import Parser, here
from factory.engine import wiring
from factory.evidence.gc import Collection, Removal, collect_garbage
from factory.model.finding import Finding
from factory.model.verdict import Status
from factory.model.wording import counted
from factory.report.answer import CommandResult
from factory.report.terminal import sanitize, write_lines

HELP = {
    "gc": """\
usage: factory gc [--yes] [--keep N] [--exported DIR] [OPTION…]

Show what is proved to be superseded or exported, and why; with --yes, remove it: caches, raw logs
of abandoned runs and, with --keep, older runs whose bundles and results are in a run that stays
(or on their branch), or of which DIR has a copy of every byte. Each thing is recorded in the
ledger before it goes. What is in no other place stays, and so do the ledger and the last run.
After a crash, the same command carries on.

  factory gc --keep 10
  factory gc --keep 10 --exported /mnt/audit --yes

options
  --yes                 remove what is shown; without it nothing is removed
  --keep N              the newest N runs stay; without it no run goes
  --exported DIR        a folder with copies of run folders, compared by digest
""",
}


def define(command: str, parser: Parser) -> None:
    """Add how much stays, and where copies are."""
    del command
    parser.add_argument("--yes", action="store_true")
    parser.add_argument("--keep", type=_count, default=0, metavar="N")
    parser.add_argument("--exported", type=Path, metavar="DIR")


def run(command: str, given: Namespace) -> CommandResult:
    """Return what may be removed; with --yes remove it. Raise Refusal LOCKED, LEDGER_BROKEN,
    LEDGER_ORDER, UsageError.
    """
    del command
    site = wiring.site(here(), {})
    stream = sys.stderr if given.json else sys.stdout

    def report(removal: Removal) -> None:
        write_lines(stream, (sanitize(_line(removal, "remove")),))

    collection = collect_garbage(site, given.keep, given.exported, report if given.yes else None)
    return _answer(collection, not given.yes)


def _answer(collection: Collection, dry: bool) -> CommandResult:
    size = sum(removal.bytes for removal in collection.removals)
    lines = [_line(removal, "would remove") for removal in collection.removals] if dry else []
    notes = tuple(
        Finding("GC_KEPT", {"run": stay.run_id, "why": stay.why}) for stay in collection.stays
    )
    lines += [f"keep    {note.message}" for note in notes]
    verb = "would be removed; to remove it, add --yes" if dry else "removed"
    count = counted(len(collection.removals), "thing")
    lines.append(
        f"{Status.PASS.value}  {count}, {size} bytes {verb}"
        if collection.removals
        else "PASS  nothing to remove"
    )
    rows = [_row(removal) for removal in collection.removals]
    return CommandResult(
        Status.PASS, tuple(lines), notes, details={"dry_run": dry, "removals": rows, "bytes": size}
    )


def _line(removal: Removal, verb: str) -> str:
    where = f" ({removal.where})" if removal.where else ""
    size = f"{counted(removal.files, 'file')}, {removal.bytes} bytes"
    return f"{verb}  {removal.path}  {size}: {removal.why}{where}"


def _row(removal: Removal) -> dict[str, object]:
    return {
        "event": removal.kind.value,
        "run_id": removal.run_id,
        "path": removal.path,
        "why": removal.why,
        "where": removal.where,
        "files": removal.files,
        "bytes": removal.bytes,
    }


def _count(text: str) -> int:
    if re.fullmatch(r"[1-9][0-9]{0,5}", text) is None:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 on, found {text!r}")
    return int(text)
