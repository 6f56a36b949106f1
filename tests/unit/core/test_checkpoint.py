"""Checkpoints and proofs: their one form, and what they prove."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.log import ed25519
from factory.log.checkpoint import (
    LARGEST_SIZE,
    Checkpoint,
    KeptCheckpoint,
    Proof,
    format_checkpoint,
    format_kept,
    format_proof,
    parse_checkpoint,
    parse_kept,
    parse_proof,
    proves,
)
from factory.log.key import Signature
from factory.log.merkle import inclusion_path, leaf_hash, root_of
from factory.log.signed_note import NoteError, NoteKey, sign_note, signers
from factory.model.signing import origin_of

# The example of the specification.
EXAMPLE = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
SIGNED = (
    EXAMPLE + "\n— example.com/behind-the-sofa "
    "Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
).encode()
LINES = [b'{"seq":%d}' % number for number in range(11)]


def whole(lines: list[bytes]) -> Checkpoint:
    return Checkpoint(origin_of("ab" * 32), len(lines), root_of(lines))


def test_the_example_of_the_specification_reads_back() -> None:
    found = parse_checkpoint(EXAMPLE)
    assert (found.origin, found.size, len(found.root)) == (
        "example.com/behind-the-sofa",
        20852163,
        32,
    )
    assert format_checkpoint(found) == EXAMPLE
    kept = parse_kept(SIGNED)
    assert kept.checkpoint == found
    assert kept.note is not None
    assert format_kept(kept) == SIGNED


def test_the_origin_names_the_ledger_by_its_first_event() -> None:
    assert origin_of("ab" * 32) == "codex-orchestrator/ledger/" + "ab" * 16


@given(st.integers(0, LARGEST_SIZE), st.binary(min_size=32, max_size=32))
def test_what_is_printed_reads_back(size: int, root: bytes) -> None:
    checkpoint = Checkpoint("a.example/b", size, root)
    assert parse_checkpoint(format_checkpoint(checkpoint)) == checkpoint
    assert parse_kept(format_kept(KeptCheckpoint(checkpoint, None))) == KeptCheckpoint(
        checkpoint, None
    )


def test_a_signed_checkpoint_is_a_note_under_its_origin() -> None:
    signer = ed25519.parse_private_pem(ed25519.make_pem())
    checkpoint = whole(LINES)
    text = format_checkpoint(checkpoint)
    note = sign_note(text, checkpoint.origin, [Signature(signer.key, signer.sign(text.encode()))])
    kept = parse_kept(format_kept(KeptCheckpoint(checkpoint, note)))
    key = NoteKey(checkpoint.origin, signer.key)
    assert kept.checkpoint == checkpoint
    assert kept.note is not None
    assert signers(kept.note, [key], ed25519.check) == (key,)


def test_signatures_over_another_checkpoint_are_not_kept_with_this_one() -> None:
    kept = parse_kept(SIGNED)
    with pytest.raises(NoteError, match="expected signatures over this checkpoint"):
        format_kept(KeptCheckpoint(whole(LINES), kept.note))


@pytest.mark.parametrize("index", range(len(LINES)))
def test_a_proof_file_reads_back_and_proves_its_line_alone(index: int) -> None:
    path = inclusion_path([leaf_hash(line) for line in LINES], index)
    proof = Proof(index, path, KeptCheckpoint(whole(LINES), None))
    found = parse_proof(format_proof(proof))
    assert found == proof
    assert [line for line in LINES if proves(found, line)] == [LINES[index]]


@pytest.mark.parametrize(
    ("text", "clause"),
    [
        ("a\n1\n", "expected three lines (origin, size, root), found 2"),
        (EXAMPLE + "more\n", "expected three lines (origin, size, root), found 4"),
        (EXAMPLE[:-1], "expected three lines (origin, size, root), found 2"),
        (
            EXAMPLE.replace("20852163", "020852163"),
            "expected a decimal number without leading zeros",
        ),
        (EXAMPLE.replace("20852163", "-1"), "expected a decimal number without leading zeros"),
        (
            EXAMPLE.replace("20852163", "9223372036854775808"),
            "expected a decimal number without leading zeros",
        ),
        (EXAMPLE.replace("20852163", "٣"), "expected a decimal number without leading zeros"),
        (EXAMPLE.replace("q2I=", "q2J="), "expected a hash in the one base64 form it has"),
        (EXAMPLE.replace("q2I=", ""), "expected a hash of 32 bytes, found 30"),
        (EXAMPLE.replace("q2I=", "q2I"), "expected a hash in base64"),
        (EXAMPLE.replace("q2I=", "qé="), "expected a hash in base64"),
        (
            EXAMPLE.replace("example.com/", "example com/"),
            "expected the name of a ledger in the first line",
        ),
    ],
)
def test_each_broken_checkpoint_has_its_clause(text: str, clause: str) -> None:
    with pytest.raises(NoteError) as caught:
        parse_checkpoint(text)
    assert str(caught.value) == clause


@pytest.mark.parametrize(
    "checkpoint", [Checkpoint("a b", 0, bytes(32)), Checkpoint("a", -1, bytes(32))]
)
def test_what_cannot_be_a_checkpoint_is_not_printed(checkpoint: Checkpoint) -> None:
    with pytest.raises(NoteError, match="cannot"):
        format_checkpoint(checkpoint)


@given(st.integers(0, len(SIGNED) - 1), st.integers(1, 255))
def test_a_changed_byte_makes_another_checkpoint_or_none(at: int, flip: int) -> None:
    try:
        found = parse_kept(SIGNED[:at] + bytes([SIGNED[at] ^ flip]) + SIGNED[at + 1 :])
    except NoteError:
        return
    assert found != parse_kept(SIGNED)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n\n",
        b"c2sp.org/tlog-proof@v1\n\n" + SIGNED,
        b"c2sp.org/tlog-proof@v2\nindex 0\n\n" + SIGNED,
    ]
    + [b"c2sp.org/tlog-proof@v1\nindex 0\nAAAA\n\n" + SIGNED, b"\xff\n\n" + SIGNED],
)
def test_a_broken_proof_is_refused(content: bytes) -> None:
    with pytest.raises(NoteError):
        parse_proof(content)
