"""Signing as phases need it: the key in use, this user's keys, and whether a signature fits."""

from __future__ import annotations

from typing import Protocol

from factory.log.key import OwnKey, PublicKey


class Signer(Protocol):
    """One private key that never shows itself."""

    @property
    def key(self) -> PublicKey:
        """Its public half."""
        ...

    def sign(self, message: bytes) -> bytes:
        """The Ed25519 signature, 64 bytes; the same for the same message (RFC 8032)."""
        ...


class Keys(Protocol):
    """The private keys of this user, or of this job where the environment names one."""

    def signer(self) -> Signer:
        """The key in use, made where there is none yet.

        Raises Refusal SIGNING_KEY_MISSING where there is none and none can be kept, and
        SIGNING_KEY_UNSAFE where one is there that must not be used as it is.
        """
        ...

    def make(self) -> OwnKey:
        """A new key, in use from now on; older ones stay. Raises Refusal as `signer` does."""
        ...

    def own(self) -> tuple[OwnKey, ...]:
        """This user's keys, the one in use first. Makes none. Raises Refusal SIGNING_KEY_UNSAFE."""
        ...

    def check(self, key: PublicKey, message: bytes, signature: bytes) -> bool:
        """Whether `key` made that signature over that message."""
        ...
