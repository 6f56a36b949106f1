"""Read what the user's configuration says of the network: private hosts, more authorities, and the
proxy of a company with its login.

Rule: all of it is the user's, and none a repository's. The login goes to the proxy alone, and no
message contains it. Does not know which pack asks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from typing import TYPE_CHECKING

from factory.contract import cloud_credentials
from factory.contract.cloud_credentials import CloudAccess
from factory.egress.upstream import Upstream
from factory.model.config import Config
from factory.model.injection import BASIC, upstream_of

if TYPE_CHECKING:
    import ssl


@dataclass(frozen=True, slots=True)
class NetworkAccess:
    """Contain what packs with network may use. `authorities` are certificates as PEM text, in
    addition to this host's; `problem` is why the login of the proxy could not be read, one clause.
    """

    private: tuple[str, ...] = ()
    authorities: str = ""
    upstream: Upstream | None = field(default=None)
    problem: str = ""


def login_of(config: Config, environment: Mapping[str, str]) -> CloudAccess:
    """Return the login of the upstream proxy, read as a credential for its place."""
    proxy = upstream_of(config.network_upstream_proxy)
    if proxy is None or not proxy.source:
        return CloudAccess()
    return cloud_credentials.read((f"{proxy.place} {BASIC} {proxy.source}",), environment)


def read(config: Config, environment: Mapping[str, str]) -> NetworkAccess:
    """Return what the configuration says. Raise nothing: what cannot be read is `problem`."""
    proxy = upstream_of(config.network_upstream_proxy)
    private, more = config.network_private, config.network_authorities
    if proxy is None:
        return NetworkAccess(private, more)
    login = login_of(config, environment)
    text = login.credentials[0].value.decode("ascii") if login.credentials else ""
    trust = cache(partial(trust_of, more)) if proxy.over_tls else None
    problem = next(iter(login.problems.values()), "")
    return NetworkAccess(private, more, Upstream(proxy.host, proxy.port, text, trust), problem)


def trust_of(authorities: str) -> ssl.SSLContext:
    """Return how this host's programs verify a server, with more authorities."""
    import ssl  # only a pack that is granted a credential or a proxy over TLS needs it

    context = ssl.create_default_context()
    if authorities:
        context.load_verify_locations(cadata=authorities)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def problem_with_authorities(content: bytes) -> str:
    """Return "" for certificates that can be trusted, otherwise one clause."""
    import ssl

    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return "expected certificates as PEM text, found other bytes"
    if "PRIVATE KEY" in text:
        return "expected certificates alone, found a private key"
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
    except (ssl.SSLError, ValueError):
        return "expected certificates as PEM text, found none that can be read"
    return ""
