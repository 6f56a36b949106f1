"""Answer `factory keys`: this user's signing keys, those they trust, and a repository's pins.

Never prints a private key.
"""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from factory.commands.options import Parser, here, read_named
from factory.engine.wiring import site, user_keys
from factory.evidence.keys import KeyRow, Trusted, choose_key, list_keys, pin_key, read_key
from factory.evidence.signing import pinned_keys
from factory.files.added_files import AddedFiles
from factory.files.key_files import UserKeys
from factory.git import repository
from factory.log.key import PublicKey
from factory.log.public_key import format_pem
from factory.model.errors import Refusal, UsageError
from factory.model.verdict import Status
from factory.report.answer import CommandResult

HELP = {
    "keys": (
        """\
usage: factory keys list
       factory keys new
       factory keys trust [--user] [KEY_ID|FILE]
       factory keys export [KEY_ID]

list shows your keys, those that you trust and the pinned ones; new makes another and uses it from
now on; trust pins a public key (yours, without a name) by a file in factory.keys/ for you to
commit, or with --user keeps it in your folder of keys, so that factory verify trusts it; export
prints one for others. Private keys stay in your own configuration folder, or where
FACTORY_SIGNING_KEY_FILE says.

  factory keys export > alice.pub
  factory keys trust --user alice.pub

options
  --user                keep it in your own folder of keys instead of the repository
"""
    ),
}

_ACTIONS = ("list", "new", "trust", "export")


def define(command: str, parser: Parser) -> None:
    """Define what to do, and with which key."""
    del command
    parser.add_argument("action", choices=_ACTIONS, metavar="list|new|trust|export")
    parser.add_argument("--user", action="store_true")
    parser.add_argument("key", nargs="?", default="", metavar="KEY_ID|FILE")


def run(command: str, given: Namespace) -> CommandResult:
    """Carry out the action. Raise Refusal, UsageError."""
    del command
    if given.key and given.action in ("list", "new"):
        raise UsageError(
            f"keys {given.action} does not take {given.key!r}", "see: factory keys --help"
        )
    if given.user and given.action != "trust":
        raise UsageError(f"keys {given.action} does not take --user", "see: factory keys --help")
    match given.action:
        case "new":
            return _new()
        case "trust":
            return _trust(given.key, given.user)
        case "export":
            return _export(given.key)
        case _:
            return _list()


def _known_keys() -> tuple[UserKeys, tuple[PublicKey, ...]]:
    """Return (own keys, pinned keys); none is pinned outside a repository that has a commit.

    Raise Refusal for a broken configuration or pin.
    """
    try:
        found = site(here(), {})
    except Refusal as refusal:
        if not refusal.findings[0].id.startswith("REPO_"):
            raise
        return user_keys(_root_or_none()), ()
    return found.keys, pinned_keys(found)


def _root_or_none() -> Path | None:
    try:
        return repository.root_of(here())
    except Refusal:
        return None


def _rows(own: UserKeys, pinned: tuple[PublicKey, ...]) -> tuple[KeyRow, ...]:
    return list_keys(own.own(), pinned, own.trusted())


def _list() -> CommandResult:
    rows = _rows(*_known_keys())
    lines = [_line(row) for row in rows] or [
        "no key yet; the first run makes one, or: factory keys new"
    ]
    details = [
        {
            "key_id": row.key.key_id,
            "source": row.source,
            "in_use": row.in_use,
            "pinned": row.pinned,
            "trusted": row.trusted,
        }
        for row in rows
    ]
    return CommandResult(Status.PASS, tuple(lines), details={"keys": details})


def _line(row: KeyRow) -> str:
    words = [
        "in use" if row.in_use else "",
        "trusted" if row.trusted else "",
        "pinned" if row.pinned else "not pinned" if row.in_use else "",
    ]
    return (
        f"{row.key.key_id}  {', '.join(filter(None, words)) or 'kept':<18} "
        f" {row.source or 'public half only'}"
    )


def _new() -> CommandResult:
    made = _known_keys()[0].make()
    lines = (
        f"made   {made.key.key_id}",
        f"kept   {made.source}",
        "",
        "Next   pin it with: factory keys trust",
    )
    return CommandResult(
        Status.PASS, lines, details={"key_id": made.key.key_id, "source": made.source}
    )


def _trust(word: str, users: bool) -> CommandResult:
    content = read_named(here(), word) if word else None
    if content is not None:
        key = read_key(content, word)
    else:
        own, pinned = _known_keys()
        if not word:
            own.signer()
        key = choose_key(_rows(own, pinned), word)
    if users:
        path, fresh = _known_keys()[0].trust(key)
        lines = (f"{'wrote' if fresh else 'kept '}  {path}  {key.key_id}",)
        return CommandResult(Status.PASS, lines, details={"key_id": key.key_id, "path": path})
    trusted = pin_key(AddedFiles(repository.root_of(here())), key)
    return CommandResult(
        Status.PASS, _lines(trusted), details={"key_id": key.key_id, "path": trusted.path}
    )


def _lines(trusted: Trusted) -> tuple[str, ...]:
    done = "wrote" if trusted.fresh else "kept "
    return (
        f"{done}  {trusted.path}  {trusted.key.key_id}",
        "",
        f"Next   git add {trusted.path}, and commit it",
    )


def _export(word: str) -> CommandResult:
    key = choose_key(_rows(*_known_keys()), word)
    pem = format_pem(key).decode("ascii")
    return CommandResult(
        Status.PASS, tuple(pem.splitlines()), details={"key_id": key.key_id, "public_key": pem}
    )
