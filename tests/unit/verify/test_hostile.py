"""Hostile documents: whatever the bytes, there is an answer, it is never VERIFIED, and nothing
hangs or is raised.
"""

from __future__ import annotations

import contextlib
import hashlib
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from factory.verify import contract, notes
from factory.verify.documents import BY_SCHEMA, Manifest
from factory.verify.events import Chain, read_line
from factory.verify.form import FormError, layout, read
from factory.verify.names import spell, unspell
from factory.verify.objects import ObjectError, read_bundle
from factory.verify.patch import Change, PatchError, undo
from factory.verify.trees import TreeEntry, parse_tree
from tests.sample import examples
from tests.verify_kit import Memory, check

SHAPES = [shape for _, shape in BY_SCHEMA]
HOSTILE = (
    b"",
    b"null",
    b"[]",
    b"{}\n",
    b'{"schema_version": 1, "schema_version": 1}\n',
    b'{"a": ' * 5000,
    b"[" * 100_000,
    b'{"n": ' + b"9" * 5000 + b"}\n",
    b'{"n": 1e999}\n',
    b'{"n": NaN}\n',
    b'{"s": "\\ud800"}\n',
    b'{"s": "\xed\xa0\x80"}\n',
    b"\xff\xfe{}",
    b"\xef\xbb\xbf{}\n",
    b'{"schema_version": true, "subject": "x", "files": []}\n',
    b'{\n  "files": [],\n  "schema_version": 1,\n  "subject": "x"\n}',
    b'{"files":[],"schema_version":1,"subject":"x"}\n',
)


@pytest.mark.parametrize("content", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("shape", SHAPES, ids=[name for name, _ in BY_SCHEMA])
def test_hostile_json_is_refused(content: bytes, shape: type) -> None:
    with pytest.raises(FormError):
        read(shape, content)


def test_a_document_is_read_in_its_one_layout() -> None:
    assert read(Manifest, layout({"schema_version": 1, "subject": "x", "files": []})).subject == "x"


NAMES = (
    "RUN_MANIFEST.json",
    "Z_integrator/STATUS.json",
    "Z_integrator/MERGE.json",
    "Z_integrator/FILES_CHANGED.json",
    "Z_integrator/CHANGES.bundle",
    "Z_integrator/LOGS/INDEX.json",
    "TASK-1/manifest.json",
    "TASK-1/STATUS.json",
    "TASK-1/CHANGES.bundle",
    "attestations/ledger.jsonl",
    "attestations/checkpoint",
    "attestations/finished.tlog-proof",
    "attestations/attestations.intoto.jsonl",
    "attestations/policy.json",
    "attestations/files.sha256",
)
JUNK = st.one_of(st.sampled_from(HOSTILE), st.binary(max_size=60))


@given(st.dictionaries(st.sampled_from(NAMES), JUNK))
@example({})
def test_junk_is_never_verified(files: dict[str, bytes]) -> None:
    verified = check(Memory("run", files))
    assert not verified.consistent
    for finding in verified.findings:
        assert finding.id.startswith("VERIFY_")


VERDICT = {
    "run_id": "run",
    "status": "PASS",
    "base_ref": "HEAD",
    "base_commit": "0" * 40,
    "base_tree": "0" * 40,
    "merged_tree": "0" * 40,
    "packs_committed": True,
    "packs": [],
    "findings": [],
    "rechecks": [],
    "overlaps": [],
    "largest_set": [],
    "smallest_conflict": [],
    "exact": True,
    "properties_given": [],
    "properties_accepted": [],
    "branch": "",
    "schema_version": 1,
    "signing": {"policy": "optional", "keys": [], "signer": "none"},
}
VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-5, 5),
        st.sampled_from(["", "PASS", "../x", "0" * 40, "\x07"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(
    st.sampled_from(sorted(VERDICT)),
    VALUES,
    st.dictionaries(st.sampled_from(NAMES), JUNK, max_size=3),
)
def test_a_verdict_in_any_shape_over_junk_is_never_verified(
    name: str, value: object, files: dict[str, bytes]
) -> None:
    content = layout({**VERDICT, name: value})
    verified = check(Memory("run", {**files, "Z_integrator/STATUS.json": content}))
    assert not verified.consistent


@given(st.binary(max_size=200))
def test_no_parser_raises_anything_but_its_own(content: bytes) -> None:
    for parser, own in (
        (read_line, FormError),
        (read_bundle, ObjectError),
        (lambda raw: parse_tree(raw, 20), ObjectError),
        (notes.read_checkpoint, FormError),
        (notes.read_proof, FormError),
        (notes.read_envelopes, FormError),
        (lambda raw: notes.read_key(raw, notes.Way.GIVEN), FormError),
        (lambda raw: contract.read_contract("p", raw, raw), FormError),
        (
            lambda raw: undo(raw, (Change("a", None, TreeEntry(0o100644, "0" * 40)),), {"a": b"x"}),
            PatchError,
        ),
    ):
        with contextlib.suppress(own):
            parser(content)


@given(st.text(max_size=40))
def test_every_name_can_be_shown(text: str) -> None:
    assert spell(text).isprintable() or not text.isprintable()
    back = unspell(text)
    assert back is None or spell(back) == text


@given(st.lists(st.binary(max_size=30), max_size=5))
def test_a_ledger_of_junk_has_a_problem_on_every_line(lines: list[bytes]) -> None:
    chain = Chain()
    for line in lines:
        chain.take(line)
    assert len(chain.problems) == len(lines)


def test_yaml_that_multiplies_is_refused_at_once() -> None:
    bomb = b"a: &a [x,x]\n" + b"".join(b"b%d: [*a,*a]\n" % n for n in range(20))
    with pytest.raises(FormError, match="alias"):
        contract.read_contract("p", bomb, b"")
    with pytest.raises(FormError):
        contract.read_contract("p", b"[" * 10_000, b"")
    with pytest.raises(FormError):
        contract.read_contract("p", b"x" * 100_000, b"")


BUNDLE_HEAD = b"# v2 git bundle\n" + b"0" * 40 + b" refs/codex/x\n\nPACK\0\0\0\x02"


@given(st.integers(0, 2**32 - 1), st.binary(max_size=80))
@examples(30)
def test_a_pack_that_claims_much_ends_soon(count: int, rest: bytes) -> None:
    body = b"PACK\0\0\0\x02" + count.to_bytes(4, "big") + rest
    content = BUNDLE_HEAD[: -len(b"PACK\0\0\0\x02")] + body + hashlib.sha1(body).digest()
    with contextlib.suppress(ObjectError):
        read_bundle(content)


def test_an_event_with_a_forged_id_or_another_form_is_refused() -> None:
    with pytest.raises(FormError, match="keys"):
        read_line(b"{}")
    body = {
        "actor": "x",
        "details": {},
        "duration_ms": 0,
        "event_id": "0" * 64,
        "event_type": "x",
        "file_counts": {},
        "hashes": {},
        "parent_event_id": "",
        "prev": "0" * 64,
        "rc": 0,
        "run_id": "",
        "schema_version": 1,
        "seq": 1,
        "ts_utc": "2026-01-01T00:00:00.000Z",
    }
    line = json.dumps(body, sort_keys=True, separators=(",", ":")).encode()
    with pytest.raises(FormError, match="expected the id"):
        read_line(line)
    with pytest.raises(FormError, match="canonical"):
        read_line(json.dumps(body, sort_keys=True).encode())
