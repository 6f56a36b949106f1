r"""Format signed envelopes (DSSE v1), one a line: the bytes that are signed, the form of a file.

    >>> pae(b"hello world", "http://example.com/HelloWorld")
    b'DSSEv1 29 http://example.com/HelloWorld 11 hello world'
    >>> content = format_envelopes([Envelope(b"{}", "text/plain", ())])
    >>> content
    b'{"payload":"e30=","payloadType":"text/plain","signatures":[]}\n'
    >>> parse_envelopes(content)[0].payload
    b'{}'

A line is canonical JSON (RFC 8785) and base64 in its one form; what would not be printed so is
refused. Does not know what a payload says, nor whom to trust.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass

from factory.strict import canonical
from factory.strict.json import parse

MAX_LINE = 64 * 1024 * 1024


class EnvelopeError(ValueError):
    """Report an envelope that does not have its form: one clause."""


@dataclass(frozen=True, slots=True)
class EnvelopeSignature:
    """Contain one signature of an envelope, and the id of the key that made it."""

    keyid: str
    sig: bytes


@dataclass(frozen=True, slots=True)
class Envelope:
    """Contain a payload, what it is, and the signatures over its `pae`."""

    payload: bytes
    payload_type: str
    signatures: tuple[EnvelopeSignature, ...]


def pae(payload: bytes, payload_type: str) -> bytes:
    """Return the bytes that a signature is made over: type and payload, each after its length."""
    kind = payload_type.encode("utf-8")
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def format_envelopes(envelopes: Iterable[Envelope]) -> bytes:
    """Return the file of these envelopes, one a line."""
    return b"".join(canonical.encode(_plain(envelope)) + b"\n" for envelope in envelopes)


def parse_envelopes(content: bytes) -> tuple[Envelope, ...]:
    """Return the envelopes of such a file. Raise EnvelopeError naming the line."""
    *lines, rest = content.split(b"\n")
    if rest:
        raise EnvelopeError("expected a line feed at the end of the last line")
    found = []
    for number, line in enumerate(lines, 1):
        try:
            found.append(_parse(line))
        except ValueError as error:
            raise EnvelopeError(f"line {number}: {str(error).splitlines()[0]}") from error
    return tuple(found)


def _parse(line: bytes) -> Envelope:
    value = parse(line, max_bytes=MAX_LINE)
    payload, kind, signed = _members(value, "payload", "payloadType", "signatures")
    if not isinstance(signed, list):
        raise EnvelopeError("expected a list of signatures")
    rows = [_members(one, "keyid", "sig") for one in signed]
    envelope = Envelope(
        _decoded(payload),
        _text(kind),
        tuple(EnvelopeSignature(_text(keyid), _decoded(sig)) for keyid, sig in rows),
    )
    if canonical.encode(_plain(envelope)) != line:
        raise EnvelopeError("expected canonical JSON")
    return envelope


def _members(value: object, *names: str) -> list[object]:
    if not isinstance(value, dict) or value.keys() != set(names):
        raise EnvelopeError(f"expected exactly the members {', '.join(names)}")
    return [value[name] for name in names]


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise EnvelopeError("expected a text")
    return value


def _decoded(value: object) -> bytes:
    text = _text(value)
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise EnvelopeError("expected base64") from error
    if _encoded(raw) != text:
        raise EnvelopeError("expected the one base64 form")
    return raw


def _encoded(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")


def _plain(envelope: Envelope) -> object:
    return {
        "payload": _encoded(envelope.payload),
        "payloadType": envelope.payload_type,
        "signatures": [
            {"keyid": one.keyid, "sig": _encoded(one.sig)} for one in envelope.signatures
        ],
    }
