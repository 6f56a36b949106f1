"""Which requests an interceptor lets through, what it sends on, and which answers may go back.

Rule: one request, one host, one meaning. What two servers could read in two ways is refused, never
mended: framing said twice, another Host, another scheme, an upgrade, a request for a tunnel. An
answer that holds the credential does not go back, in no form in which a redactor knows it. Pure;
does not know sockets, TLS, nor who parses. Sources: RFC 9110, RFC 9112, RFC 6750.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from factory.judge.path_guard import display
from factory.model.injection import Credential
from factory.redact.redaction import Redactor

Headers = tuple[tuple[bytes, bytes], ...]

MOST_HEAD = 32 * 1024  # bytes of a request's or an answer's head
MOST_HEADERS = 100
_SHOWN_PATH = 512
METHODS = frozenset(b"GET HEAD POST PUT PATCH DELETE OPTIONS PROPFIND".split())
# What belongs to one connection and is never sent on (RFC 9110, 7.6.1).
_OF_CONNECTION = frozenset(
    b"connection keep-alive proxy-connection proxy-authorization proxy-authenticate te trailer"
    b" upgrade http2-settings expect transfer-encoding".split()
)
_TARGET = re.compile(rb"[\x21-\x7e]+")


class Refused(Exception):
    """Why a request or an answer goes no further: the status that the client gets, and one
    clause.
    """

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status, self.why = status, why


@dataclass(frozen=True, slots=True)
class Forwarded:
    """A request as it is sent on: target in origin form, headers with the credential in its
    place.
    """

    method: bytes
    target: bytes
    headers: Headers


def judge_request(
    method: bytes, target: bytes, headers: Headers, credential: Credential
) -> Forwarded:
    """What is sent on of a request to the credential's host. Raises Refused."""
    if method not in METHODS:
        raise Refused(405, f"the method {display(method.decode('latin-1'))} is not carried")
    if (
        len(headers) > MOST_HEADERS
        or sum(len(name) + len(value) + 4 for name, value in headers) > MOST_HEAD
    ):
        raise Refused(431, "its headers are too many or too large")
    names = [name.lower() for name, _ in headers]
    _judge_framing(names, headers)
    grant = credential.grant
    hosts = (
        {f"{grant.host}:{grant.port}", grant.host}
        if grant.port == 443
        else {f"{grant.host}:{grant.port}"}
    )
    said = [value.decode("latin-1").lower() for name, value in headers if name.lower() == b"host"]
    if len(said) != 1 or said[0] not in hosts:
        raise Refused(421, "its Host header is not the host that was asked for")
    origin = _origin(target, hosts)
    own = grant.header.encode("ascii")
    dropped = {
        *_OF_CONNECTION,
        *_named_by_connection(headers),
        own,
        own.replace(b"-", b"_"),
        b"accept-encoding",
        b"host",
    }
    kept = [
        (name, value)
        for name, value in headers
        if name.lower() not in dropped or name.lower() == b"content-length"
    ]
    if b"transfer-encoding" in names:
        kept.append((b"Transfer-Encoding", b"chunked"))
    host = (b"Host", grant.place.encode("ascii"))
    ours = ((b"Accept-Encoding", b"identity"), (own, credential.value))
    return Forwarded(method, origin, (host, *kept, *ours))


def _judge_framing(names: list[bytes], headers: Headers) -> None:
    """Raise Refused where a message could end in two places, or become another protocol."""
    if b"upgrade" in names or b"http2-settings" in names:
        raise Refused(501, "it asks for another protocol")
    lengths = names.count(b"content-length")
    codings = [
        value.strip().lower() for name, value in headers if name.lower() == b"transfer-encoding"
    ]
    if lengths > 1 or len(codings) > 1 or (lengths and codings):
        raise Refused(400, "it says twice how long it is")
    if codings and codings != [b"chunked"]:
        raise Refused(400, "it has a transfer encoding that is not carried")
    if any(
        b"_" in name and name.replace(b"_", b"-") in (b"content-length", b"transfer-encoding")
        for name in names
    ):
        raise Refused(400, "it says twice how long it is")


def _named_by_connection(headers: Headers) -> Iterable[bytes]:
    for name, value in headers:
        if name.lower() == b"connection":
            yield from (word.strip().lower() for word in value.split(b",") if word.strip())


def _origin(target: bytes, hosts: set[str]) -> bytes:
    """The target in origin form. Raises Refused where it names another host or another scheme."""
    if _TARGET.fullmatch(target) is None:
        raise Refused(400, "its target holds what is no sign of a URL")
    if target == b"*" or (target.startswith(b"/") and not target.startswith(b"//")):
        return target
    found = re.fullmatch(rb"https://([^/?#]+)(/[^#]*)?", target, re.IGNORECASE)
    if found is None or found[1].decode("latin-1").lower() not in hosts:
        raise Refused(421, "its target is not on the host that was asked for")
    return found[2] or b"/"


def judge_answer(status: int, headers: Headers, echo: Echo) -> Headers:
    """The headers of an answer that go back. Raises Refused."""
    if status == 101:
        raise Refused(502, "the answer is another protocol")
    for name, value in headers:
        if name.lower() == b"content-encoding" and value.strip().lower() not in (b"", b"identity"):
            raise Refused(502, "the answer is encoded, though no encoding was asked for")
    echo.judge(b"\n".join(name + b": " + value for name, value in headers))
    named = set(_named_by_connection(headers))
    return tuple(
        (name, value) for name, value in headers if name.lower() not in _OF_CONNECTION | named
    )


class Echo:
    """Watches what goes back for the credential. What may yet become one is held back until it
    cannot.
    """

    def __init__(self, credential: Credential) -> None:
        self._redactor = Redactor(
            [("credential", value) for value in (credential.value, *credential.known)], forms=()
        )
        self._held = b""

    def judge(self, text: bytes) -> None:
        """Raise Refused where a whole text holds it."""
        if self._redactor.places(text):
            raise Refused(502, "the answer holds the credential")

    def feed(self, piece: bytes) -> bytes:
        """What of the text so far may go back. Raises Refused."""
        self._held += piece
        self.judge(self._held)
        upto = self._redactor.settled(self._held)
        given, self._held = self._held[:upto], self._held[upto:]
        return given

    def end(self) -> bytes:
        """The rest, when no more comes."""
        given, self._held = self._held, b""
        return given


def shown_path(target: bytes, redactor: Redactor) -> str:
    """A target as evidence may tell it: values of the query and credentials left out, inert, and
    not too long.
    """
    path, mark, query = target.decode("latin-1").partition("?")
    names = (
        "&".join(f"{part.partition('=')[0]}=*" if "=" in part else "*" for part in query.split("&"))
        if mark
        else ""
    )
    safe = redactor.redact(f"{path}{mark}{names}".encode("latin-1")).content.decode("latin-1")
    return display(safe if len(safe) <= _SHOWN_PATH else f"{safe[:_SHOWN_PATH]}…")


def watchable(value: bytes) -> bool:
    """Whether a value is one that a redactor looks for: a short one, or a plain word, stands
    everywhere by chance.
    """
    return bool(Redactor([("credential", value)], forms=()).places(value))
