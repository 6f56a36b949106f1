"""Say what a stage may reach: what its contract declares, by the user's own network, with their
cloud grants: an interceptor, and trust in its authority.

The authority is made for one stage and named in files of that stage alone. Loads the modules that
end TLS only if a pack may use them.
"""

from __future__ import annotations

import datetime
import importlib.util
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from factory.contract.cloud_credentials import CloudAccess
from factory.contract.cloud_grants import NO_PARSER, granted, judge_cloud
from factory.contract.network_access import NetworkAccess, trust_of
from factory.egress.connection import ConnectionBounds
from factory.egress.http_rules import HeaderCredential
from factory.egress.reach import Reach
from factory.egress.rules import rule_of
from factory.judge.path_guard import display
from factory.model.finding import Finding
from factory.model.findings.entry import Facts
from factory.model.injection import Credential
from factory.model.pack import Limits, TaskPack
from factory.redact.redaction import Redactor

if TYPE_CHECKING:
    import ssl

_SHOWN_PATH = 512
BUNDLE = "/run/factory-authorities.pem"
_VARIABLES = (
    *(
        "SSL_CERT_FILE",
        "CURL_CA_BUNDLE",
        "REQUESTS_CA_BUNDLE",
        "GIT_SSL_CAINFO",
        "NODE_EXTRA_CA_CERTS",
        "PIP_CERT",
    ),
    *("AWS_CA_BUNDLE", "CARGO_HTTP_CAINFO", "DENO_CERT", "NIX_SSL_CERT_FILE"),
)
# A program inside asks the proxy for localhost where contract and user name it; in other packs it
# is what the pack's own processes serve.
_LOCALHOST = (("NO_PROXY", "127.0.0.1,::1"), ("no_proxy", "127.0.0.1,::1"))
# Where distributions keep what they trust, in addition to where this interpreter looks.
_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
)


class UserCloud:
    """Use the grants and the network of one user. `trust` makes a context that verifies servers;
    None: this host's, with the user's authorities.
    """

    def __init__(
        self,
        access: CloudAccess,
        redactor: Redactor,
        trust: Callable[[], ssl.SSLContext] | None = None,
        network: NetworkAccess | None = None,
    ) -> None:
        self._access, self._redactor, self._trust = access, redactor, trust
        self._network = network or NetworkAccess()

    def judge(self, pack: TaskPack) -> tuple[Finding, ...]:
        """Return findings about what a pack declares of clouds and the network."""
        problems = dict(self._access.problems)
        if importlib.util.find_spec("h11") is None:
            problems = {grant.place: NO_PARSER for grant in self._access.grants}
        found = judge_cloud(pack, self._access.grants, problems)
        if self._network.problem and pack.constraints.network.declared:
            why, hosts = self._network.problem, pack.constraints.network.shown
            place = pack.place("/constraints/allow_network")
            facts: Facts = {"case": "login", "hosts": hosts, "why": why}
            found += (Finding("NETWORK_UNAVAILABLE", facts, pack=pack.id, location=place),)
        return found

    def bare_reach(self, pack: TaskPack, limits: Limits) -> Reach | None:
        """Return what a pack may reach, without any credential; None where it declares no network,
        and then there is no proxy.
        """
        network = pack.constraints.network
        return self.reach_to(network.shown, limits) if network.declared else None

    def reach_to(self, hosts: tuple[str, ...], limits: Limits) -> Reach:
        """Return how these hosts are reached by the user's own network, without any credential."""
        network = self._network
        bounds = ConnectionBounds(
            connections=limits.connections,
            bytes_up=limits.upload,
            bytes_down=limits.download,
            idle=float(limits.idle),
        )
        reach = Reach(hosts, private=network.private, upstream=network.upstream, bounds=bounds)
        both = (hosts, network.private)
        if all(any(rule_of(entry).host == "localhost" for entry in each) for each in both):
            reach = replace(reach, environment=_LOCALHOST)
        return _trusting(reach, network.authorities) if network.authorities else reach

    def reach(self, pack: TaskPack, limits: Limits) -> Reach | None:
        """Return what a stage within these limits may reach, with the user's credentials; None as
        `bare_reach`.
        """
        reach = self.bare_reach(pack, limits)
        if reach is None:
            return None
        usable = set(granted(pack, self._access.grants))
        credentials = [each for each in self._access.credentials if each.grant in usable]
        if not credentials:
            return reach
        from factory.egress.authority import Authority
        from factory.egress.intercept import CloudInterceptor

        authority = Authority(
            [each.grant.host for each in credentials],
            datetime.datetime.now(datetime.UTC),
            limits.timeout,
        )
        more = self._network.authorities
        trust = self._trust or partial(trust_of, more)
        injected = tuple(map(injected_of, credentials))
        shown = partial(shown_path, redactor=self._redactor)
        interceptor = CloudInterceptor(injected, authority, shown, trust)
        return _trusting(replace(reach, interceptor=interceptor), more + authority.pem)


def _trusting(reach: Reach, authorities: str) -> Reach:
    """Return `reach` with these certificates trusted inside, with those of this host."""
    variables = dict.fromkeys(_VARIABLES, BUNDLE)
    return replace(
        reach,
        environment=tuple((dict(reach.environment) | variables).items()),
        files=((BUNDLE, system_bundle() + authorities),),
    )


class _Watching:
    """Implement `egress.http_rules.Watcher` by a redactor that knows one credential and no other
    form.
    """

    def __init__(self, values: tuple[bytes, ...]) -> None:
        self._redactor = Redactor([("credential", value) for value in values], forms=())

    def finds(self, text: bytes) -> bool:
        return bool(self._redactor.places(text))

    def settled(self, text: bytes) -> int:
        return self._redactor.settled(text)


def injected_of(credential: Credential) -> HeaderCredential:
    """Return a credential as the interceptor needs it."""
    grant = credential.grant
    watcher = _Watching((credential.value, *credential.known))
    return HeaderCredential(
        grant.host, grant.port, grant.header, credential.value, watcher, grant.requests
    )


def shown_path(target: bytes, redactor: Redactor) -> str:
    """Return a request's target for evidence: without query values and credentials, inert, at most
    512 characters.
    """
    path, mark, query = target.decode("latin-1").partition("?")
    names = (
        "&".join(f"{part.partition('=')[0]}=*" if "=" in part else "*" for part in query.split("&"))
        if mark
        else ""
    )
    safe = redactor.redact(f"{path}{mark}{names}".encode("latin-1")).content.decode("latin-1")
    return display(safe if len(safe) <= _SHOWN_PATH else f"{safe[:_SHOWN_PATH]}…")


def system_bundle() -> str:
    """Return the authorities that the sandbox's programs trust anyway: those of this host, as one
    text.
    """
    import ssl  # only a pack that is granted a credential needs it

    paths = (ssl.get_default_verify_paths().cafile or "", *_BUNDLES)
    for path in filter(None, paths):
        try:
            return Path(path).read_text("utf-8").rstrip("\n") + "\n"
        except (OSError, UnicodeError):
            continue
    return ""
