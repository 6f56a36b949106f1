"""Checkpoints, proofs, envelopes and public keys read again, and Ed25519 signatures checked.

Strict: what would not be written so is refused. A signature counts only by a key that whoever asks
has given. Sources: C2SP signed-note, tlog-checkpoint, tlog-proof; DSSE v1; RFC 8410.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass

from factory.verify.form import FormError, build, canonical, value_of

PAYLOAD_TYPE = "application/vnd.in-toto+json"
_KIND = b"\x01"
_MARK = "— "
_PEM = re.compile(
    rb"-----BEGIN PUBLIC KEY-----\r?\n([A-Za-z0-9+/=]+)\r?\n-----END PUBLIC KEY-----\r?\n"
)
_DER = bytes.fromhex("302a300506032b6570032100")
_ORIGIN = re.compile(r"codex-orchestrator/ledger/[0-9a-f]{32}")
_SIZE = re.compile(r"[1-9][0-9]{0,17}")
_MOST_SIGNATURES = 64


@dataclass(frozen=True, slots=True)
class Key:
    """A public key that is known, and how.

    "pinned", "given", "own", "once": pinned in an earlier commit of ours, "theirs": pinned where
    the run was made.
    """

    raw: bytes
    how: str

    @property
    def id(self) -> str:
        return f"ed25519:{hashlib.sha256(self.raw).hexdigest()[:16]}"

    def mark_under(self, name: str) -> bytes:
        """The four bytes that stand before its signatures in a note."""
        return hashlib.sha256(name.encode("utf-8") + b"\n" + _KIND + self.raw).digest()[:4]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a checkpoint says, and (name, mark, signature) of each signature under it."""

    origin: str
    size: int
    root: bytes
    text: bytes
    signatures: tuple[tuple[str, bytes, bytes], ...]


@dataclass(frozen=True, slots=True)
class EnvelopeSignature:
    """One signature of an envelope."""

    keyid: str
    sig: str


@dataclass(frozen=True, slots=True)
class Envelope:
    """One line of attestations.intoto.jsonl."""

    payload: str
    payloadType: str  # noqa: N815  as DSSE names it
    signatures: tuple[EnvelopeSignature, ...]


def read_key(pem: bytes, how: str) -> Key:
    """A PEM file of an Ed25519 public key. Raises FormError."""
    found = _PEM.fullmatch(pem)
    der = _decoded(found[1]) if found else b""
    if len(der) != len(_DER) + 32 or not der.startswith(_DER):
        raise FormError("expected the PEM file of an Ed25519 public key, found another")
    return Key(der[len(_DER) :], how)


def read_checkpoint(content: bytes) -> Checkpoint:
    """A checkpoint file, signed or not. Raises FormError."""
    try:
        whole = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FormError("expected UTF-8, found other bytes") from error
    text, blank, signed = whole.partition("\n\n")
    lines = (text + "\n" if blank else text).split("\n")
    if len(lines) != 4 or lines[3]:
        raise FormError("expected origin, size and root, found other lines")
    origin, size, root = lines[:3]
    if not _ORIGIN.fullmatch(origin) or not _SIZE.fullmatch(size):
        raise FormError("expected the origin of a ledger and a size, found others")
    hashed = _decoded(root.encode("utf-8"))
    if len(hashed) != 32:
        raise FormError("expected a root of 32 bytes, found another")
    signatures = _signatures(signed) if blank else ()
    return Checkpoint(origin, int(size), hashed, f"{origin}\n{size}\n{root}\n".encode(), signatures)


def _signatures(signed: str) -> tuple[tuple[str, bytes, bytes], ...]:
    *lines, rest = signed.split("\n")
    if rest or not 1 <= len(lines) <= _MOST_SIGNATURES:
        raise FormError("expected signature lines to the end, found others")
    found = []
    for line in lines:
        name, _, value = line.removeprefix(_MARK).partition(" ")
        raw = _decoded(value.encode("utf-8"))
        if not line.startswith(_MARK) or not name or len(raw) != 68:
            raise FormError("expected an Ed25519 signature line, found another")
        found.append((name, raw[:4], raw[4:]))
    return tuple(found)


def read_proof(content: bytes) -> tuple[int, tuple[bytes, ...], bytes]:
    """Index, path and the checkpoint's bytes of a proof file. Raises FormError."""
    head, blank, kept = content.partition(b"\n\n")
    lines = head.split(b"\n")
    index = re.fullmatch(rb"index (0|[1-9][0-9]{0,17})", lines[1]) if len(lines) > 1 else None
    if not blank or lines[0] != b"c2sp.org/tlog-proof@v1" or index is None:
        raise FormError("expected a tlog-proof with an index, found another file")
    path = tuple(_decoded(line) for line in lines[2:])
    if any(len(step) != 32 for step in path):
        raise FormError("expected hashes of 32 bytes, found others")
    return int(index[1]), path, kept


def read_envelopes(content: bytes) -> tuple[tuple[Envelope, bytes], ...]:
    """Envelopes and their payloads. Raises FormError naming the line."""
    *lines, rest = content.split(b"\n")
    if rest:
        raise FormError("expected a line feed at the end, found none")
    found = []
    for number, line in enumerate(lines, 1):
        try:
            value = value_of(line)
            if canonical(value) != line:
                raise FormError("expected canonical JSON, found another form")
            envelope = build(Envelope, value)
            found.append((envelope, _decoded(envelope.payload.encode("utf-8"))))
        except FormError as error:
            raise FormError(f"line {number}: {error}") from error
    return tuple(found)


def preauthenticated(payload: bytes) -> bytes:
    """The bytes that an envelope's signature is made over."""
    kind = PAYLOAD_TYPE.encode("ascii")
    return b" ".join(
        (b"DSSEv1", str(len(kind)).encode(), kind, str(len(payload)).encode(), payload)
    )


def decoded(text: str) -> bytes:
    """Base64 in its one form. Raises FormError."""
    return _decoded(text.encode("utf-8"))


def _decoded(text: bytes) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise FormError("expected base64, found other text") from error
    if base64.b64encode(raw) != text:
        raise FormError("expected base64 in its one form, found another")
    return raw


def signed_by(key: Key, message: bytes, signature: bytes) -> bool:
    """Whether `key` made that signature."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(key.raw).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True
