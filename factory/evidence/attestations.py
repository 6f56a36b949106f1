"""How statements are bound: the bytes that are signed (DSSE v1 PAE), envelopes one a line, digest
lists.

`format_envelopes` and `parse_envelopes` are each other's inverse, as are `format_digests` and
`parse_digests` (the form of `sha256sum`); what would not be printed so is refused. Does not know
what a statement says, nor whom to trust.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping

from pydantic import ValidationError

from factory.log.key import Signature
from factory.model.evidence_text import EvidenceError
from factory.model.statement import PAYLOAD_TYPE, Envelope, EnvelopeSignature
from factory.strict import canonical
from factory.strict.json import parse

MAX_LINE = 64 * 1024 * 1024
_DIGEST_LINE = re.compile(rb"(?P<escaped>\\?)(?P<digest>[0-9a-f]{64})  (?P<path>[^\n]+)")
_ESCAPES = ((b"\\", b"\\\\"), (b"\n", b"\\n"), (b"\r", b"\\r"))


def pae(payload: bytes, payload_type: str = PAYLOAD_TYPE) -> bytes:
    """The bytes that a signature is made over: type and payload, each behind its length."""
    kind = payload_type.encode("utf-8")
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def enclose(payload: bytes, signatures: Iterable[Signature]) -> Envelope:
    """The envelope of a statement's bytes under signatures made over their `pae`."""
    signed = (
        EnvelopeSignature(
            keyid=signature.key.key_id, sig=base64.b64encode(signature.value).decode("ascii")
        )
        for signature in signatures
    )
    return Envelope(payload=base64.b64encode(payload).decode("ascii"), signatures=tuple(signed))


def payload_of(envelope: Envelope) -> bytes:
    """The statement's bytes. Raises EvidenceError where they are not in the one base64 form they
    have.
    """
    return _decode(envelope.payload)


def format_envelopes(envelopes: Iterable[Envelope]) -> bytes:
    """`attestations.intoto.jsonl`: canonical JSON, one envelope a line."""
    return b"".join(canonical.encode(_plain(envelope)) + b"\n" for envelope in envelopes)


def parse_envelopes(content: bytes) -> tuple[Envelope, ...]:
    """The envelopes of such a file. Raises EvidenceError naming the line."""
    *lines, rest = content.split(b"\n")
    if rest:
        raise EvidenceError("expected a line feed at the end of the last line")
    return tuple(_envelope(line, number) for number, line in enumerate(lines, 1))


def format_digests(digests: Mapping[str, str]) -> bytes:
    """A list that `sha256sum -c` checks, sorted by path; names that it escapes are escaped its
    way.
    """
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
    """Path to SHA-256 of such a list. Raises EvidenceError."""
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


def _envelope(line: bytes, number: int) -> Envelope:
    try:
        parse(line, max_bytes=MAX_LINE)
        envelope = Envelope.model_validate_json(line)
        _decode(envelope.payload)
        for signature in envelope.signatures:
            _decode(signature.sig)
        if canonical.encode(_plain(envelope)) != line:
            raise EvidenceError("is not in canonical form")
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise EvidenceError(
            f"line {number}: {'/'.join(map(str, first['loc']))}: {first['msg']}"
        ) from error
    except ValueError as error:
        raise EvidenceError(f"line {number}: {str(error).splitlines()[0]}") from error
    return envelope


def _decode(text: str) -> bytes:
    try:
        value = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise EvidenceError("expected base64") from error
    if base64.b64encode(value).decode("ascii") != text:
        raise EvidenceError("expected the one base64 form")
    return value


def _plain(envelope: Envelope) -> object:
    return envelope.model_dump(mode="json", by_alias=True)
