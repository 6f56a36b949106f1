"""List, choose and pin keys for people: the user's own, trusted ones, those that a repository pins.

A key is pinned by a file of its own in `factory.keys/`; an older one stays, so that older runs stay
verifiable. Writes that one file and nothing else; committing it is the user's decision.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from factory.files.added_files import AddedFiles
from factory.log.key import PublicKey
from factory.log.public_key import KeyFormError, format_pem, parse_pem
from factory.model.errors import Refusal
from factory.model.finding import Finding
from factory.model.findings.entry import Facts
from factory.model.signing import PINS_FOLDER, OwnKey


@dataclass(frozen=True, slots=True)
class KeyRow:
    """Describe a key that is known here: where this user keeps its private half ("" for none),
    whether it is in use, pinned in the repository, and in the user's folder of keys.
    """

    key: PublicKey
    source: str
    in_use: bool
    pinned: bool
    trusted: bool = False


@dataclass(frozen=True, slots=True)
class Trusted:
    """Describe a key that is pinned now; `fresh` says that its file was written just now."""

    key: PublicKey
    path: str
    fresh: bool


def list_keys(
    own: Iterable[OwnKey], pinned: Iterable[PublicKey], trusted: Iterable[PublicKey] = ()
) -> tuple[KeyRow, ...]:
    """Return the user's keys, the one in use first, then those of others by id."""
    known, users = frozenset(pinned), frozenset(trusted)
    mine = [
        KeyRow(key.key, key.source, key.in_use, key.key in known, key.key in users) for key in own
    ]
    others = sorted((known | users) - {row.key for row in mine}, key=lambda key: key.key_id)
    return (*mine, *(KeyRow(key, "", False, key in known, key in users) for key in others))


def choose_key(rows: Iterable[KeyRow], key_id: str) -> PublicKey:
    """Return the key of that id, or ("") the one in use. Raise Refusal SIGNING_KEY_UNKNOWN."""
    known = tuple(rows)
    for row in known:
        if row.key.key_id == key_id or (not key_id and row.in_use):
            return row.key
    facts: Facts = {"case": "in-use"}
    if key_id:
        ids = tuple(row.key.key_id for row in known)
        facts = {"case": "id" if ids else "none", "key": key_id, "known": ids}
    raise Refusal(Finding("SIGNING_KEY_UNKNOWN", facts))


def read_key(content: bytes, name: str) -> PublicKey:
    """Return the public key of a PEM file. Raise Refusal SIGNING_PIN_INVALID."""
    try:
        return parse_pem(content)
    except KeyFormError as error:
        facts = {"case": "file", "file": name, "problem": str(error)}
        raise Refusal(Finding("SIGNING_PIN_INVALID", facts)) from error


def pin_key(added: AddedFiles, key: PublicKey) -> Trusted:
    """Write the key's file into the work tree. Raise Refusal PATH_UNSAFE, DISK_UNWRITABLE."""
    path = f"{PINS_FOLDER}/{key.file_name}"
    return Trusted(key, path, added.create(path, format_pem(key)))
