"""Read the statement that a run's bundles were made again, which `verify --rebuild` leaves.

It is in the state folder and no part of a run. Whoever signed it vouches for it; what it is about
is compared with the run.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from factory.log.dsse import pae
from factory.model.finding import Finding, Location
from factory.verify.folder import EvidenceFolder, read_plain
from factory.verify.form import FormError, value_of
from factory.verify.notes import PAYLOAD_TYPE, WORDS, Key, read_envelopes, signed_by
from factory.verify.results import Fact

PREDICATE = "urn:codex-orchestrator:reproduction:1"
_MOST_BYTES = 4 * 1024 * 1024


def read_rebuild(
    place: Path, run: EvidenceFolder, run_id: str, keys: tuple[Key, ...]
) -> tuple[tuple[Fact, ...], tuple[Finding, ...]]:
    """Return what the statement says as a fact, or why it is none about this run as a finding;
    nothing where there is none.
    """
    try:
        content = read_plain(place, _MOST_BYTES)
    except FileNotFoundError:
        return (), ()
    except OSError as error:
        return (), (_wrong(place, f"expected to read it, found: {error.strerror or error}"),)
    try:
        return (_fact(content, run, run_id, keys),), ()
    except FormError as error:
        return (), (_wrong(place, str(error)),)


def _wrong(place: Path, problem: str) -> Finding:
    name = f"{place.parent.name}/{place.name}"
    return Finding("VERIFY_REBUILD", {"found": f"{name}: {problem}"}, location=Location(name))


def _fact(content: bytes, run: EvidenceFolder, run_id: str, keys: tuple[Key, ...]) -> Fact:
    """Return the statement as a fact. Raise FormError where it is not about this run."""
    envelopes = read_envelopes(content)
    if len(envelopes) != 1 or len(envelopes[0].signatures) != 1:
        raise FormError("expected one statement with one signature, found others")
    payload, signature = envelopes[0].payload, envelopes[0].signatures[0]
    statement = value_of(payload)
    said = _members(statement)
    if said.get("resourceUri") != f"urn:codex-orchestrator:run:{run_id}":
        raise FormError("expected a statement about this run, found another")
    for subject in statement["subject"]:
        name, digest = subject.get("name"), subject.get("digest")
        if digest != {"sha256": run.sha256(str(name))}:
            raise FormError(f"expected it to be about {name} as it is, found another digest")
    known = [key for key in keys if key.dsse_id == signature.keyid]
    keyid = known[0].id if known else signature.keyid
    if known and not signed_by(known[0], pae(payload, PAYLOAD_TYPE), signature.sig):
        raise FormError(f"expected a signature by {keyid} that fits, found another")
    how = WORDS[known[0].way].format(where=known[0].where) if known else "not known here"
    counts = f"{len(statement['subject'])} bundles on {said.get('timeVerified')}"
    return Fact("rebuild", f"{said.get('result')}: {counts}, stated by {keyid} ({how})")


def _members(statement: Any) -> Mapping[str, Any]:
    """Return the predicate of a statement of our type. Raise FormError."""
    shape = {"_type", "subject", "predicateType", "predicate"}
    if not isinstance(statement, dict) or statement.keys() != shape:
        raise FormError("expected an in-toto statement, found another document")
    subjects, said = statement["subject"], statement["predicate"]
    if statement["predicateType"] != PREDICATE or not isinstance(said, dict):
        raise FormError(f"expected a predicate of the type {PREDICATE}, found another")
    if not isinstance(subjects, list) or not all(isinstance(one, dict) for one in subjects):
        raise FormError("expected a list of subjects, found another value")
    return said
