"""Judge which requests an interceptor lets through, what it sends on, and which answers may go
back.

Rule: one request, one host, one meaning. What two servers could read in two ways is refused, never
mended: framing given twice, another Host, another scheme, an upgrade, a request for a tunnel. An
answer with the credential in it does not go back, in no form that its watcher knows. Pure; does not
know sockets, TLS, nor who parses. Sources: RFC 9110, RFC 9112, RFC 6750.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

Headers = tuple[tuple[bytes, bytes], ...]

UPGRADE_REQUIRED = 426
MOST_HEAD = 32 * 1024  # bytes of a request's or an answer's head
MOST_HEADERS = 100  # as Apache's default, LimitRequestFields
METHODS = frozenset(b"GET HEAD POST PUT PATCH DELETE OPTIONS PROPFIND".split())
# What belongs to one connection and is never sent on (RFC 9110, 7.6.1).
_OF_CONNECTION = frozenset(
    b"connection keep-alive proxy-connection proxy-authorization proxy-authenticate te trailer"
    b" upgrade http2-settings expect transfer-encoding".split()
)
_TWO_WAYS = re.compile(r"%2[ef5]|%5c|\\|//|;|/\.{1,2}(?:/|$)", re.IGNORECASE)
_TARGET = re.compile(rb"[\x21-\x7e]+")


class Watcher(Protocol):
    """Search answers for one credential, in every form that it knows."""

    def finds(self, text: bytes) -> bool:
        """Return whether the text has it."""
        ...

    def settled(self, text: bytes) -> int:
        """Return how many first bytes stay as they are judged now, whatever comes after them."""
        ...


@dataclass(frozen=True, slots=True)
class HeaderCredential:
    """Name what is added to each request to one host: a header (in small letters) and its whole
    value.

    `watcher` finds it in an answer. No text that is made of one contains its value. `requests` are
    the only ones that are sent on, each a method and a path, a `*` at whose end is whatever
    follows; none: all are.
    """

    host: str
    port: int
    header: str
    value: bytes = field(repr=False)
    watcher: Watcher = field(repr=False)
    requests: tuple[tuple[str, str], ...] = ()

    @property
    def place(self) -> str:
        """Return the host as a Host header names it."""
        return self.host if self.port == 443 else f"{self.host}:{self.port}"


class Refused(Exception):
    """Say why a request or an answer is not forwarded: the status that the client gets, and one
    clause.
    """

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status, self.why = status, why


@dataclass(frozen=True, slots=True)
class Forwarded:
    """Contain a request as it is sent on: target in origin form, headers with the credential."""

    method: bytes
    target: bytes
    headers: Headers


def judge_request(
    method: bytes, target: bytes, headers: Headers, credential: HeaderCredential
) -> Forwarded:
    """Return what is sent on of a request to the credential's host. Raise Refused."""
    if method not in METHODS:
        raise Refused(405, f"the method {_plain(method)} is not carried")
    if (
        len(headers) > MOST_HEADERS
        or sum(len(name) + len(value) + 4 for name, value in headers) > MOST_HEAD
    ):
        raise Refused(431, "its headers are too many or too large")
    names = [name.lower() for name, _ in headers]
    _judge_framing(names, headers)
    hosts = {f"{credential.host}:{credential.port}", credential.place}
    said = [value.decode("latin-1").lower() for name, value in headers if name.lower() == b"host"]
    if len(said) != 1 or said[0] not in hosts:
        raise Refused(421, "its Host header is not the host that was asked for")
    origin = _origin(target, hosts)
    if credential.requests and not _is_named(method, origin, credential.requests):
        raise Refused(403, "the user's grant names other requests than this one")
    own = credential.header.encode("ascii")
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
    host = (b"Host", credential.place.encode("ascii"))
    ours = ((b"Accept-Encoding", b"identity"), (own, credential.value))
    return Forwarded(method, origin, (host, *kept, *ours))


def _judge_framing(names: list[bytes], headers: Headers) -> None:
    """Raise Refused where a message could end in two places, or become another protocol."""
    wanted = [value.strip().lower() for name, value in headers if name.lower() == b"upgrade"]
    if wanted == [b"websocket"]:
        # Clients of models ask no second time where this is the answer, and seven times for a 501.
        raise Refused(UPGRADE_REQUIRED, "it asks for a websocket, and only HTTP/1.1 is carried")
    if wanted or b"http2-settings" in names:
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
    """Return the target in origin form. Raise Refused where it names another host or another
    scheme.
    """
    if _TARGET.fullmatch(target) is None:
        raise Refused(400, "its target has a character that no URL has")
    if target == b"*" or (target.startswith(b"/") and not target.startswith(b"//")):
        return target
    found = re.fullmatch(rb"https://([^/?#]+)(/[^#]*)?", target, re.IGNORECASE)
    if found is None or found[1].decode("latin-1").lower() not in hosts:
        raise Refused(421, "its target is not on the host that was asked for")
    return found[2] or b"/"


def _is_named(method: bytes, origin: bytes, requests: Iterable[tuple[str, str]]) -> bool:
    """Return whether a request is one of those named. A path that servers read in two ways (an
    encoded dot or slash, a segment of dots) is none of them.
    """
    path = origin.partition(b"?")[0].decode("latin-1")
    if _TWO_WAYS.search(path):
        return False
    return any(
        method.decode("ascii") == verb
        and (path.startswith(named[:-1]) if named.endswith("*") else path == named)
        for verb, named in requests
    )


def judge_answer(status: int, headers: Headers, echo: Echo) -> Headers:
    """Return the headers of an answer that go back. Raise Refused."""
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
    """Search an answer for the credential.

    Bytes that could become one are kept back until they cannot.
    """

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        self._kept = b""

    def judge(self, text: bytes) -> None:
        """Raise Refused where a whole text has it."""
        if self._watcher.finds(text):
            raise Refused(502, "the answer contains the credential")

    def feed(self, piece: bytes) -> bytes:
        """Return what of the text so far may go back. Raise Refused."""
        self._kept += piece
        self.judge(self._kept)
        upto = self._watcher.settled(self._kept)
        given, self._kept = self._kept[:upto], self._kept[upto:]
        return given

    def end(self) -> bytes:
        """Return what was kept, when no more comes."""
        given, self._kept = self._kept, b""
        return given


def _plain(method: bytes) -> str:
    """Return a method as text that moves no terminal."""
    return re.sub(rb"[^!-~]", b"?", method).decode("ascii")
