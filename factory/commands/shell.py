"""Let a person, or one command, work inside a pack's sandbox: `shell`."""

from __future__ import annotations

import argparse
import contextlib
import os
import secrets
import sys
from argparse import Namespace
from collections.abc import Iterator, Mapping
from dataclasses import asdict

from factory.commands.options import Parser, add_refs, flags_of, here
from factory.contract.check import choose
from factory.engine import wiring
from factory.engine.pipeline import RepositoryPipeline
from factory.files.fs_guard import remove_tree
from factory.git.objects import GitObjects
from factory.judge.path_guard import display
from factory.model.errors import UsageError
from factory.model.evidence import CheckRecord
from factory.model.verdict import Status
from factory.model.wording import counted
from factory.plan.stages import PackStage, findings
from factory.redact.redaction import Stream
from factory.report.answer import CommandResult, finding_lines, finding_row
from factory.report.terminal import plain, sanitize, write_lines
from factory.run.shell import (
    SessionEnd,
    SessionEvents,
    SessionTerms,
    ShellRequest,
    Where,
    open_session,
)
from factory.sandbox.values import CommandOutcome, CommandSpec, Ended

HELP = {
    "shell": (
        """\
usage: factory shell PACK [OPTION…]

Open the sandbox of a task pack and work in it at a terminal: the same view, limits, environment
and confinement as an attempt has, and no more network than the contract declares. Nothing stays:
no bundle, no verdict, no change. Your terminal never enters; what comes out of the sandbox passes
an allow-list of escape sequences. Leave with exit or Ctrl-D; from outside, Ctrl-] three times.

Ends with 0 when the shell was left, whatever it ended with, and with 2 where a limit ended it.
With --command it ends with 0 where the command did, and with 2 where it did not.

  factory shell TASK-0101
  factory shell TASK-0101 --frozen --command 'python -m pytest -q'

options
  --after-steps         run the pack's steps first, and look at what they left
  --frozen              what acceptance sees: the steps' result, frozen; writes do not last
  --command LINE        run one line instead of a shell; needs no terminal
  --timeout SECONDS     longest time (default: the pack's limit, for a shell at least an hour)
  --base-ref REF        the commit that packs start from
  --policy-ref REF      the commit whose configuration and keys are in force: a full name of a ref
"""
    ),
}

_MOST_SHOWN = 40
_LONGEST = 43_200
_WIDTH = 11


def define(command: str, parser: Parser) -> None:
    """Add the pack, which view of it, and what to do there."""
    del command
    parser.add_argument("pack", metavar="PACK")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--after-steps", dest="where", action="store_const", const=Where.AFTER_STEPS)
    where.add_argument("--frozen", dest="where", action="store_const", const=Where.FROZEN)
    parser.set_defaults(where=Where.WORK)
    parser.add_argument("--command", metavar="LINE", type=_line)
    parser.add_argument("--timeout", metavar="SECONDS", type=_seconds, default=0)
    add_refs(parser)


def _line(text: str) -> str:
    if not text.strip() or "\0" in text:
        raise argparse.ArgumentTypeError(f"expected a command, found {text!r}")
    return text


def _seconds(text: str) -> int:
    if (
        not text.isascii()
        or not text.isdecimal()
        or len(text) > 6
        or not 1 <= int(text) <= _LONGEST
    ):
        raise argparse.ArgumentTypeError(f"expected seconds from 1 to {_LONGEST}, found {text!r}")
    return int(text)


def run(command: str, given: Namespace) -> CommandResult:
    """Open a session and return how it ended. Raise Refusal, UsageError, Interrupted."""
    del command
    term = "" if given.command else _terminal()
    if term is None:
        raise UsageError(
            "shell: expected a terminal to work at, found none",
            "give one command with --command LINE",
        )
    with opened_apart(flags_of(given), "shell") as (
        pipeline,
        name,
    ):
        entry = choose(pipeline.run.catalogue, (given.pack,))[0]
        asked = ShellRequest(name, given.where, given.command or "", given.timeout, term)
        output = _Output(Stream(pipeline.site.redactor), quiet=given.json)
        talk = output.run if asked.line else _converse
        end = open_session(
            pipeline.site,
            pipeline.run.planner,
            entry,
            asked,
            talk,
            SessionEvents(_stepped, _opened),
            pipeline.run.progress,
        )
        return _answer(entry.id, asked, end, pipeline.site.redactor.redact(end.outcome.log).content)


@contextlib.contextmanager
def opened_apart(flags: Mapping[str, str], what: str) -> Iterator[tuple[RepositoryPipeline, str]]:
    """Yield a pipeline whose objects are removed again, and a name for a stage of its own that says
    `what` it is for. Raise Refusal.
    """
    name = f"{what}-{os.getpid()}-{secrets.token_hex(4)}"
    made = wiring.pipeline(here(), flags, apart=name)
    try:
        yield made, name
    finally:
        made.site.sandbox.close()
        if isinstance(made.site.objects, GitObjects):
            made.site.objects.close()
        remove_tree(made.site.store.root / name)


def _terminal() -> str | None:
    """Return the TERM of a session at our terminal; None if there is no terminal to work at."""
    try:
        from factory.sandbox import person
    except ImportError:  # a platform that has other terminals
        return None
    return person.inside_term(os.environ) if person.at_terminal() else None


def _converse(stage: PackStage, command: CommandSpec) -> CommandOutcome:
    """Let the person at our terminal work in a stage. Raise Refusal if the stage has no terminal,
    Interrupted at a signal that would end us.
    """
    from factory.sandbox.person import seated  # POSIX only

    with findings(), seated() as person:
        return stage.converse(command, person)


class _Output:
    """Print what one command prints, line by line as it comes, inert and without credentials."""

    def __init__(self, stream: Stream, *, quiet: bool) -> None:
        self._stream = stream
        self._quiet = quiet
        self._rest = b""

    def run(self, stage: PackStage, spec: CommandSpec) -> CommandOutcome:
        """Run it and show what it prints."""
        outcome = stage.run(spec, lambda chunk: self._take(self._stream.feed(chunk)))
        self._take(self._stream.end())
        if self._rest:
            self._take(b"\n")
        return outcome

    def _take(self, chunk: bytes) -> None:
        *whole, self._rest = (self._rest + chunk).split(b"\n")
        if not self._quiet:
            write_lines(
                sys.stdout, (plain(line.decode("utf-8", "replace").rstrip("\r")) for line in whole)
            )


def _print(*lines: str) -> None:
    write_lines(sys.stderr, map(sanitize, lines))


def _stepped(record: CheckRecord) -> None:
    _print(f"{record.label:<{_WIDTH}}ended with {record.rc}")


def _opened(terms: SessionTerms) -> None:
    limits = terms.limits
    sizes = (
        f"{limits.memory >> 20} MiB memory, {limits.processes} processes, {limits.disk >> 20} MiB"
        " disk"
    )
    given = ", ".join(sorted(each.value for each in terms.enforcement.given)) or "nothing"
    weaker = (f"{'accepted':<{_WIDTH}}{finding.message}" for finding in terms.accepted)
    _print(
        f"{terms.pack}: {terms.where.value}, in sandbox {terms.enforcement.backend}",
        f"{'enforced':<{_WIDTH}}{given}",
        *weaker,
        f"{'limits':<{_WIDTH}}{sizes}, {limits.output >> 20} MiB output, {terms.timeout} s",
        f"{'network':<{_WIDTH}}{terms.network}",
        f"{'leave':<{_WIDTH}}exit or Ctrl-D; from outside, Ctrl-] three times. Nothing stays.",
    )


def _answer(pack: str, asked: ShellRequest, end: SessionEnd, log: bytes) -> CommandResult:
    outcome = end.outcome
    well = (
        outcome.ended in (Ended.EXITED, Ended.SIGNALLED, Ended.CANCELLED)
        if not asked.line
        else outcome.rc == 0
    )
    details: dict[str, object] = {
        "pack": pack,
        "view": asked.where.name.lower(),
        "ended": outcome.ended.value,
        "rc": outcome.rc,
        "output_bytes": outcome.output_bytes,
        "changed": [
            {"path": display(each.path), "kind": each.kind, "verdict": each.verdict}
            for each in end.changed
        ],
        "denied": [asdict(each) for each in end.denials],
        "would_find": [finding_row(finding) for finding in end.findings],
    }
    if asked.line:
        details["output"] = log.decode("utf-8", "replace")
    return CommandResult(Status.PASS if well else Status.BLOCKED, _lines(end), details=details)


def _lines(end: SessionEnd) -> tuple[str, ...]:
    outcome = end.outcome
    how = (
        f"with {outcome.rc}"
        if outcome.ended is Ended.EXITED
        else f"by {outcome.ended.value}, with {outcome.rc}"
    )
    lines = [f"{'ended':<{_WIDTH}}{how}"]
    for each in end.changed[:_MOST_SHOWN]:
        lines.append(
            f"{each.kind:<{_WIDTH}}{display(each.path)}"
            + (f"  ({each.verdict})" if each.verdict else "")
        )
    if len(end.changed) > _MOST_SHOWN:
        lines.append(f"{'':<{_WIDTH}}and {len(end.changed) - _MOST_SHOWN} more")
    lines.append(f"{'gone':<{_WIDTH}}{counted(len(end.changed), 'change')}: nothing of it stays")
    for one in end.denials[:_MOST_SHOWN]:
        often = f", {one.count} times" if one.count > 1 else ""
        lines += [
            f"{'denied':<{_WIDTH}}{one.tried} {one.what}  ({one.rule}{often})",
            f"{'':<{_WIDTH}}{one.remedy}",
        ]
    if end.findings:
        lines += [
            "an attempt with this change would be BLOCKED:",
            *finding_lines(end.findings, "  "),
        ]
    return tuple(lines)
