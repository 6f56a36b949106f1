"""`keys`: the signing keys of this user, and the public keys that a repository pins. Never prints a
private key.
"""

from __future__ import annotations

from argparse import Namespace

from factory.commands import errands
from factory.commands.options import Parser, here
from factory.evidence.keys import KeyRow, Trusted, choose_key, read_key
from factory.log.public_key import format_pem
from factory.model.errors import UsageError
from factory.model.verdict import Status
from factory.report.answer import CommandResult

HELP = {
    "keys": (
        """\
usage: factory keys list
       factory keys new
       factory keys trust [KEY_ID|FILE]
       factory keys export [KEY_ID]

list tells your keys and the pinned ones, new makes another and uses it from now on, trust pins a
public key (yours, without a name) by a file in factory.keys/ for you to commit, export prints one
for others to pin. Private keys stay in your own configuration folder, or where
FACTORY_SIGNING_KEY_FILE says.

  factory keys export > alice.pub
  factory keys trust alice.pub && git add factory.keys

options
"""
    ),
}

_ACTIONS = ("list", "new", "trust", "export")


def define(command: str, parser: Parser) -> None:
    """What to do, and with which key."""
    del command
    parser.add_argument("action", choices=_ACTIONS, metavar="list|new|trust|export")
    parser.add_argument("key", nargs="?", default="", metavar="KEY_ID|FILE")


def run(command: str, given: Namespace) -> CommandResult:
    """Carry it out. Raises Refusal, UsageError."""
    del command
    if given.key and given.action in ("list", "new"):
        raise UsageError(
            f"keys {given.action} does not take {given.key!r}", "see: factory keys --help"
        )
    match given.action:
        case "new":
            return _new()
        case "trust":
            return _trust(given.key)
        case "export":
            return _export(given.key)
        case _:
            return _list()


def _list() -> CommandResult:
    rows = errands.key_room(here()).rows
    lines = [_line(row) for row in rows] or [
        "no key yet; the first run makes one, or: factory keys new"
    ]
    details = [
        {"key_id": row.key.key_id, "source": row.source, "in_use": row.in_use, "pinned": row.pinned}
        for row in rows
    ]
    return CommandResult(Status.PASS, tuple(lines), details={"keys": details})


def _line(row: KeyRow) -> str:
    words = [
        "in use" if row.in_use else "",
        "pinned" if row.pinned else "not pinned" if row.in_use else "",
    ]
    return (
        f"{row.key.key_id}  {', '.join(filter(None, words)) or 'kept':<18} "
        f" {row.source or 'public half only'}"
    )


def _new() -> CommandResult:
    made = errands.key_room(here()).keys.make()
    lines = (
        f"made   {made.key.key_id}",
        f"kept   {made.source}",
        "",
        "Next   pin it with: factory keys trust",
    )
    return CommandResult(
        Status.PASS, lines, details={"key_id": made.key.key_id, "source": made.source}
    )


def _trust(word: str) -> CommandResult:
    content = errands.read_file(here(), word) if word else None
    if content is not None:
        key = read_key(content, word)
    else:
        room = errands.key_room(here())
        if not word:
            room.keys.signer()
        key = choose_key(room.rows, word)
    trusted = errands.pin_key(here(), key)
    return CommandResult(
        Status.PASS, _told(trusted), details={"key_id": key.key_id, "path": trusted.path}
    )


def _told(trusted: Trusted) -> tuple[str, ...]:
    done = "wrote" if trusted.fresh else "kept "
    return (
        f"{done}  {trusted.path}  {trusted.key.key_id}",
        "",
        f"Next   git add {trusted.path}, and commit it",
    )


def _export(word: str) -> CommandResult:
    key = choose_key(errands.key_room(here()).rows, word)
    pem = format_pem(key).decode("ascii")
    return CommandResult(
        Status.PASS, tuple(pem.splitlines()), details={"key_id": key.key_id, "public_key": pem}
    )
