"""Check a run as a consumer of in-toto statements would, who knows nothing of our records.

Signatures are checked by securesystemslib, the checkpoint and the tree by the definitions of C2SP
and RFC 6962. Everything that a statement is about is compared by digest. What the records mean is
believed: a signer who lies about them passes here, and the page says so.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey  # type: ignore[attr-defined]  # as in the docs

Files = Mapping[str, bytes]
_BELOW = "attestations/"


class RefusedError(Exception):
    """Report what was expected and found: one sentence."""


def check(files: Files, raw: bytes, run_id: str) -> None:
    """Check a run's files against the signer's 32 raw bytes and the id that was asked for. Raise
    RefusedError.
    """
    try:
        _manifest(files, run_id)
        statements = _statements(files, raw)
        _about(files, statements, run_id)
        _note(files, raw)
        _inclusion(files)
    except (LookupError, ValueError, TypeError, AttributeError) as error:
        raise RefusedError(f"another form: {type(error).__name__}") from error


def _expect(truth: bool, sentence: str) -> None:
    if not truth:
        raise RefusedError(sentence)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _manifest(files: Files, run_id: str) -> None:
    manifest = json.loads(files["RUN_MANIFEST.json"])
    _expect(manifest["subject"] == run_id, "the manifest is of another run than was asked for")
    listed = {row["path"]: row["sha256"] for row in manifest["files"]}
    found = {path: _sha256(content) for path, content in files.items()}
    found.pop("RUN_MANIFEST.json")
    _expect(listed.keys() == found.keys(), "a file is missing or extra")
    _expect(listed == found, "a file is not the one that the manifest names")


def _statements(files: Files, raw: bytes) -> list[tuple[str, Any]]:
    """Return (digest of the payload, statement) of each envelope, all signed by the key."""
    key = SSlibKey.from_crypto(Ed25519PublicKey.from_public_bytes(raw))  # told no id
    found = []
    for line in files[f"{_BELOW}attestations.intoto.jsonl"].splitlines():
        value = json.loads(line)
        payload = base64.b64decode(value["payload"], validate=True)
        _expect(base64.b64encode(payload).decode() == value["payload"], "junk in base64")
        try:
            Envelope.from_dict(value).verify([key], 1)
        except VerificationError as error:
            raise RefusedError("a statement is not signed by the key") from error
        found.append((_sha256(payload), json.loads(payload)))
    return found


def _about(files: Files, statements: list[tuple[str, Any]], run_id: str) -> None:
    """Check that the summary is about this run, these files and the other statements."""
    for _, statement in statements:
        for subject in statement["subject"]:
            digest = subject["digest"].get("sha256")
            _expect(
                digest is None or _sha256(files[subject["name"]]) == digest,
                f"{subject['name']} is not what a statement is about",
            )
    summaries = [one for _, one in statements if "verification_summary" in one["predicateType"]]
    _expect(len(summaries) in (1, 2), "expected one summary, and one of Git objects")
    about = {subject["name"] for subject in summaries[-1]["subject"]}
    _expect(f"{_BELOW}files.sha256" in about, "expected a summary of the run's files")
    said = summaries[-1]["predicate"]
    _expect(said["resourceUri"].endswith(f":run:{run_id}"), "the summary is about another run")
    inputs = [row["digest"]["sha256"] for row in said["inputAttestations"]]
    _expect(inputs == [digest for digest, _ in statements[:-1]], "other statements than summed up")
    policy = said["policy"]["digest"]["sha256"]
    _expect(policy == _sha256(files[f"{_BELOW}policy.json"]), "another policy than summed up")
    rows = files[f"{_BELOW}files.sha256"].decode().splitlines()
    listed = {path: digest for digest, path in (line.split("  ", 1) for line in rows)}
    odd = [path for path, digest in listed.items() if _sha256(files.get(path, b"")) != digest]
    _expect(not odd, "a file is not the one that the signed list names")
    left = files.keys() - listed.keys() - {"RUN_MANIFEST.json"}
    _expect(all(path.startswith(_BELOW) for path in left), "a file is not in the signed list")
    status = json.loads(files["Z_integrator/STATUS.json"])
    _expect(status["run_id"] == run_id, "the verdict is about another run")
    passed = said["verificationResult"] == "PASSED"
    _expect(passed == (status["status"] == "PASS"), "summary and verdict disagree")


def _note(files: Files, raw: bytes) -> None:
    text, _, lines = files[f"{_BELOW}checkpoint"].decode().partition("\n\n")
    (line,) = lines.splitlines()
    _, name, value = line.split(" ")
    signature = base64.b64decode(value, validate=True)
    _expect(name == text.splitlines()[0], "the checkpoint is signed under another name")
    mark = hashlib.sha256(f"{name}\n".encode() + b"\1" + raw).digest()[:4]
    _expect(signature[:4] == mark, "the checkpoint is by another key")
    try:
        Ed25519PublicKey.from_public_bytes(raw).verify(signature[4:], f"{text}\n".encode())
    except InvalidSignature as error:
        raise RefusedError("the checkpoint is not signed by the key") from error


def _inclusion(files: Files) -> None:
    """Check that the last event is the last leaf under the checkpoint (RFC 9162, 2.1.3.2)."""
    checkpoint = files[f"{_BELOW}checkpoint"].decode()
    proof, _, covered = files[f"{_BELOW}finished.tlog-proof"].decode().partition("\n\n")
    _expect(covered == checkpoint, "the proof is for another checkpoint")
    _, index, *steps = proof.splitlines()
    node, last = int(index.split(" ")[1]), int(checkpoint.splitlines()[1]) - 1
    here = hashlib.sha256(b"\0" + files[f"{_BELOW}ledger.jsonl"].splitlines()[-1]).digest()
    for step in map(base64.b64decode, steps):
        if node & 1 or node == last:
            here = hashlib.sha256(b"\1" + step + here).digest()
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            here = hashlib.sha256(b"\1" + here + step).digest()
        node, last = node >> 1, last >> 1
    root = base64.b64decode(checkpoint.splitlines()[2])
    _expect(last == 0 and here == root, "the last event is not under the checkpoint")
