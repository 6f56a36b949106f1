"""Read checkpoints, proofs, envelopes and public keys for the checker; accept those of a ledger of
ours.

`factory.log` reads the bytes and refuses what it would not print so; this module decides what
counts. A signature counts only by a key that the caller gave. Sources: C2SP signed-note,
tlog-checkpoint, tlog-proof; DSSE v1; RFC 8410.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from factory.log import dsse
from factory.log.checkpoint import format_kept, parse_kept, parse_proof
from factory.log.dsse import Envelope, EnvelopeError
from factory.log.key import SIGNATURE_BYTES, PublicKey
from factory.log.public_key import KeyFormError, parse_pem
from factory.log.signed_note import NoteError, NoteKey
from factory.verify.form import FormError
from factory.verify.pins import NO_PINS, Pins, Terms

PAYLOAD_TYPE = "application/vnd.in-toto+json"
_ORIGIN = re.compile(r"codex-orchestrator/ledger/[0-9a-f]{32}")


class Way(Enum):
    """Name how a public key is known: the first four ways are trusted, the others are claims."""

    GIVEN = "given"
    POLICY = "policy"
    USER = "user"
    OWN = "own"
    CHECKED_OUT = "checked-out"
    BASE = "base"


CLAIMS = frozenset((Way.CHECKED_OUT, Way.BASE))
WORDS = {
    Way.GIVEN: "trusted: given with --key",
    Way.POLICY: "trusted: pinned in {where}",
    Way.USER: "trusted: in your folder of keys",
    Way.OWN: "trusted: your own",
    Way.CHECKED_OUT: "claimed: pinned in the commit that is checked out",
    Way.BASE: "claimed: pinned in the run's base commit",
}


@dataclass(frozen=True, slots=True)
class Key:
    """Describe a known public key, and how and where (for people) it is known."""

    public: PublicKey
    way: Way
    where: str = ""
    terms: Terms | None = None

    @property
    def trusted(self) -> bool:
        """Return True unless only evidence or the tree under judgement vouches for the key, it is
        not for runs, or it is revoked.
        """
        terms = self.terms
        ended = terms is not None and ("run" not in terms.purposes or bool(terms.revoked))
        return self.way not in CLAIMS and not ended

    def refusal(self, ended: str, what: str = "the run ended on") -> str:
        """Return why the key does not count for a run that ended then, one clause; "" if it does.
        `what` are the words before that time.

        A key that is given with `--key` has no terms: whoever gives it says that it counts.
        """
        return self.terms.refusal(ended, what) if self.terms is not None else ""

    @property
    def id(self) -> str:
        return self.public.key_id

    @property
    def dsse_id(self) -> str:
        """Return the id that envelopes name it by."""
        return self.public.dsse_id

    @property
    def raw(self) -> bytes:
        return self.public.raw

    def mark_under(self, name: str) -> bytes:
        """Return the four bytes before its signatures in a note."""
        return NoteKey(name, self.public).hash


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Contain what a checkpoint says, and (name, mark, signature) of each signature."""

    origin: str
    size: int
    root: bytes
    text: bytes
    signatures: tuple[tuple[str, bytes, bytes], ...]


def read_key(pem: bytes, way: Way, where: str = "", pins: Pins = NO_PINS) -> Key:
    """Return the key of a PEM file of an Ed25519 public key, with its terms. Raise FormError."""
    try:
        public = parse_pem(pem)
        return Key(public, way, where, pins.terms_of(public.key_id))
    except KeyFormError as error:
        raise FormError("expected the PEM file of an Ed25519 public key, found another") from error


def read_checkpoint(content: bytes) -> Checkpoint:
    """Return a checkpoint file's content, signed or not. Raise FormError."""
    try:
        kept = parse_kept(content)
    except NoteError as error:
        raise FormError(f"expected a checkpoint, found another file: {error}") from error
    origin, size = kept.checkpoint.origin, kept.checkpoint.size
    if not _ORIGIN.fullmatch(origin) or size < 1:
        raise FormError("expected the origin of a ledger and a size, found others")
    lines = kept.note.signatures if kept.note is not None else ()
    if any(len(one.value) != SIGNATURE_BYTES for one in lines):
        raise FormError("expected an Ed25519 signature line, found another")
    signatures = tuple((one.name, one.hash, one.value) for one in lines)
    text = content.partition(b"\n\n")[0] + b"\n" if lines else content
    return Checkpoint(origin, size, kept.checkpoint.root, text, signatures)


def read_proof(content: bytes) -> tuple[int, tuple[bytes, ...], bytes]:
    """Return (index, path, the checkpoint's bytes) of a proof file. Raise FormError."""
    try:
        proof = parse_proof(content)
        return proof.index, proof.path, format_kept(proof.kept)
    except NoteError as error:
        raise FormError(f"expected a tlog-proof, found another file: {error}") from error


def read_envelopes(content: bytes) -> tuple[Envelope, ...]:
    """Return the envelopes of a file. Raise FormError naming the line."""
    try:
        return dsse.parse_envelopes(content)
    except EnvelopeError as error:
        raise FormError(str(error)) from error


def signed_by(key: Key, message: bytes, signature: bytes) -> bool:
    """Return True if `key` made that signature."""
    from factory.log.ed25519 import check  # costs the library for cryptography

    return check(key.public, message, signature)
