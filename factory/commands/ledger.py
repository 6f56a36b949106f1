"""Answer `ledger`: events of the history, the proof that one is in it, and whether two
checkpoints agree.
"""

from __future__ import annotations

import argparse
import base64
import re
import sys
from argparse import Namespace
from collections.abc import Collection
from functools import partial
from pathlib import Path

from factory.commands.options import Parser, here, new_file, read_named, run_id
from factory.engine import wiring
from factory.evidence import ledger_view
from factory.evidence.history import EventFilter, instant_of
from factory.evidence.ledger_head import latest_checkpoint
from factory.files.fs_guard import write_atomic
from factory.git.git import find_git
from factory.git.kept_files import NOTES, put_note, put_ref
from factory.log.checkpoint import format_kept
from factory.model.errors import Refusal, UsageError
from factory.model.events import ACTORS, EVENTS
from factory.model.evidence import EventDocument
from factory.model.finding import Finding
from factory.model.verdict import Status
from factory.model.wording import nearest
from factory.plan.site import Site
from factory.report import streams
from factory.report.answer import CommandResult
from factory.report.terminal import plain, sanitize

POLL_SECONDS = 0.2

HELP = {
    "ledger": (
        """\
usage: factory ledger [OPTION…]
       factory ledger prove SEQ [--run-id RUN_ID]
       factory ledger consistency OLD NEW
       factory ledger export-checkpoint [--file FILE|--ref REF|--note COMMIT]

Print events, oldest first; the options that are given must all agree. prove prints the proof
that event SEQ is in the ledger (C2SP tlog-proof), against the newest checkpoint that covers it,
or a run's. consistency says whether the ledger of checkpoint OLD is the beginning of that of
NEW, each a run, a checkpoint file, or now. export-checkpoint makes a checkpoint of the whole
ledger, signed where a key is at hand, and prints it, or keeps it in a file, a Git ref or the note
of a commit, for you to push to another place: factory verify --since shows later what was taken
away. Where policy names places ([evidence] checkpoints), it is kept there.

  factory ledger --since 2026-01-31 --status BLOCKED
  factory ledger --limit 1 --raw-events
  factory ledger consistency kept/apart/checkpoint now
  factory ledger export-checkpoint --ref refs/factory/checkpoint

options
  --run-id RUN_ID       events of this run; with --follow also of one that is yet to come
  --event-type TYPE     events of this type, as in pack.finished
  --actor ACTOR         events by this actor
  --status STATUS       events that say PASS, BLOCKED or FAIL
  --rc N                events with this exit code, 0 to 255
  --since WHEN          not before this day or time in UTC, as in 2026-01-31 or 2026-01-31T12:00Z
  --until WHEN          not after it: a day, a minute or a second is meant whole
  --limit N             the last N of them
  --raw-events          the lines of the ledger, byte for byte
  --file FILE           keep the checkpoint in this file
  --ref REF             keep it in this ref of the repository, as in refs/factory/checkpoint
  --note COMMIT         keep it in the note of this commit, under refs/notes/factory/checkpoint
  --follow              go on with events as they come, until Ctrl-C; with --json, a line each
"""
    ),
}


def define(command: str, parser: Parser) -> None:
    """Add the filters of events, and what to prove."""
    del command
    parser.add_argument("words", nargs="*", metavar="WORD")
    parser.add_argument("--run-id", type=run_id, metavar="RUN_ID")
    parser.add_argument("--event-type", type=partial(_known, EVENTS), metavar="TYPE")
    parser.add_argument("--actor", type=partial(_known, ACTORS), metavar="ACTOR")
    parser.add_argument("--status", choices=[status.value for status in Status], metavar="STATUS")
    parser.add_argument("--rc", type=_code, metavar="N")
    parser.add_argument("--since", type=partial(_instant, end=False), metavar="WHEN")
    parser.add_argument("--until", type=partial(_instant, end=True), metavar="WHEN")
    parser.add_argument("--limit", type=_count, metavar="N")
    parser.add_argument("--raw-events", action="store_true")
    parser.add_argument("--follow", action="store_true")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--file", type=new_file, metavar="FILE")
    where.add_argument("--ref", metavar="REF")
    where.add_argument("--note", metavar="COMMIT")


def run(command: str, given: Namespace) -> CommandResult:
    """Print events, a proof or a comparison. Raise Refusal, UsageError, KeyboardInterrupt while it
    follows.
    """
    del command
    _judge_words(given)
    match given.words:
        case [] if given.follow:
            return _follow(wiring.site(here(), {}), given)
        case []:
            return _events(wiring.site(here(), {}), given)
        case ["prove", seq]:
            return _proof(wiring.site(here(), {}), _seq(seq), given.run_id or "")
        case ["consistency", old, new]:
            return _consistency(wiring.site(here(), {}), old, new)
        case ["export-checkpoint"]:
            return _export(wiring.site(here(), {}), given)
        case _:
            raise UsageError(
                "expected prove SEQ, consistency OLD NEW, export-checkpoint, or only options",
                "see: factory ledger --help",
            )


def _judge_words(given: Namespace) -> None:
    """Refuse options that cannot mean anything together. Raise UsageError."""
    if given.since and given.until and given.since > given.until:
        raise UsageError(
            f"nothing is both since {given.since} and until {given.until}", "exchange the two"
        )
    if given.follow and given.json_out is not None:
        raise UsageError(
            "--follow has no end to write a document at",
            "use --follow --json, a line for each event",
        )
    if not given.words and (given.file or given.ref or given.note):
        raise UsageError(
            "--file, --ref and --note are for export-checkpoint", "see: factory ledger --help"
        )
    if given.words:
        allowed = _ALLOWED.get(given.words[0], ())
        names = [
            name
            for name in _FILTERS
            if getattr(given, name) not in (None, False) and name not in allowed
        ]
        if names:
            option = "--" + names[0].replace("_", "-")
            raise UsageError(
                f"ledger {given.words[0]} does not take {option}", "see: factory ledger --help"
            )


_ALLOWED = {"prove": ("run_id",), "export-checkpoint": ("file", "ref", "note")}
_FILTERS = (
    "run_id",
    "event_type",
    "actor",
    "status",
    "rc",
    "since",
    "until",
    "limit",
    "raw_events",
    "follow",
    "file",
    "ref",
    "note",
)


def _wanted(given: Namespace) -> EventFilter:
    return EventFilter(
        run_id=given.run_id or "",
        event_type=given.event_type or "",
        actor=given.actor or "",
        status=given.status or "",
        rc=given.rc,
        since=given.since or "",
        until=given.until or "",
        limit=given.limit or 0,
    )


def _follow(site: Site, given: Namespace) -> CommandResult:
    """Print events as they come, until nobody reads any more."""
    for event in ledger_view.follow(
        site, _wanted(given), partial(streams.still_read, sys.stdout, POLL_SECONDS)
    ):
        (line,) = ledger_view.raw((event,)) if given.raw_events or given.json else (_line(event),)
        if not streams.write_lines(sys.stdout, (sanitize(line),)):
            break
    return CommandResult(Status.PASS)


def _events(site: Site, given: Namespace) -> CommandResult:
    events = ledger_view.view(site, _wanted(given))
    lines = ledger_view.raw(events) if given.raw_events else tuple(map(_line, events))
    return CommandResult(
        Status.PASS, lines, details={"events": [event.model_dump(mode="json") for event in events]}
    )


def _line(event: EventDocument) -> str:
    words = [
        f"{name} {event.details[name]}"
        for name in ("status", "pack", "reason")
        if name in event.details
    ]
    if event.duration_ms:
        words.append(f"{event.duration_ms / 1000:.1f} s")
    row = (
        f"{event.seq:>6}  {event.ts_utc}  {event.event_type:<20}  rc {event.rc} "
        f" {event.run_id or '-'}"
    )
    return plain("  ".join((row, *words)))


def _proof(site: Site, seq: int, of_run: str) -> CommandResult:
    proved = ledger_view.prove(site, seq, of_run)
    text = proved.proof.decode("utf-8")
    details = {
        "seq": seq,
        "tree_size": proved.size,
        "line": proved.line.decode("utf-8"),
        "proof": text,
        "signed_by": list(proved.signed_by),
    }
    return CommandResult(
        Status.PASS, tuple(text.split("\n")[:-1]), run_id=proved.event.run_id, details=details
    )


def _export(site: Site, given: Namespace) -> CommandResult:
    """Print a checkpoint of the whole ledger, or keep it where it was asked for."""
    kept = latest_checkpoint(site)
    if kept is None:
        raise Refusal(Finding("LEDGER_NO_CHECKPOINT", {"case": "event", "seq": 1, "count": 0}))
    content = format_kept(kept)
    size = kept.checkpoint.size
    named = {"file": given.file, "ref": given.ref, "note": given.note}
    places = [f"{kind}:{word}" for kind, word in named.items() if word is not None]
    places = places or list(site.config.evidence_checkpoints)
    if not places:
        text = content.decode("utf-8")
        details = {"size": size, "checkpoint": text}
        return CommandResult(Status.PASS, tuple(text.splitlines()), details=details)
    kept_in = [_put(site, place, content) for place in places]
    lines = [f"kept   {size} events in {where}" for where in kept_in]
    lines += ["", "Next   push it to where nobody rewrites it"]
    return CommandResult(Status.PASS, tuple(lines), details={"size": size, "places": kept_in})


def _put(site: Site, place: str, content: bytes) -> str:
    """Keep a checkpoint in a file, a ref or a note; return where, for people. Raise UsageError,
    Refusal DISK_UNWRITABLE.
    """
    kind, _, word = place.partition(":")
    if kind == "file":
        write_atomic(Path(word), content, mode=0o644)
        return word
    program = find_git(site.repository.root)
    if kind == "ref":
        put_ref(program, site.repository, word, content)
        return word
    put_note(program, site.repository, word, content)
    return f"the note of {word} under {NOTES}"


def _consistency(site: Site, old: str, new: str) -> CommandResult:
    folder = here()
    compared = ledger_view.compare(site, old, new, lambda word: read_named(folder, word))
    found = compared.consistency
    path = [base64.b64encode(step).decode("ascii") for step in found.path]
    lines = [f"{old} is the beginning of {new}: {found.old.size} of {found.new.size} events", ""]
    for name, checkpoint, signed in (
        (old, found.old, compared.old_signed_by),
        (new, found.new, compared.new_signed_by),
    ):
        root = base64.b64encode(checkpoint.root).decode("ascii")
        signers = f"signed by {', '.join(signed)}" if signed else "not signed by a pinned key"
        lines.append(f"{checkpoint.size:>6} events  root {root}  {signers}  ({name})")
    lines += [f"        proof  {step}" for step in path]
    details = {
        "old": {"size": found.old.size, "signed_by": list(compared.old_signed_by)},
        "new": {"size": found.new.size, "signed_by": list(compared.new_signed_by)},
        "origin": found.new.origin,
        "path": path,
    }
    return CommandResult(Status.PASS, tuple(lines), details=details)


def _seq(text: str) -> int:
    if re.fullmatch(r"[1-9][0-9]{0,15}", text) is None:
        raise UsageError(
            f"expected the number of an event, from 1, found {text!r}", "see: factory ledger"
        )
    return int(text)


def _code(text: str) -> int:
    if re.fullmatch(r"[0-9]{1,3}", text) is None or int(text) > 255:
        raise argparse.ArgumentTypeError(f"expected an exit code from 0 to 255, found {text!r}")
    return int(text)


def _count(text: str) -> int:
    if re.fullmatch(r"[1-9][0-9]{0,8}", text) is None:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1, found {text!r}")
    return int(text)


def _known(names: Collection[str], text: str) -> str:
    if text not in names:
        meant = nearest(text, names)
        more = f"; did you mean {meant}?" if meant else ""
        raise argparse.ArgumentTypeError(
            f"expected one of {', '.join(sorted(names))}, found {text!r}{more}"
        )
    return text


def _instant(text: str, *, end: bool) -> str:
    try:
        return instant_of(text, end=end)
    except ValueError:
        message = (
            "expected a day or a time in UTC, as in 2026-01-31 or 2026-01-31T12:00Z, found"
            f" {text!r}"
        )
        raise argparse.ArgumentTypeError(message) from None
