"""Keys for people: the user's own, those pinned in a repository, one of them for others to keep.

A key is pinned by a file of its own in `factory.keys/`; an older one stays, so that older runs
stay verifiable. Writes that one file and nothing else; committing it is the user's decision.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from factory.files.added_files import WorkTreeGround
from factory.log.key import PublicKey
from factory.log.public_key import KeyFormError, format_pem, parse_pem
from factory.model.errors import Refusal
from factory.model.finding import Finding
from factory.model.findings.entry import Facts
from factory.model.signing import PINS_FOLDER, OwnKey


@dataclass(frozen=True, slots=True)
class KeyRow:
    """One key that is known here: whose private half this user has and where ("" for none), in use,
    pinned.
    """

    key: PublicKey
    source: str
    in_use: bool
    pinned: bool


@dataclass(frozen=True, slots=True)
class Trusted:
    """A key that is pinned now; `fresh`: by a file written just now."""

    key: PublicKey
    path: str
    fresh: bool


def list_keys(own: Iterable[OwnKey], pinned: Iterable[PublicKey]) -> tuple[KeyRow, ...]:
    """The user's keys, the one in use first, then the pinned ones of others."""
    known = frozenset(pinned)
    mine = [KeyRow(key.key, key.source, key.in_use, key.key in known) for key in own]
    others = sorted(known - {row.key for row in mine}, key=lambda key: key.key_id)
    return (*mine, *(KeyRow(key, "", False, True) for key in others))


def choose_key(rows: Iterable[KeyRow], key_id: str) -> PublicKey:
    """The key of that id, or ("") the one in use. Raises Refusal SIGNING_KEY_UNKNOWN."""
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
    """The public key of a PEM file. Raises Refusal SIGNING_PIN_INVALID."""
    try:
        return parse_pem(content)
    except KeyFormError as error:
        facts = {"case": "file", "file": name, "problem": str(error)}
        raise Refusal(Finding("SIGNING_PIN_INVALID", facts)) from error


def pin_key(ground: WorkTreeGround, key: PublicKey) -> Trusted:
    """Write the key's file into the work tree. Raises Refusal PATH_UNSAFE, DISK_UNWRITABLE."""
    path = f"{PINS_FOLDER}/{key.file_name}"
    return Trusted(key, path, ground.create(path, format_pem(key)))
