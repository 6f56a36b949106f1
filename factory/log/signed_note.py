"""Format signed notes (C2SP signed-note): a text and the signatures under it, in a form that is
text itself.

`format_note` and `parse_note` are each other's inverse; what would not be printed so is refused.
A signature counts only by a key that the caller already has. Whether it fits is asked of
`check`, so that this floor has no cryptography. Ed25519 (signature type 0x01) only; signatures of
other kinds are kept and counted as unknown.
"""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import TypeAlias

from factory.log.key import SIGNATURE_BYTES, PublicKey, Signature

Check: TypeAlias = Callable[[PublicKey, bytes, bytes], bool]
"""(key, message, signature): whether the key made that signature over that message."""

MOST_BYTES = 1 << 20
MOST_SIGNATURES = 64
_ED25519 = b"\x01"
_HASH_BYTES = 4
_LINE = re.compile("— (?P<name>[^ ]+) (?P<value>[A-Za-z0-9+/]+={0,2})")


class NoteError(ValueError):
    """Report a note or a part of it without its form, or a signature that does not fit: one
    clause.
    """


@dataclass(frozen=True, slots=True)
class NoteKey:
    """Describe a key under the name that signs."""

    name: str
    key: PublicKey

    def __post_init__(self) -> None:
        if not is_key_name(self.name):
            raise NoteError(f"{self.name!r} cannot name a key")

    @property
    def hash(self) -> bytes:
        """Return the 4 bytes before its signatures."""
        return sha256(self.name.encode() + b"\n" + _ED25519 + self.key.raw).digest()[:_HASH_BYTES]


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """Contain one signature line: the key's name, its 4-byte hash, and the signature (64 bytes
    where it is Ed25519).
    """

    name: str
    hash: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class Note:
    """Contain a text that ends with a line feed, and its signatures in their order."""

    text: str
    signatures: tuple[NoteSignature, ...]


def is_key_name(name: str) -> bool:
    """Return whether a key may have this name: visible, without spaces and plus signs."""
    return bool(name) and not any(
        c == "+" or c.isspace() or unicodedata.category(c)[0] in "CZ" for c in name
    )


def sign_note(text: str, name: str, signatures: Iterable[Signature]) -> Note:
    """Return the note of `text` under signatures that were made over its UTF-8 bytes."""
    keys = [(NoteKey(name, signature.key), signature.value) for signature in signatures]
    return Note(text, tuple(NoteSignature(key.name, key.hash, value) for key, value in keys))


def format_note(note: Note) -> bytes:
    """Return the note as it is in a file. Raise NoteError for a text that no note can have."""
    problem = _problem_with_text(note.text)
    if problem:
        raise NoteError(problem)
    lines = [f"— {s.name} {base64.b64encode(s.hash + s.value).decode()}\n" for s in note.signatures]
    return (note.text + "\n" + "".join(lines)).encode("utf-8")


def parse_note(content: bytes) -> Note:
    """Return the note of a file; it has a signature, which is not checked yet. Raise NoteError."""
    if len(content) > MOST_BYTES:
        raise NoteError(f"expected at most {MOST_BYTES} bytes, found {len(content)}")
    try:
        whole = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NoteError("is not UTF-8") from error
    text, blank, signed = whole.rpartition("\n\n")
    if not blank or not signed.endswith("\n"):
        raise NoteError("expected a text, an empty line and signatures")
    lines = signed[:-1].split("\n")
    if len(lines) > MOST_SIGNATURES:
        raise NoteError(f"expected at most {MOST_SIGNATURES} signatures, found {len(lines)}")
    note = Note(text + "\n", tuple(map(_signature, lines)))
    if format_note(note) != content:
        raise NoteError("is not in the one form that a note has")
    return note


def signers(note: Note, keys: Iterable[NoteKey], check: Check) -> tuple[NoteKey, ...]:
    """Return which of `keys` signed, in the order of the signatures; none of them is a note to be
    ignored.

    Signatures by other keys are passed over. Raise NoteError where one by a known key does not
    fit.
    """
    known = {(key.name, key.hash): key for key in keys}
    found: list[NoteKey] = []
    for signature in note.signatures:
        key = known.get((signature.name, signature.hash))
        if key is None:
            continue
        fits = len(signature.value) == SIGNATURE_BYTES and check(
            key.key, note.text.encode("utf-8"), signature.value
        )
        if not fits:
            raise NoteError(f"the signature by {key.key.key_id} does not fit the text")
        found.append(key)
    return tuple(dict.fromkeys(found))


def _signature(line: str) -> NoteSignature:
    match = _LINE.fullmatch(line)
    if match is None or not is_key_name(match["name"]):
        raise NoteError("expected signature lines after the last empty line")
    value = _decode(match["value"])
    if len(value) <= _HASH_BYTES:
        raise NoteError("expected a signature of more than 4 bytes")
    return NoteSignature(match["name"], value[:_HASH_BYTES], value[_HASH_BYTES:])


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise NoteError("is not base64") from error


_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")


def _problem_with_text(text: str) -> str:
    if not text.endswith("\n") or text == "\n":
        return "expected a text that ends with a line feed"
    if _CONTROL.search(text):
        return "expected no control character but line feeds"
    return ""
