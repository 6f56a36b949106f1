"""Answer `evidence`: make the index of all runs, and ask it. Only `index` looks at anything but
the index.
"""

from __future__ import annotations

import argparse
import re
from argparse import Namespace
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypeVar, get_args

from factory.commands.options import Parser, here, run_id
from factory.engine import wiring
from factory.evidence.evidence_index import load_index, make_index
from factory.evidence.index import (
    Filter,
    choose_artifacts,
    choose_runs,
    find_artifacts,
    format_index,
)
from factory.evidence.inventory import RunInventory
from factory.judge.scope import problem_with_pattern
from factory.model.errors import Refusal, UsageError
from factory.model.evidence_text import sha256
from factory.model.finding import Finding
from factory.model.index import ArtifactType, EvidenceIndex, IndexedArtifact, IndexedRun, RunState
from factory.model.layout import EVIDENCE_INDEX, shown
from factory.model.verdict import Status
from factory.model.wording import counted
from factory.plan.site import Site
from factory.report.answer import CommandResult

HELP = {
    "evidence": (
        f"""\
usage: factory evidence index [--full]
       factory evidence list-runs [OPTION…]
       factory evidence list-artifacts [OPTION…]
       factory evidence show-artifact SHA256|RUN_ID/PATH
       factory evidence show-index-meta

index writes {shown(EVIDENCE_INDEX)}: every run, every file in it with its type, size, digest
and schema version. A file whose inode, size and change time are those of its last reading is not
read again; --full reads every file. The other words read the index and nothing else.

  factory evidence index
  factory evidence list-runs --status BLOCKED
  factory evidence list-artifacts --type patch --pack TASK-0104

options
  --full                index: read every file, whatever is remembered of it
  --run-id RUN_ID       of this run
  --status STATUS       of runs that ended PASS, BLOCKED or FAIL
  --state STATE         of runs that are open, prepared, finished, abandoned or unrecorded
  --since WHEN          of runs started at this time (RFC 3339) or later, as in 2026-01-31
  --type TYPE           artifacts of this type, as in log or run-status
  --pack PACK           artifacts of this pack
  --path PATTERN        artifacts whose path in the run matches this scope pattern
  --limit N             the first N of them
"""
    ),
}

Row = TypeVar("Row")

_ACTIONS = ("index", "list-runs", "list-artifacts", "show-artifact", "show-index-meta")
_OF_RUNS = ("run_id", "status", "state", "since")
_TAKES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "index": ("full",),
        "list-runs": (*_OF_RUNS, "limit"),
        "list-artifacts": (*_OF_RUNS, "type", "pack", "path", "limit"),
        "show-artifact": (),
        "show-index-meta": (),
    }
)


def define(command: str, parser: Parser) -> None:
    """Add the action and the filters of rows."""
    del command
    parser.add_argument("action", choices=_ACTIONS, metavar="|".join(_ACTIONS))
    parser.add_argument("words", nargs="*", metavar="SHA256|RUN_ID/PATH")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--run-id", type=run_id, metavar="RUN_ID")
    parser.add_argument(
        "--status", choices=[status.value for status in Status], default="", metavar="STATUS"
    )
    parser.add_argument("--state", choices=get_args(RunState), default="", metavar="STATE")
    parser.add_argument("--since", type=_time, metavar="WHEN")
    parser.add_argument("--type", choices=get_args(ArtifactType), default="", metavar="TYPE")
    parser.add_argument("--pack", default="", metavar="PACK")
    parser.add_argument("--path", type=_pattern, metavar="PATTERN")
    parser.add_argument("--limit", type=_count, default=0, metavar="N")


def run(command: str, given: Namespace) -> CommandResult:
    """Make the index or ask it. Raise Refusal, UsageError."""
    del command
    _refuse_strays(given)
    site = wiring.site(here(), {})
    return _RUN[given.action](site, given)


def _refuse_strays(given: Namespace) -> None:
    """Raise UsageError for options and words that mean nothing for the action."""
    every = {name for names in _TAKES.values() for name in names}
    for name in sorted(every - set(_TAKES[given.action])):
        if getattr(given, name):
            option = f"--{name.replace('_', '-')}"
            raise UsageError(
                f"evidence {given.action} does not take {option}", "see: factory evidence --help"
            )
    wanted = 1 if given.action == "show-artifact" else 0
    if len(given.words) != wanted:
        expected = "one digest or RUN_ID/PATH" if wanted else "no further word"
        raise UsageError(f"evidence {given.action}: expected {expected}, found {len(given.words)}")


def _index(site: Site, given: Namespace) -> CommandResult:
    made = make_index(site.store, site.ledger, RunInventory(site.store.root), given.full)
    count = (
        f"{counted(made.runs, 'run')}, {counted(made.artifacts, 'artifact')}, {made.bytes} bytes"
    )
    lines = (
        f"{count} · {made.read} read, {made.artifacts - made.read} unchanged",
        f"{shown(EVIDENCE_INDEX)}  {made.sha256}{'' if made.fresh else '  as it was'}",
    )
    details = {
        "index": {"path": shown(EVIDENCE_INDEX), "sha256": made.sha256,
        "written": made.fresh},
        "runs": made.runs, "artifacts": made.artifacts, "bytes": made.bytes, "read": made.read,
    }  # fmt: skip
    return CommandResult(Status.PASS, lines, details=details)


def _list_runs(site: Site, given: Namespace) -> CommandResult:
    found = _first(choose_runs(load_index(site.store), _filter(given)), given.limit)
    width = max((len(run.run_id) for run in found), default=0)
    lines = [
        f"{run.run_id:<{width}} "
        f" {run.status or run.state:<10}{run.base_commit[:8]:<10}{run.started:<26}"
        f"{counted(len(run.artifacts), 'artifact')}"
        for run in found
    ]
    return CommandResult(
        Status.PASS, tuple(lines or ["no run"]), details={"runs": [_run_row(run) for run in found]}
    )


def _list_artifacts(site: Site, given: Namespace) -> CommandResult:
    found = _first(choose_artifacts(load_index(site.store), _filter(given)), given.limit)
    width = max((len(artifact.type) for _, artifact in found), default=0)
    lines = [
        f"{artifact.sha256[:12] or '-':<14}{artifact.bytes:>10}  {artifact.type:<{width}} "
        f" {name}/{artifact.path}"
        for name, artifact in found
    ]
    rows = [_artifact_row(name, artifact) for name, artifact in found]
    return CommandResult(Status.PASS, tuple(lines or ["no artifact"]), details={"artifacts": rows})


def _show_artifact(site: Site, given: Namespace) -> CommandResult:
    name = given.words[0]
    found = find_artifacts(load_index(site.store), name)
    if not found:
        raise Refusal(Finding("EVIDENCE_UNKNOWN", {"name": name}))
    rows = [_artifact_row(run_name, artifact) for run_name, artifact in found]
    lines: list[str] = []
    for row in rows:
        lines += [
            *([""] if lines else []),
            *(f"{key:<16}{'-' if row[key] in ('', None) else row[key]}" for key in row),
        ]
    return CommandResult(Status.PASS, tuple(lines), details={"artifacts": rows})


def _show_meta(site: Site, given: Namespace) -> CommandResult:
    del given
    index = load_index(site.store)
    meta = _meta(index)
    types = meta["types"]
    lines = [f"{key:<16}{value}" for key, value in meta.items() if key != "types"]
    lines += (
        [f"  {name:<18}{count}" for name, count in types.items()] if isinstance(types, dict) else []
    )
    return CommandResult(Status.PASS, tuple(lines), details={"index": meta})


def _meta(index: EvidenceIndex) -> dict[str, object]:
    artifacts = [artifact for run in index.runs for artifact in run.artifacts]
    names = sorted({artifact.type for artifact in artifacts})
    counts = dict.fromkeys(names, 0)
    for artifact in artifacts:
        counts[artifact.type] += 1
    return {
        "path": shown(EVIDENCE_INDEX),
        "version": index.schema_version,
        "sha256": sha256(format_index(index)),
        "runs": len(index.runs),
        "artifacts": len(artifacts),
        "bytes": sum(artifact.bytes for artifact in artifacts),
        "types": counts,
    }


_RUN: Mapping[str, Callable[[Site, Namespace], CommandResult]] = MappingProxyType(
    {
        "index": _index,
        "list-runs": _list_runs,
        "list-artifacts": _list_artifacts,
        "show-artifact": _show_artifact,
        "show-index-meta": _show_meta,
    }
)


def _filter(given: Namespace) -> Filter:
    return Filter(
        **{name: getattr(given, name) or "" for name in (*_OF_RUNS, "type", "pack", "path")}
    )


def _first(rows: tuple[Row, ...], limit: int) -> tuple[Row, ...]:
    return rows[:limit] if limit else rows


def _run_row(run: IndexedRun) -> dict[str, object]:
    return {**run.model_dump(mode="json", exclude={"artifacts"}), "artifacts": len(run.artifacts)}


def _artifact_row(name: str, artifact: IndexedArtifact) -> dict[str, object]:
    return {"run_id": name, **artifact.model_dump(mode="json")}


def _time(text: str) -> str:
    if re.fullmatch(r"[0-9]{4}(?:-[0-9]{2}(?:-[0-9]{2}(?:T[0-9:.]{2,12}Z?)?)?)?", text) is None:
        raise argparse.ArgumentTypeError(
            f"expected a day or time in UTC as in 2026-01-31T12:00, found {text!r}"
        )
    return text


def _pattern(text: str) -> str:
    problem = problem_with_pattern(text)
    if problem:
        raise argparse.ArgumentTypeError(f"{text!r} {problem}")
    return text


def _count(text: str) -> int:
    if re.fullmatch(r"[1-9][0-9]{0,8}", text) is None:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 on, found {text!r}")
    return int(text)
