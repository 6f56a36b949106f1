"""Define keys and signatures as values: a public key, its id, and a signature by it. Ed25519 only.

Does not know where a key is kept, nor whether it is trusted.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

PUBLIC_BYTES = 32
SIGNATURE_BYTES = 64
KEY_ID = r"ed25519:[0-9a-f]{16}"


@dataclass(frozen=True, slots=True)
class PublicKey:
    """Describe an Ed25519 public key by its 32 raw bytes (RFC 8032 §5.1.5)."""

    raw: bytes

    def __post_init__(self) -> None:
        if len(self.raw) != PUBLIC_BYTES:
            raise ValueError(f"expected a key of {PUBLIC_BYTES} bytes, found {len(self.raw)}")

    @property
    def key_id(self) -> str:
        """Return `ed25519:` and the first 16 hex digits of the SHA-256 of the raw key."""
        return f"ed25519:{hashlib.sha256(self.raw).hexdigest()[:16]}"

    @property
    def dsse_id(self) -> str:
        """Return the id in envelopes: that which securesystemslib computes of a key, so that other
        readers of DSSE find the key without being given an id.
        """
        public = (
            f'{{"keytype":"ed25519","keyval":{{"public":"{self.raw.hex()}"}},"scheme":"ed25519"}}'
        )
        return hashlib.sha256(public.encode("ascii")).hexdigest()

    @property
    def file_name(self) -> str:
        """Return the name of the file it is pinned by; portable, unlike the id."""
        return f"{self.key_id.replace(':', '-')}.pub"


@dataclass(frozen=True, slots=True)
class Signature:
    """Contain a signature, 64 bytes, and the key that made it."""

    key: PublicKey
    value: bytes
