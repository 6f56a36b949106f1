"""Read and write envelopes of statements (`log.dsse`, with the type of in-toto), and digest lists.

`format_digests` and `parse_digests` are each other's inverse (the form of `sha256sum`); what would
not be printed so is refused. Does not know what a statement says, nor whom to trust.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from factory.log import dsse
from factory.log.dsse import Envelope, EnvelopeError, EnvelopeSignature
from factory.log.key import Signature
from factory.model.evidence_text import EvidenceError
from factory.model.statement import PAYLOAD_TYPE

_DIGEST_LINE = re.compile(rb"(?P<escaped>\\?)(?P<digest>[0-9a-f]{64})  (?P<path>[^\n]+)")
_ESCAPES = ((b"\\", b"\\\\"), (b"\n", b"\\n"), (b"\r", b"\\r"))


def pae(payload: bytes, payload_type: str = PAYLOAD_TYPE) -> bytes:
    """Return the bytes that a signature of a statement is made over."""
    return dsse.pae(payload, payload_type)


def enclose(payload: bytes, signatures: Iterable[Signature]) -> Envelope:
    """Return the envelope of a statement's bytes under signatures made over their `pae`."""
    signed = (EnvelopeSignature(one.key.dsse_id, one.value) for one in signatures)
    return Envelope(payload, PAYLOAD_TYPE, tuple(signed))


def parse_envelopes(content: bytes) -> tuple[Envelope, ...]:
    """Return the envelopes of `attestations.intoto.jsonl`. Raise EvidenceError naming the line."""
    try:
        found = dsse.parse_envelopes(content)
    except EnvelopeError as error:
        raise EvidenceError(str(error)) from error
    for number, envelope in enumerate(found, 1):
        if envelope.payload_type != PAYLOAD_TYPE:
            raise EvidenceError(f"line {number}: expected the type {PAYLOAD_TYPE}")
    return found


def format_digests(digests: Mapping[str, str]) -> bytes:
    """Return a list that `sha256sum -c` checks, sorted by path; names are escaped as it does."""
    rows = []
    for path in sorted(digests):
        name = path.encode("utf-8", "surrogateescape")
        escaped = name
        for plain, written in _ESCAPES:
            escaped = escaped.replace(plain, written)
        mark = b"\\" if escaped != name else b""
        rows.append(mark + digests[path].encode("ascii") + b"  " + escaped + b"\n")
    return b"".join(rows)


def parse_digests(content: bytes) -> dict[str, str]:
    """Return SHA-256 by path of what `format_digests` printed.

    Raise EvidenceError for anything else.
    """
    found: dict[str, str] = {}
    *lines, rest = content.split(b"\n")
    for line in lines:
        match = _DIGEST_LINE.fullmatch(line)
        if match is None:
            raise EvidenceError("expected lines of a digest, two spaces and a path")
        name = re.sub(rb"\\(.)", _unescape, match["path"]) if match["escaped"] else match["path"]
        found[name.decode("utf-8", "surrogateescape")] = match["digest"].decode("ascii")
    if rest or format_digests(found) != content:
        raise EvidenceError(
            "is not sorted, or names a path twice, or is not in the form of sha256sum"
        )
    return found


def _unescape(match: re.Match[bytes]) -> bytes:
    return {b"n": b"\n", b"r": b"\r"}.get(match[1], match[1])
