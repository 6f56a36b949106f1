"""Read and write public keys as PEM (RFC 8410 SubjectPublicKeyInfo in RFC 7468 armour), as
`openssl` does.

`format_pem` and `parse_pem` are each other's inverse; anything that would not be printed so is
refused. Pure: an Ed25519 key in DER is a constant prefix and 32 bytes.
"""

from __future__ import annotations

import base64
import binascii

from factory.log.key import PUBLIC_BYTES, PublicKey

_PREFIX = bytes.fromhex("302a300506032b6570032100")
_BEGIN, _END = "-----BEGIN PUBLIC KEY-----", "-----END PUBLIC KEY-----"


class KeyFormError(ValueError):
    """Report a key that is not in the form expected: one clause. Never quotes the text, which may
    be a secret.
    """


def format_pem(key: PublicKey) -> bytes:
    """Return the key as a PEM file."""
    body = base64.b64encode(_PREFIX + key.raw).decode("ascii")
    return f"{_BEGIN}\n{body}\n{_END}\n".encode("ascii")


def parse_pem(content: bytes) -> PublicKey:
    """Return the key of a PEM file. Raise KeyFormError."""
    if b"PRIVATE KEY" in content:
        raise KeyFormError("contains a private key, expected a public one")
    lines = content.replace(b"\r\n", b"\n").split(b"\n")
    if len(lines) != 4 or lines[0] != _BEGIN.encode() or lines[2] != _END.encode() or lines[3]:
        raise KeyFormError("is not a PEM file of one public key")
    try:
        der = base64.b64decode(lines[1], validate=True)
    except binascii.Error as error:
        raise KeyFormError("is not base64 between its PEM lines") from error
    if len(der) != len(_PREFIX) + PUBLIC_BYTES or not der.startswith(_PREFIX):
        raise KeyFormError("is not an Ed25519 key")
    return PublicKey(der[len(_PREFIX) :])
