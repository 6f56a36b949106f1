"""Envelopes and digest lists: one form each, known answers, nothing accepted that would not be
printed.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.evidence.attestations import (
    enclose,
    format_digests,
    pae,
    parse_digests,
    parse_envelopes,
)
from factory.log import ed25519
from factory.log.dsse import format_envelopes
from factory.log.key import Signature
from factory.model.evidence_text import EvidenceError

SIGNER = ed25519.parse_private_pem(ed25519.make_pem())


def test_pae_is_the_known_answer_of_the_specification() -> None:
    assert pae(b"hello world", "http://example.com/HelloWorld") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_pae_counts_bytes_and_not_letters() -> None:
    assert pae("é".encode(), "ü") == "DSSEv1 2 ü 2 é".encode()


@given(st.binary(max_size=20), st.text(max_size=8), st.binary(max_size=20), st.text(max_size=8))
def test_pae_never_says_one_thing_of_two_payloads(
    first: bytes, kind: str, second: bytes, other: str
) -> None:
    assert (pae(first, kind) == pae(second, other)) == ((first, kind) == (second, other))


@given(st.lists(st.tuples(st.binary(max_size=60), st.booleans()), max_size=4))
def test_envelopes_read_back(payloads: list[tuple[bytes, bool]]) -> None:
    made = tuple(
        enclose(payload, [Signature(SIGNER.key, SIGNER.sign(pae(payload)))] if signed else ())
        for payload, signed in payloads
    )
    content = format_envelopes(made)
    assert parse_envelopes(content) == made
    assert [envelope.payload for envelope in made] == [payload for payload, _ in payloads]
    assert content.count(b"\n") == len(payloads)


def test_a_signature_carries_the_id_of_its_key() -> None:
    line = format_envelopes([enclose(b"{}", [Signature(SIGNER.key, SIGNER.sign(pae(b"{}")))])])
    document = json.loads(line)
    assert list(document) == ["payload", "payloadType", "signatures"]
    assert document["signatures"][0]["keyid"] == SIGNER.key.dsse_id


GOOD = format_envelopes([enclose(b"{}", ())])


@pytest.mark.parametrize(
    ("content", "clause"),
    [
        (GOOD[:-1], "expected a line feed at the end of the last line"),
        (GOOD + b"\n", "line 2: this is not JSON; write it again"),
        (GOOD.replace(b"{", b"{ ", 1), "line 1: expected canonical JSON"),
        (GOOD.replace(b"e30=", b"e30"), "line 1: expected base64"),
        (GOOD.replace(b"e30=", b"e31="), "line 1: expected the one base64 form"),
        (GOOD.replace(b"e30=", b"e30\xc3\xa9"), "line 1: expected base64"),
        (
            GOOD.replace(b"in-toto", b"in-tata"),
            "line 1: expected the type application/vnd.in-toto+json",
        ),
        (
            GOOD.replace(b'"signatures":[]', b'"signatures":[{"keyid":"a","sig":"!"}]'),
            "line 1: expected base64",
        ),
        (
            GOOD.replace(b'"signatures":[]', b'"more":1,"signatures":[]'),
            "line 1: expected exactly the members payload, payloadType, signatures",
        ),
        (
            GOOD.replace(b',"signatures":[]', b""),
            "line 1: expected exactly the members payload, payloadType, signatures",
        ),
    ],
)
def test_each_broken_file_has_its_clause(content: bytes, clause: str) -> None:
    with pytest.raises(EvidenceError) as caught:
        parse_envelopes(content)
    assert str(caught.value) == clause


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_a_changed_byte_is_another_statement_or_none(at: int, flip: int) -> None:
    try:
        found = parse_envelopes(GOOD[:at] + bytes([GOOD[at] ^ flip]) + GOOD[at + 1 :])
    except EvidenceError:
        return
    assert found != parse_envelopes(GOOD)


NAMES = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=12
)


@given(st.dictionaries(NAMES, st.binary(min_size=32, max_size=32), max_size=6))
def test_digest_lists_read_back_whatever_the_names(digests: dict[str, bytes]) -> None:
    written = {name: digest.hex() for name, digest in digests.items()}
    assert parse_digests(format_digests(written)) == written


@pytest.mark.linux
def test_stock_sha256sum_reads_names_that_need_escapes(tmp_path: Path) -> None:
    names = ["plain", "with space", "back\\slash", "line\nfeed", "carriage\rreturn", "é", "\udcff"]
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    for name in names:
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "list").write_bytes(format_digests(dict.fromkeys(names, empty)))
    done = subprocess.run(
        ["sha256sum", "--check", "--strict", "list"], cwd=tmp_path, capture_output=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "content",
    [
        b"x\n",
        b"\n",
        b"0" * 64 + b" one\n",
        b"0" * 64 + b"  one",
        b"0" * 64 + b"  b\n" + b"0" * 64 + b"  a\n",
    ]
    + [b"\\" + b"0" * 64 + b"  plain\n", (b"0" * 64 + b"  a\n") * 2, b"A" * 64 + b"  a\n"],
)
def test_a_list_in_another_form_is_refused(content: bytes) -> None:
    with pytest.raises(EvidenceError):
        parse_digests(content)
