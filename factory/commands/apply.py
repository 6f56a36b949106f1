"""Answer `apply`: the result of a PASS onto the work tree that the user is in."""

from __future__ import annotations

from argparse import Namespace

from factory.commands.options import Parser, here, run_id
from factory.engine import wiring
from factory.evidence import runs
from factory.model.verdict import Status
from factory.model.wording import counted
from factory.report.answer import CommandResult

HELP = {
    "apply": """\
usage: factory apply [RUN_ID] [OPTION…]

Put the result of a PASS onto your work tree and index, without a RUN_ID that of the last run that
finished. Nothing is committed. Refused where the work tree has other changes, where HEAD is not the
commit that the run began with, and for a run that is no PASS. If it is cut off, run it again. Files
are written as they are stored: no filter and no hook of the repository is run.

  factory oneshot && factory apply && git diff --cached

options
""",
}


def define(command: str, parser: Parser) -> None:
    """Add the run."""
    del command
    parser.add_argument("run_id", nargs="?", type=run_id, metavar="RUN_ID")


def run(command: str, given: Namespace) -> CommandResult:
    """Apply the result. Raise Refusal."""
    del command
    from factory.engine.apply import apply_result

    site = wiring.site(here(), {})
    found = runs.find_run(site, given.run_id or "")
    with site.locks.take("run"):
        site.locks.announce("run", f"applying {found}")
        done = apply_result(site, site.refs, found)
    files = counted(done.changed, "file")
    details: dict[str, object] = {"changed": done.changed, "already": done.already}
    if not done.changed:
        line = f"{found} changes no file"
    elif done.already:
        line = f"work tree and index have the result of {found} already: {files}"
    else:
        line = f"applied {files} of {found} to work tree and index; nothing is committed"
    more = () if done.already or not done.changed else ("Next      git diff --cached; git commit",)
    return CommandResult(Status.PASS, (line, *more), run_id=found, details=details)
