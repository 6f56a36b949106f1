"""Signed notes: known answers of other implementations, and nothing accepted that would not be
printed.
"""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.log import ed25519
from factory.log.key import PublicKey, Signature
from factory.log.signed_note import (
    MOST_BYTES,
    Note,
    NoteError,
    NoteKey,
    NoteSignature,
    format_note,
    parse_note,
    sign_note,
    signers,
)

# From the Go implementation's documentation.
NEUMANN = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
TEXT = (
    "If you think cryptography is the answer to your problem,\nthen you don't know what your"
    " problem is.\n"
)
SIGNED = (
    TEXT + "\n— PeterNeumann"
    " x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
).encode()
GO_SUMS = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"
SIGNER = ed25519.parse_private_pem(ed25519.make_pem())


def mine(text: str = "one\n", name: str = "ledger.example/x") -> Note:
    return sign_note(text, name, [Signature(SIGNER.key, SIGNER.sign(text.encode()))])


def verifier_key(text: str) -> NoteKey:
    """Return a published key: `<name>+<hash>+<base64 of its kind and bytes>`."""
    name, _, coded = text.split("+", 2)
    return NoteKey(name, PublicKey(base64.b64decode(coded)[1:]))


@pytest.mark.parametrize("text", [NEUMANN, GO_SUMS])
def test_published_keys_have_their_hash(text: str) -> None:
    assert verifier_key(text).hash.hex() == text.split("+")[1]


def test_a_published_note_is_signed_by_its_key() -> None:
    key = verifier_key(NEUMANN)
    note = parse_note(SIGNED)
    assert note.text == TEXT
    assert signers(note, [key], ed25519.check) == (key,)
    assert format_note(note) == SIGNED


def test_a_changed_text_does_not_fit() -> None:
    changed = parse_note(SIGNED.replace(b"the answer", b"no answer"))
    with pytest.raises(
        NoteError, match=r"the signature by ed25519:[0-9a-f]{16} does not fit the text"
    ):
        signers(changed, [verifier_key(NEUMANN)], ed25519.check)


def test_a_signature_by_a_stranger_counts_for_nothing() -> None:
    assert signers(mine(), [verifier_key(NEUMANN)], ed25519.check) == ()


def test_a_stranger_under_a_known_name_counts_for_nothing() -> None:
    note = mine(name="PeterNeumann")
    assert signers(note, [verifier_key(NEUMANN)], ed25519.check) == ()


def test_a_known_key_counts_once_however_often_it_signed() -> None:
    note = mine()
    twice = Note(note.text, note.signatures * 2)
    key = NoteKey("ledger.example/x", SIGNER.key)
    assert signers(parse_note(format_note(twice)), [key], ed25519.check) == (key,)


def test_a_short_signature_by_a_known_key_does_not_fit() -> None:
    key = NoteKey("n", SIGNER.key)
    note = Note("t\n", (NoteSignature("n", key.hash, b"x" * 63),))
    with pytest.raises(NoteError, match="does not fit"):
        signers(note, [key], ed25519.check)


@given(
    st.text(st.characters(exclude_categories=["Cs"], min_codepoint=32), max_size=40),
    st.lists(st.binary(min_size=5, max_size=80), min_size=1, max_size=4),
)
def test_what_is_printed_reads_back(line: str, values: list[bytes]) -> None:
    signatures = tuple(
        NoteSignature(f"k{at}", value[:4], value[4:]) for at, value in enumerate(values)
    )
    note = Note(line.replace("\n", "") + "x\n", signatures)
    assert parse_note(format_note(note)) == note


@given(st.integers(0, len(SIGNED) - 1), st.integers(1, 255))
def test_no_byte_can_change_unnoticed(at: int, flip: int) -> None:
    changed = SIGNED[:at] + bytes([SIGNED[at] ^ flip]) + SIGNED[at + 1 :]
    try:
        found = signers(parse_note(changed), [verifier_key(NEUMANN)], ed25519.check)
    except NoteError:
        return
    assert found == ()


@given(st.binary(max_size=200))
def test_noise_is_refused_in_one_clause(noise: bytes) -> None:
    with pytest.raises(NoteError):
        parse_note(noise + b"\x00")


@pytest.mark.parametrize(
    ("content", "clause"),
    [
        (b"\xff\n\n", "is not UTF-8"),
        (b"text\n", "expected a text, an empty line and signatures"),
        (b"text\n\n", "expected a text, an empty line and signatures"),
        ("text\n\n— a AAAAAAA=".encode(), "expected a text, an empty line and signatures"),
        (b"text\n\n- a AAAAAAA=\n", "expected signature lines after the last empty line"),
        ("text\n\n— a+b AAAAAAA=\n".encode(), "expected signature lines after the last empty line"),
        ("text\n\n— a AAAA\n".encode(), "expected a signature of more than 4 bytes"),
        ("text\n\n— a AAAAA\n".encode(), "is not base64"),
        ("text\n\n— a AAAAAAB=\n".encode(), "is not in the one form that a note has"),
        ("te\rxt\n\n— a AAAAAAA=\n".encode(), "expected no control character but line feeds"),
        (b"text\n\n" + "— a AAAAAAA=\n".encode() * 65, "expected at most 64 signatures, found 65"),
        (b"x" * (MOST_BYTES + 1), f"expected at most {MOST_BYTES} bytes, found {MOST_BYTES + 1}"),
    ],
)
def test_each_broken_note_has_its_clause(content: bytes, clause: str) -> None:
    with pytest.raises(NoteError) as caught:
        parse_note(content)
    assert str(caught.value) == clause


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\u00a0b", "a\nb", "a\u200bb"])
def test_a_key_has_a_name_that_can_be_seen(name: str) -> None:
    with pytest.raises(NoteError):
        NoteKey(name, PublicKey(bytes(32)))


@pytest.mark.parametrize("value", ["abcde", "abcdef=", "abc=="])
def test_a_signature_in_broken_base64_is_refused(value: str) -> None:
    with pytest.raises(NoteError, match=r"^is not base64$"):
        parse_note(f"one\n\n— ledger.example/x {value}\n".encode())


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "ends with a line feed"),
        ("one", "ends with a line feed"),
        ("\n", "ends with a line feed"),
        ("a\tb\n", "no control character"),
    ],
)
def test_a_text_that_no_note_can_have_is_not_written(text: str, why: str) -> None:
    with pytest.raises(NoteError, match=why):
        format_note(mine(text))
