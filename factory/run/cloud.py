"""What a user's grants make of a stage's way out: an interceptor, and a system trust that knows its
authority.

Implements `egress.ports.Cloud`. The authority is made for one stage and named in files of that
stage alone. Loads what ends TLS only where a pack may use it.
"""

from __future__ import annotations

import datetime
import importlib.util
import ssl
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from factory.contract.cloud_credentials import Held
from factory.contract.cloud_grants import NO_PARSER, granted, judge_cloud
from factory.egress.ports import Reach
from factory.model.finding import Finding
from factory.model.pack import TaskPack
from factory.redact.redaction import Redactor

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
    *("AWS_CA_BUNDLE", "CARGO_HTTP_CAINFO", "NIX_SSL_CERT_FILE"),
)
# Where distributions keep what they trust, beside where this interpreter looks.
_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
)


class UserCloud:
    """The grants of one user. `trust` makes a context that verifies servers; None: as this host
    does.
    """

    def __init__(
        self, held: Held, redactor: Redactor, trust: Callable[[], ssl.SSLContext] | None = None
    ) -> None:
        self._held, self._redactor, self._trust = held, redactor, trust

    def judge(self, pack: TaskPack) -> tuple[Finding, ...]:
        """Findings over what a pack declares."""
        problems = dict(self._held.problems)
        if importlib.util.find_spec("h11") is None:
            problems = {grant.place: NO_PARSER for grant in self._held.grants}
        return judge_cloud(pack, self._held.grants, problems)

    def reach(self, pack: TaskPack, reach: Reach, seconds: float) -> Reach:
        """The same way out with the user's credentials in it, for a stage of so many seconds."""
        usable = set(granted(pack, self._held.grants))
        credentials = [each for each in self._held.credentials if each.grant in usable]
        if not credentials:
            return reach
        from factory.egress.authority import Authority
        from factory.egress.intercept import CloudInterceptor, system_trust

        authority = Authority(
            [each.grant.host for each in credentials], datetime.datetime.now(datetime.UTC), seconds
        )
        trust = self._trust or system_trust
        interceptor = CloudInterceptor(credentials, authority, self._redactor, reach.bounds, trust)
        bundle = system_bundle() + authority.pem
        variables = tuple((name, BUNDLE) for name in _VARIABLES)
        return replace(
            reach,
            interceptor=interceptor,
            environment=(*reach.environment, *variables),
            files=(*reach.files, (BUNDLE, bundle)),
        )


def system_bundle() -> str:
    """What the sandbox's programs trust anyway: the authorities of this host, as one text."""
    paths = (ssl.get_default_verify_paths().cafile or "", *_BUNDLES)
    for path in filter(None, paths):
        try:
            return Path(path).read_text("utf-8").rstrip("\n") + "\n"
        except (OSError, UnicodeError):
            continue
    return ""
