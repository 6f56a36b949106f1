"""Make, read and use Ed25519 keys (RFC 8032), the one door to cryptography; private keys as PKCS8
PEM (RFC 8410).

Rule: a private key leaves this module only as the bytes of a file to be written; errors never
quote a key. Does not know where keys are kept.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from factory.log.key import PublicKey
from factory.log.public_key import KeyFormError


class PrivateSigner:
    """Keep one private key in memory; it never shows itself."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self._key = PublicKey(private.public_key().public_bytes_raw())

    def __repr__(self) -> str:
        return f"PrivateSigner({self._key.key_id})"

    def __reduce__(self) -> str:
        raise TypeError("a private key stays in its process")

    @property
    def key(self) -> PublicKey:
        """Return the public half."""
        return self._key

    def sign(self, message: bytes) -> bytes:
        """Return the signature, 64 bytes."""
        return self._private.sign(message)


def make_pem() -> bytes:
    """Return a new private key, as the PEM of its file."""
    return Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )


def parse_private_pem(content: bytes) -> PrivateSigner:
    """Return the key of a PEM file. Raise KeyFormError, which never quotes it."""
    try:
        key = load_pem_private_key(content, password=None)
    except TypeError as error:  # asks for a password
        raise KeyFormError("is encrypted with a password, expected a plain key file") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyFormError("is not a PEM file of one private key") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFormError("is not an Ed25519 key")
    return PrivateSigner(key)


def check(key: PublicKey, message: bytes, signature: bytes) -> bool:
    """Return whether `key` made that signature over that message."""
    try:
        Ed25519PublicKey.from_public_bytes(key.raw).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True
