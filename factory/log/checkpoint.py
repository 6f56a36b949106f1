"""Format checkpoints of the ledger (C2SP tlog-checkpoint) and proofs against them (C2SP
tlog-proof).

A checkpoint says: at this size, the ledger of this origin had this root. It is the text of a
signed note; without a key it is unsigned, and then vouches for nothing by itself. All forms here
are strict: what would not be printed so is refused. Does not know files, nor whom to trust.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass

from factory.log import merkle
from factory.log.signed_note import Note, NoteError, format_note, is_key_name, parse_note

LARGEST_SIZE = (1 << 63) - 1
_PROOF_HEAD = "c2sp.org/tlog-proof@v1"
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Describe the head of a tree: which ledger, how many lines, and their root hash (32 bytes)."""

    origin: str
    size: int
    root: bytes


@dataclass(frozen=True, slots=True)
class KeptCheckpoint:
    """Contain a checkpoint as a file has it; `note` is None if nobody signed it."""

    checkpoint: Checkpoint
    note: Note | None


@dataclass(frozen=True, slots=True)
class Proof:
    """Prove that a line is at `index` (from 0) of the tree that `kept` names, by its path."""

    index: int
    path: tuple[bytes, ...]
    kept: KeptCheckpoint


def format_checkpoint(checkpoint: Checkpoint) -> str:
    """Return the three lines. Raise NoteError for what cannot be a checkpoint."""
    if not is_key_name(checkpoint.origin):
        raise NoteError(f"{checkpoint.origin!r} cannot name a ledger")
    if not 0 <= checkpoint.size <= LARGEST_SIZE:
        raise NoteError(f"{checkpoint.size} cannot be a number of lines")
    return f"{checkpoint.origin}\n{checkpoint.size}\n{_format_hash(checkpoint.root)}\n"


def parse_checkpoint(text: str) -> Checkpoint:
    """Return what the three lines say. Raise NoteError; also for extension lines, which nothing
    here writes.
    """
    lines = text.split("\n")
    if len(lines) != 4 or lines[3]:
        raise NoteError(f"expected three lines (origin, size, root), found {len(lines) - 1}")
    origin, size, root = lines[:3]
    if not is_key_name(origin):
        raise NoteError("expected the name of a ledger in the first line")
    return Checkpoint(origin, _decimal(size), _parse_hash(root))


def format_kept(kept: KeptCheckpoint) -> bytes:
    """Return a checkpoint file: a signed note, or the three lines alone."""
    text = format_checkpoint(kept.checkpoint)
    if kept.note is None:
        return text.encode("utf-8")
    if kept.note.text != text or not kept.note.signatures:
        raise NoteError("expected signatures over this checkpoint")
    return format_note(kept.note)


def parse_kept(content: bytes) -> KeptCheckpoint:
    """Return the checkpoint of a file, signed or not; its signatures are not checked yet. Raise
    NoteError.
    """
    if b"\n\n" in content:
        note = parse_note(content)
        return KeptCheckpoint(parse_checkpoint(note.text), note)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NoteError("is not UTF-8") from error
    return KeptCheckpoint(parse_checkpoint(text), None)


def format_proof(proof: Proof) -> bytes:
    """Return a proof file, `.tlog-proof`."""
    lines = [_PROOF_HEAD, f"index {proof.index}", *map(_format_hash, proof.path)]
    return ("\n".join(lines) + "\n\n").encode("utf-8") + format_kept(proof.kept)


def parse_proof(content: bytes) -> Proof:
    """Return the proof of a file; nothing is checked but its form. Raise NoteError."""
    head, blank, kept = content.partition(b"\n\n")
    try:
        lines = head.decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise NoteError("is not UTF-8") from error
    if not blank or len(lines) < 2 or lines[0] != _PROOF_HEAD or not lines[1].startswith("index "):
        raise NoteError(f"expected {_PROOF_HEAD}, an index, a path, an empty line and a checkpoint")
    return Proof(
        _decimal(lines[1].removeprefix("index ")),
        tuple(map(_parse_hash, lines[2:])),
        parse_kept(kept),
    )


def proves(proof: Proof, line: bytes) -> bool:
    """Return whether `line` (without its line feed) is where the proof says; signatures are another
    question.
    """
    found = proof.kept.checkpoint
    return merkle.verify_inclusion(
        merkle.leaf_hash(line), proof.index, found.size, proof.path, found.root
    )


def _decimal(text: str) -> int:
    if not _DECIMAL.fullmatch(text) or int(text) > LARGEST_SIZE:
        raise NoteError("expected a decimal number without leading zeros")
    return int(text)


def _format_hash(value: bytes) -> str:
    if len(value) != merkle.HASH_BYTES:
        raise NoteError(f"expected a hash of {merkle.HASH_BYTES} bytes, found {len(value)}")
    return base64.b64encode(value).decode("ascii")


def _parse_hash(text: str) -> bytes:
    try:
        value = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise NoteError("expected a hash in base64") from error
    if _format_hash(value) != text:
        raise NoteError("expected a hash in the one base64 form it has")
    return value
