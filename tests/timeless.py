"""Compare statements and pages of two runs: what depends on time, on the class of host, or on who
signed, is emptied.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

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
TIMED_FACTS = ("date", "duration")
_TIMELINE = re.compile(rb'(<section id="timeline">)(.*?)(</section>)', re.DOTALL)
_PART = re.compile(rb'<th scope="row">(.*?)</th>', re.DOTALL)


def timeless(payload: bytes) -> bytes:
    """Return a statement's bytes with every time-bearing member emptied, to compare two runs.

    Raise EvidenceError.
    """
    try:
        document = parse(payload, max_bytes=len(payload))
    except ValueError as error:
        raise EvidenceError(str(error)) from error
    return canonical.encode(_emptied(document, ""))


def timeless_page(content: bytes, facts: Iterable[str] = TIMED_FACTS) -> bytes:
    """Return the bytes of a `report.html` with these facts of its head emptied, and of its timeline
    only the names of its parts, in the order of names. Raise ValueError for a page without them.
    """
    for fact in facts:
        written = rb"(<dt>%s</dt><dd>)[^<]+(</dd>)" % fact.encode("ascii")
        content, count = re.subn(written, rb"\1\2", content)
        if count != 1:
            raise ValueError(f"expected the fact {fact} once in the page, found it {count} times")
    content, count = _TIMELINE.subn(_parts, content)
    if count != 1:
        raise ValueError(f"expected one timeline in the page, found {count}")
    return content


def _parts(timeline: re.Match[bytes]) -> bytes:
    names = sorted(_PART.findall(timeline[2]))
    return timeline[1] + b"\n".join(names) + timeline[3]


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
