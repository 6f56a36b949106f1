"""Compare statements of two runs: each member that depends on time, on the class of host, or on who
signed, is emptied.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from factory.model.evidence_text import EvidenceError
from factory.model.layout import ATTESTATIONS, INTEGRATOR
from factory.strict import canonical
from factory.strict.json import parse
from factory.strict.values import child

TIMED_SUBJECTS = (
    ATTESTATIONS.ledger,
    ATTESTATIONS.checkpoint,
    ATTESTATIONS.proof,
    INTEGRATOR.report_page,
)
TIMED_LISTS = (ATTESTATIONS.files_list, ATTESTATIONS.report_list)
TIME_BEARING = re.compile(
    r"/predicate/runDetails/metadata/(?:startedOn|finishedOn)|/predicate/timeVerified"
    r"|/predicate/runDetails/builder/id"  # it names the class of host
    r"|/predicate/inputAttestations/[0-9]+/digest/sha256"
)


def timeless(payload: bytes) -> bytes:
    """Return a statement's bytes with every time-bearing member emptied, to compare two runs.

    Raise EvidenceError.
    """
    try:
        document = parse(payload, max_bytes=len(payload))
    except ValueError as error:
        raise EvidenceError(str(error)) from error
    return canonical.encode(_emptied(document, ""))


def _emptied(value: object, pointer: str) -> object:
    if TIME_BEARING.fullmatch(pointer):
        return ""
    if isinstance(value, Mapping):
        if value.get("name") in (*TIMED_SUBJECTS, *TIMED_LISTS):
            return {"name": value["name"]}
        return {name: _emptied(member, child(pointer, name)) for name, member in value.items()}
    if isinstance(value, list):
        return [_emptied(item, child(pointer, index)) for index, item in enumerate(value)]
    return value
