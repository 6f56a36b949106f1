"""Answer `factory keys`: this user's signing keys, those they trust, and a repository's pins.

Never prints a private key.
"""

from __future__ import annotations

from argparse import ArgumentTypeError, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from factory.commands.options import Parser, here, new_file, read_named, run_id
from factory.engine.wiring import site, user_keys
from factory.evidence.keys import KeyRow, Trusted, choose_key, list_keys, pin_key, read_key
from factory.evidence.signing import pinned_keys
from factory.files.added_files import AddedFiles
from factory.files.clock import SystemClock
from factory.files.fs_guard import write_atomic
from factory.files.key_files import UserKeys
from factory.files.state_store import StateStore
from factory.git import repository
from factory.log.key import PublicKey
from factory.log.public_key import format_pem
from factory.model.errors import Refusal, UsageError
from factory.model.finding import Finding
from factory.model.layout import STATE_FOLDER, cosignature, shown
from factory.model.verdict import Status
from factory.report.answer import CommandResult

if TYPE_CHECKING:
    from factory.verify.run import Verified

HELP = {
    "keys": (
        """\
usage: factory keys list
       factory keys new
       factory keys trust [--user] [KEY_ID|FILE]
       factory keys export [KEY_ID]
       factory keys sign [RUN_ID|--path DIR] [--file FILE]

list shows your keys, those that you trust and the pinned ones; new makes another and uses it from
now on; trust pins a public key (yours, without a name) by a file in factory.keys/ for you to
commit, or with --user keeps it in your folder of keys, so that factory verify trusts it; export
prints one for others. sign adds your signature to a run that others made, the last one without
a name, where several must have signed: it verifies the run first, every part of it, and refuses
what it could not check or nobody whom you trust signed. Private keys stay in your own
configuration folder, or where FACTORY_SIGNING_KEY_FILE says.

  factory keys export > alice.pub
  factory keys trust --user alice.pub
  factory keys sign --path /mnt/copy/runs/factory_20261122_101502_1f0c9a2e_001 --file bob.jsonl

options
  --user                keep it in your own folder of keys instead of the repository
  --path DIR            sign the run in this folder, copied from anywhere
  --file FILE           write the signature there, for: factory verify --signature FILE
"""
    ),
}

_ACTIONS = ("list", "new", "trust", "export", "sign")


def define(command: str, parser: Parser) -> None:
    """Define what to do, and with which key."""
    del command
    parser.add_argument("action", choices=_ACTIONS, metavar="|".join(_ACTIONS))
    parser.add_argument("--user", action="store_true")
    parser.add_argument("key", nargs="?", default="", metavar="KEY_ID|FILE|RUN_ID")
    parser.add_argument("--path", type=Path, metavar="DIR")
    parser.add_argument("--file", type=new_file, metavar="FILE")


def run(command: str, given: Namespace) -> CommandResult:
    """Carry out the action. Raise Refusal, UsageError."""
    del command
    if given.key and given.action in ("list", "new"):
        raise UsageError(
            f"keys {given.action} does not take {given.key!r}", "see: factory keys --help"
        )
    if given.user and given.action != "trust":
        raise UsageError(f"keys {given.action} does not take --user", "see: factory keys --help")
    if given.action != "sign" and (given.path is not None or given.file is not None):
        raise UsageError("--path and --file are for sign", "see: factory keys --help")
    match given.action:
        case "new":
            return _new()
        case "trust":
            return _trust(given.key, given.user)
        case "export":
            return _export(given.key)
        case "sign":
            return _sign(given.key, given.path, given.file)
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


def _sign(word: str, path: Path | None, file: Path | None) -> CommandResult:
    """Verify a run, then add the signature of the key in use. Raise Refusal, UsageError."""
    from factory.commands.verify import verified_by  # loads what verifies
    from factory.evidence.cosign import cosigned

    if path is not None and (word or file is None):
        raise UsageError("expected --path DIR with --file FILE", "see: factory keys --help")
    root = _root_or_none()
    keys = user_keys(root)
    key = choose_key(list_keys(keys.own(), ()), "")
    verified = verified_by(_run_id(word), path, {})
    already = _signed_already(verified, key)
    problem = _why_not(verified)
    if problem and not already:
        raise Refusal(Finding("RUN_NOT_SIGNED", {"run": verified.run_id, "problem": problem}))
    details: dict[str, object] = {"key_id": key.key_id, "run_id": verified.run_id}
    kept = cosignature(verified.run_id, key.file_name)
    store = StateStore(root / STATE_FOLDER) if root is not None and path is None else None
    if already or (file is None and store and store.size(kept)):
        line = f"kept   {verified.run_id} is signed by {key.key_id} already"
        return CommandResult(Status.PASS, (line,), run_id=verified.run_id, details=details)
    content = cosigned(verified.run_id, verified.manifest, keys.signer(), SystemClock().utc())
    if file is not None:
        write_atomic(file, content, mode=0o644)
    elif store is not None:
        store.write(kept, content)
    where = str(file) if file is not None else shown(kept)
    lines = (f"signed {verified.run_id} by {key.key_id}", f"wrote  {where}")
    return CommandResult(
        Status.PASS, lines, run_id=verified.run_id, details={**details, "path": where}
    )


def _run_id(word: str) -> str:
    try:
        return run_id(word) if word else ""
    except ArgumentTypeError as error:
        raise UsageError(str(error), "see: factory keys --help") from error


def _why_not(verified: Verified) -> str:
    """Return why a run must not be signed; "" where all of it was checked, and somebody whom this
    user trusts signed it.
    """
    from factory.verify.cosignatures import ADDED

    if verified.findings:
        return verified.findings[0].message
    gaps = [f"{gap.part}: {gap.reason}" for gap in verified.gaps if gap.part != ADDED]
    if gaps or not verified.status:
        return f"could not be checked: {(gaps or ['all of it'])[0]}"
    untrusted = verified.untrusted
    if untrusted is not None and untrusted.facts.get("case") != "threshold":
        return untrusted.message
    return ""


def _signed_already(verified: Verified, key: PublicKey) -> bool:
    """Return whether nothing differs, and the key made the run or signed it later."""
    if verified.findings:
        return False
    found = verified.untrusted.facts.get("found", "") if verified.untrusted is not None else ""
    return key.key_id in (*verified.signers, *str(found).split(", "))
