"""Answer `contract`: every finding as `file:line:column  sentence`, and the verdict in the last
line.
"""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Mapping

from factory.commands.options import Parser, add_refs, flags_of, here
from factory.contract.check import Judged, judge_contracts, stale_schemas
from factory.contract.known_secrets import redactor_for
from factory.contract.work_tree import UserWorkTree
from factory.engine.wiring import load_config
from factory.git import repository
from factory.model.finding import Finding
from factory.model.verdict import Status
from factory.model.wording import counted
from factory.report.answer import CommandResult

HELP = {
    "contract": (
        """\
usage: factory contract [PACK…] [OPTION…]

Check every task pack, schema and configuration of this repository against their forms, without a
sandbox; with PACKs (ids or folders), only those. Ends with the verdict: 0 PASS, 2 BLOCKED.

options
  --policy-ref REF      the commit whose configuration and keys are in force: a full name of a ref
"""
    ),
}


def define(command: str, parser: Parser) -> None:
    """Add the packs."""
    del command
    parser.add_argument("packs", nargs="*", metavar="PACK")
    add_refs(parser, base=False)


def run(command: str, given: Namespace) -> CommandResult:
    """Judge the contracts. Raise Refusal, UsageError."""
    del command
    return judge_packs(tuple(given.packs), flags_of(given))


def judge_packs(only: tuple[str, ...], flags: Mapping[str, str]) -> CommandResult:
    """Return the answer about every contract of the repository, or about the packs in `only`.

    Raise Refusal, and UsageError for a name that no pack has.
    """
    root = repository.root_of(here())
    config, findings = load_config(root, flags)
    schemas = () if only else stale_schemas(root)
    redactor = redactor_for(os.environ)
    judged = judge_contracts(UserWorkTree(root), config, (*findings, *schemas), only, redactor)
    lines = (*map(_line, judged.findings), f"{judged.status.value}  {_verdict(judged)}")
    details = {"packs": judged.packs, "broken": list(judged.broken)}
    return CommandResult(judged.status, lines, judged.findings, details=details)


def _line(finding: Finding) -> str:
    place = f"{finding.location}  " if finding.location is not None else ""
    return f"{place}{finding.message}{f'; {finding.hint}' if finding.hint else ''}"


def _verdict(judged: Judged) -> str:
    count = counted(judged.packs, "pack")
    if judged.broken:
        verb = "is" if len(judged.broken) == 1 else "are"
        return f"{len(judged.broken)} of {count} {verb} not valid"
    if judged.status is not Status.PASS:
        return f"{count} read; see the findings above"
    return f"{count} {'is' if judged.packs == 1 else 'are'} valid"
