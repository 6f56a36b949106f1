"""Give each statement of a run to in-toto's strict parser, sigstore and securesystemslib.

    python tests/readers/read_statements.py FOLDER

FOLDER has `statements.jsonl` and `signer.pub`. Each library must accept each statement, but sigstore
the one about Git objects, which it refuses by its own rule. A broken copy must be refused by each:
else it was not read. Imports nothing of ours.
"""

# mypy: disable-error-code="import-not-found,import-untyped,attr-defined"

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import load_pem_public_key
from google.protobuf.json_format import Parse, ParseError
from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
from in_toto_attestation.predicates.test_result.v0 import test_result_pb2
from in_toto_attestation.predicates.vsa.v1 import vsa_pb2
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import Statement
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey
from sigstore import dsse
from sigstore.errors import Error

PREDICATES = {
    "https://slsa.dev/provenance/v1": provenance_pb2.Provenance,
    "https://slsa.dev/verification_summary/v1": vsa_pb2.VerificationSummary,
    "https://in-toto.io/attestation/test-result/v0.1": test_result_pb2.TestResult,
}


def in_toto(statement: dict[str, Any]) -> str:
    """Return why in-toto's parser, which skips no unknown member, refuses it; "" if it does not."""
    try:
        parsed = Parse(json.dumps(statement), statement_pb2.Statement())
        Statement.copy_from_pb(parsed).validate()
        # in-toto-attestation 0.9.3 is older than two members of summaries in SLSA 1.2: it has one
        # level where there is a list of them now, and no version of the verifier.
        predicate = {**statement["predicate"]}
        if predicate.pop("verifiedLevels", None):
            predicate["verifier"] = {"id": predicate["verifier"]["id"]}
        Parse(json.dumps(predicate), PREDICATES[statement["predicateType"]]())
    except (ParseError, ValueError) as error:
        return str(error)
    return ""


def sigstore(line: str, statement: dict[str, Any]) -> str:
    """Return why sigstore's Statement or Envelope refuses it; "" if neither does."""
    try:
        dsse.Statement(json.dumps(statement).encode())
        dsse.Envelope._from_json(line)
    except (Error, ValueError) as error:
        return str(error)
    return ""


def signed(line: str, key: SSlibKey) -> str:
    """Return why securesystemslib refuses the signature, given the key alone; "" if it does not."""
    try:
        Envelope.from_dict(json.loads(line)).verify([key], 1)
    except VerificationError as error:
        return str(error)
    return ""


def problems(folder: Path) -> Iterator[str]:
    """Yield what is not as it has to be."""
    key = SSlibKey.from_crypto(load_pem_public_key((folder / "signer.pub").read_bytes()))
    kinds = set()
    for number, line in enumerate((folder / "statements.jsonl").read_text().splitlines(), 1):
        statement = json.loads(base64.b64decode(json.loads(line)["payload"]))
        in_git = any("sha256" not in one["digest"] for one in statement["subject"])
        kinds.add((statement["predicateType"], in_git))
        place = f"statement {number} ({statement['predicateType']})"
        for reader, found in (
            ("in-toto", in_toto(statement)),
            ("securesystemslib", signed(line, key)),
            ("sigstore", "" if in_git else sigstore(line, statement)),
        ):
            if found:
                yield f"{place}: {reader} refuses it: {found}"
        if in_git and "sha256" not in sigstore(line, statement):
            yield f"{place}: expected sigstore to ask for SHA-256, found that it does not"
        worse = {**statement, "predicate": {**statement["predicate"], "mediaType": "x"}}
        if not in_toto(worse):
            yield f"{place}: in-toto accepts a member that no specification has"
        if not sigstore(line, {**statement, "subject": []}):
            yield f"{place}: sigstore accepts it without a subject"
    due = {(kind, False) for kind in PREDICATES} | {
        ("https://slsa.dev/verification_summary/v1", True)
    }
    if kinds != due:
        yield f"expected statements of {len(due)} kinds, found {sorted(kinds)}"


if __name__ == "__main__":
    sys.exit("\n".join(problems(Path(sys.argv[1]))) or 0)
