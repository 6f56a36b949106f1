"""`init`: the first files of a repository, and what to do next."""

from __future__ import annotations

from argparse import Namespace

from factory.commands import errands
from factory.commands.options import Parser, here
from factory.judge.status_eval import of_findings
from factory.report.answer import CommandResult, finding_lines

HELP = {
    "init": """\
usage: factory init

Start with task packs in this Git repository: writes dodo.py, noxfile.py, factory.toml, .gitignore
and a first task pack that takes an inventory of the files. What stands there already is kept.

  factory init && doit oneshot

options
""",
}


def define(command: str, parser: Parser) -> None:
    """Nothing to choose."""
    del command, parser


def run(command: str, given: Namespace) -> CommandResult:
    """Write what is missing. Raises Refusal."""
    del command, given
    started = errands.begin(here())
    begun = started.begun
    lines = [
        *(f"wrote  {path}" for path in begun.written),
        *(f"kept   {path}" for path in begun.kept),
    ]
    if not started.has_tasks:
        lines += ["", "dodo.py was kept and does not make our tasks yet; add to it:"]
        lines += [f"  {line}".rstrip() for line in begun.imports.splitlines()]
    lines += ["", *finding_lines(started.findings)] if started.findings else []
    lines += ["", *_next(started.has_commit, begun.written)]
    details = {"written": list(begun.written), "kept": list(begun.kept)}
    return CommandResult(
        of_findings(started.findings), tuple(lines), started.findings, details=details
    )


def _next(has_commit: bool, written: tuple[str, ...]) -> list[str]:
    commit = "git add -A && git commit -m 'Task packs'"
    if not has_commit:
        return [
            f"Next   {commit:<42} a run starts from a commit",
            f"       {'doit oneshot':<42} run the first pack",
        ]
    lines = [f"Next   {'doit oneshot':<42} run the first pack"]
    return [*lines, f"       {commit:<42} so that a run can be published"] if written else lines
