"""Define a cloud grant of the user: for one host, the header of a credential, and its source. And
the proxy of a company, with the source of its login.

Rule: the value itself is in `Credential` alone, and its repr does not show it. Reads nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from factory.model.forms import problem_with_host

BEARER, BASIC = "authorization-bearer", "basic"
FROM_FILE, FROM_VARIABLE = "file", "env"

_HEADER = r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?"
_SOURCE = r"(?:env:[A-Za-z_][A-Za-z0-9_]{0,127}|file:/[!-~]{1,1023})"
UPSTREAM = rf"https?://[A-Za-z0-9.-]{{1,253}}:[1-9][0-9]{{0,4}}/?(?: {_SOURCE})?"
_REQUEST = r"[A-Z]{3,8} /[!-)+-~]{0,1022}\*?"
GRANT = rf"[!-)+-~]{{1,261}} {_HEADER} {_SOURCE}(?: {_REQUEST}){{0,64}}"

# Headers that control how a message is sent; a credential in one would change the request's kind.
RESERVED = frozenset(
    "connection content-encoding content-length content-range content-type date expect host"
    " http2-settings keep-alive proxy-authenticate proxy-authorization proxy-connection range te"
    " trailer transfer-encoding upgrade via accept-encoding".split()
)


@dataclass(frozen=True, slots=True)
class CloudGrant:
    """Describe the grant for one host; `form` is a known scheme or the name of a header.

    `requests` are the only ones that carry the credential, each a method and a path, a `*` at
    whose end is whatever follows; none: all requests do.
    """

    host: str
    port: int
    form: str
    source: str
    requests: tuple[tuple[str, str], ...] = ()

    @property
    def place(self) -> str:
        """Return the host as a contract writes it; port 443 is left out."""
        return self.host if self.port == 443 else f"{self.host}:{self.port}"

    @property
    def header(self) -> str:
        """Return the name of the header that carries the credential, in lower case."""
        return "authorization" if self.form in (BEARER, BASIC) else self.form


@dataclass(frozen=True, slots=True)
class Credential:
    """Contain the whole header value to add to each request to one host. Its repr does not show
    it.
    """

    grant: CloudGrant
    value: bytes = field(repr=False)
    known: tuple[bytes, ...] = field(repr=False, default=())


def grant_of(text: str) -> CloudGrant | None:
    """Return the grant that a line of configuration writes; None if its form is wrong."""
    if re.fullmatch(GRANT, text) is None:
        return None
    place, form, source, *words = text.split(" ")
    if form in RESERVED or problem_with_host(place):
        return None
    host, _, port = place.partition(":")
    requests = tuple(zip(words[::2], words[1::2], strict=True))
    return CloudGrant(host.lower(), int(port or 443), form, source, requests)


@dataclass(frozen=True, slots=True)
class UpstreamProxy:
    """Describe the proxy that the user's configuration names; `source` "" where it has no login."""

    host: str
    port: int
    over_tls: bool
    source: str

    @property
    def place(self) -> str:
        """Return its host and port."""
        return f"{self.host}:{self.port}"


def upstream_of(text: str) -> UpstreamProxy | None:
    """Return the proxy that a configuration's text names; None if its form is wrong."""
    if re.fullmatch(UPSTREAM, text) is None:
        return None
    address, _, source = text.partition(" ")
    scheme, _, place = address.rstrip("/").partition("://")
    host, _, port = place.partition(":")
    if problem_with_host(place) or int(port) > 65535:
        return None
    return UpstreamProxy(host.lower(), int(port), scheme == "https", source)
