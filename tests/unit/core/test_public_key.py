"""Public keys as PEM: the form that `openssl` and `cryptography` know, and only that."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from factory.log import ed25519
from factory.log.key import PublicKey
from factory.log.public_key import KeyFormError, format_pem, parse_pem

# RFC 8410 §10.1.
RFC_PEM = b"""\
-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=
-----END PUBLIC KEY-----
"""
# RFC 8032 §7.1, test 2.
RFC_PUBLIC = PublicKey(
    bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
)
RFC_SIGNATURE = bytes.fromhex(
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
)


def test_the_key_of_the_rfc_reads_back() -> None:
    assert format_pem(parse_pem(RFC_PEM)) == RFC_PEM


def test_line_ends_of_windows_are_read() -> None:
    assert parse_pem(RFC_PEM.replace(b"\n", b"\r\n")) == parse_pem(RFC_PEM)


@given(st.binary(min_size=32, max_size=32))
def test_every_key_reads_back(raw: bytes) -> None:
    assert parse_pem(format_pem(PublicKey(raw))) == PublicKey(raw)


def test_it_is_the_form_of_the_library() -> None:
    public = Ed25519PrivateKey.generate().public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    assert format_pem(PublicKey(public.public_bytes_raw())) == pem


def test_a_signature_of_the_rfc_fits_and_no_other() -> None:
    assert ed25519.check(RFC_PUBLIC, b"\x72", RFC_SIGNATURE)
    assert not ed25519.check(RFC_PUBLIC, b"\x73", RFC_SIGNATURE)
    assert not ed25519.check(RFC_PUBLIC, b"\x72", RFC_SIGNATURE[:-1])
    assert not ed25519.check(PublicKey(bytes(32)), b"\x72", RFC_SIGNATURE)


def test_the_id_is_short_and_of_the_raw_key() -> None:
    assert RFC_PUBLIC.key_id == "ed25519:39f713d0a644253f"
    assert RFC_PUBLIC.file_name == "ed25519-39f713d0a644253f.pub"


@pytest.mark.parametrize(
    ("content", "clause"),
    [
        (b"", "is not a PEM file of one public key"),
        (RFC_PEM + RFC_PEM, "is not a PEM file of one public key"),
        (RFC_PEM[:-1], "is not a PEM file of one public key"),
        (b"note\n" + RFC_PEM, "is not a PEM file of one public key"),
        (RFC_PEM.replace(b"MCow", b"MC!w"), "is not base64 between its PEM lines"),
        (RFC_PEM.replace(b"VwAyEA", b"VuAyEA"), "is not an Ed25519 key"),
        (RFC_PEM.replace(b"ZuE=\n", b"\n"), "is not an Ed25519 key"),
        (ed25519.make_pem(), "contains a private key, expected a public one"),
    ],
)
def test_each_broken_key_has_its_clause(content: bytes, clause: str) -> None:
    with pytest.raises(KeyFormError) as caught:
        parse_pem(content)
    assert str(caught.value) == clause


def test_a_private_key_does_not_show_itself() -> None:
    signer = ed25519.parse_private_pem(ed25519.make_pem())
    assert repr(signer) == f"PrivateSigner({signer.key.key_id})"
    with pytest.raises(TypeError, match="stays in its process"):
        signer.__reduce__()


def test_a_key_has_32_bytes() -> None:
    with pytest.raises(ValueError, match="expected a key of 32 bytes, found 31"):
        PublicKey(bytes(31))
