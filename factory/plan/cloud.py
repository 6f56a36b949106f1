"""Add a user's cloud grants to what a stage may reach: an interceptor, and trust in its authority.

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
from factory.egress.http_rules import HeaderCredential
from factory.egress.reach import Reach
from factory.judge.path_guard import display
from factory.model.finding import Finding
from factory.model.injection import Credential
from factory.model.pack import TaskPack
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
    *("AWS_CA_BUNDLE", "CARGO_HTTP_CAINFO", "NIX_SSL_CERT_FILE"),
)
# Where distributions keep what they trust, in addition to where this interpreter looks.
_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
)


class UserCloud:
    """Use the grants of one user. `trust` makes a context that verifies servers; None: this
    host's.
    """

    def __init__(
        self,
        access: CloudAccess,
        redactor: Redactor,
        trust: Callable[[], ssl.SSLContext] | None = None,
    ) -> None:
        self._access, self._redactor, self._trust = access, redactor, trust

    def judge(self, pack: TaskPack) -> tuple[Finding, ...]:
        """Return findings about what a pack declares."""
        problems = dict(self._access.problems)
        if importlib.util.find_spec("h11") is None:
            problems = {grant.place: NO_PARSER for grant in self._access.grants}
        return judge_cloud(pack, self._access.grants, problems)

    def reach(self, pack: TaskPack, reach: Reach, seconds: float) -> Reach:
        """Return `reach` with the user's credentials added, for a stage of at most so many
        seconds.
        """
        usable = set(granted(pack, self._access.grants))
        credentials = [each for each in self._access.credentials if each.grant in usable]
        if not credentials:
            return reach
        from factory.egress.authority import Authority
        from factory.egress.intercept import CloudInterceptor, system_trust

        authority = Authority(
            [each.grant.host for each in credentials], datetime.datetime.now(datetime.UTC), seconds
        )
        trust = self._trust or system_trust
        injected = tuple(map(injected_of, credentials))
        shown = partial(shown_path, redactor=self._redactor)
        interceptor = CloudInterceptor(injected, authority, shown, reach.bounds, trust)
        bundle = system_bundle() + authority.pem
        variables = tuple((name, BUNDLE) for name in _VARIABLES)
        return replace(
            reach,
            interceptor=interceptor,
            environment=(*reach.environment, *variables),
            files=(*reach.files, (BUNDLE, bundle)),
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
    return HeaderCredential(grant.host, grant.port, grant.header, credential.value, watcher)


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
