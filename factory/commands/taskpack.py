"""Answer `taskpack new` and `taskpack lint`: write the skeleton of a pack, and check one."""

from __future__ import annotations

import re
from argparse import Namespace

from factory.commands.contract import judge_packs
from factory.commands.options import Parser, here
from factory.contract.scaffold import new_pack
from factory.engine.wiring import sound_config
from factory.files.added_files import AddedFiles
from factory.files.templates import read_templates
from factory.git import repository
from factory.model.errors import UsageError
from factory.model.names import PACK_FOLDER
from factory.model.verdict import Status
from factory.report.answer import CommandResult

HELP = {
    "taskpack": """\
usage: factory taskpack new ID-slug [--domain NAME]
       factory taskpack lint [PACK…]

new writes the five files of a pack; its acceptance fails until you write it. lint checks packs
against their contracts, like `factory contract PACK…`.

  factory taskpack new TASK-0104-readme-links --domain web

options
  --domain NAME         what kind of work it is: platform (without it), security, web, game, …
""",
}

_ACTIONS = ("new", "lint")


def define(command: str, parser: Parser) -> None:
    """Add what to do, and with which packs."""
    del command
    parser.add_argument("action", choices=_ACTIONS, metavar="new|lint")
    parser.add_argument("packs", nargs="*", metavar="ID-slug|PACK")
    parser.add_argument("--domain", metavar="NAME", default="platform")


def run(command: str, given: Namespace) -> CommandResult:
    """Write or check. Raise Refusal, UsageError."""
    del command
    if given.action == "lint":
        return judge_packs(tuple(given.packs), {})
    if len(given.packs) != 1:
        raise UsageError(
            f"expected one name of a pack, found {len(given.packs)}",
            "as in: TASK-0104-readme-links",
        )
    name = given.packs[0]
    match = PACK_FOLDER.fullmatch(name)
    if match is None or not match["slug"]:
        raise UsageError(
            f"expected an id and a slug, found {name!r}", "as in: TASK-0104-readme-links"
        )
    if re.fullmatch(r"[a-z][a-z0-9_-]{0,63}", given.domain) is None:
        raise UsageError(
            f"expected a domain in lower case, found {given.domain!r}", "as in: security"
        )
    root = repository.root_of(here())
    packs_folder = sound_config(root, {}).packs_folder
    texts = read_templates("pack")
    begun = new_pack(AddedFiles(root), texts, packs_folder, name, given.domain)
    lines = [
        *(f"wrote  {path}" for path in begun.written),
        *(f"kept   {path}" for path in begun.kept),
    ]
    lines += [
        "",
        "Next   write task.yml and acceptance.yml, then:",
        f"       factory taskpack lint {match['id']}",
    ]
    details = {"written": list(begun.written), "kept": list(begun.kept)}
    return CommandResult(Status.PASS, tuple(lines), details=details)
