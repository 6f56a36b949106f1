"""Read the credentials in the usual files of a home folder, so that no text shows their values.

Rule: bytes in, values out, and never an error: what cannot be read yields nothing. A value is named
by its file alone. Does not know where the files are, and grants nothing to anybody.
"""

from __future__ import annotations

import base64
import binascii
import re
import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import pairwise
from types import MappingProxyType

LARGEST = 1 << 20


def values_in(file: str, content: bytes) -> tuple[tuple[str, bytes], ...]:
    """Return (name of the file, value) for each credential in a file of `FILES`.

    Bytes beyond `LARGEST` are not read.
    """
    read = FILES[file]
    return tuple((file, value) for value in dict.fromkeys(read(content[:LARGEST])) if value)


def _netrc(content: bytes) -> Iterator[bytes]:
    words = content.split()
    for name, value in pairwise(words):
        if name == b"password":
            yield value.strip(b"\"'")


def _git_credentials(content: bytes) -> Iterator[bytes]:
    for line in content.splitlines():
        found = re.match(rb"[a-z][a-z0-9+.\-]*://[^/@:]*:([^/@]+)@", line.strip())
        if found:
            yield urllib.parse.unquote_to_bytes(found[1])


_NAMED = re.compile(
    rb"^[ \t]*(?:[^\s=#;]*[:.])?(_?[A-Za-z_]+)[ \t]*=[ \t]*(\S.*?)[ \t\r]*$", re.MULTILINE
)
_SECRET_NAMES = frozenset(
    {
        b"aws_secret_access_key",
        b"aws_session_token",
        b"_authtoken",
        b"_password",
        b"_auth",
        b"password",
    }
)


def _settings(content: bytes) -> Iterator[bytes]:
    """Yield values of lines `name = value` whose name means a credential: of aws, npm and pip."""
    for name, value in _NAMED.findall(content):
        if name.lower() in _SECRET_NAMES and not value.startswith(b"$"):
            plain = value.strip(b"\"'")
            yield plain
            if name.lower() in (b"_auth", b"_password"):
                yield from _decoded(plain)


def _docker(content: bytes) -> Iterator[bytes]:
    import json  # a command that only prints its help has no other use for it

    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return
    logins = document.get("auths") if isinstance(document, dict) else None
    for login in logins.values() if isinstance(logins, dict) else ():
        for name in ("auth", "identitytoken", "registrytoken"):
            value = login.get(name) if isinstance(login, dict) else None
            if isinstance(value, str):
                yield value.encode("utf-8", "surrogatepass")
                if name == "auth":
                    yield from _decoded(value.encode("utf-8", "surrogatepass"))


def _decoded(encoded: bytes) -> Iterable[bytes]:
    """Return the password within `user:password` in base64, or all of it if there is no colon."""
    try:
        plain = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        return ()
    return (plain.partition(b":")[2] or plain,)


# By path below the home folder.
FILES: Mapping[str, Callable[[bytes], Iterable[bytes]]] = MappingProxyType(
    {
        ".netrc": _netrc,
        ".git-credentials": _git_credentials,
        ".config/git/credentials": _git_credentials,
        ".docker/config.json": _docker,
        ".aws/credentials": _settings,
        ".npmrc": _settings,
        ".pypirc": _settings,
    }
)

# Folders and files below the home that have credentials, or lead to them: none is ever shown.
NEVER_SHOWN = (
    *FILES,
    *(".ssh", ".gnupg", ".aws", ".azure", ".kube", ".docker", ".password-store", ".mozilla"),
    *(".config/gcloud", ".config/gh", ".config/hub", ".config/git", ".config/op", ".config/rclone"),
    *(".cargo/credentials", ".cargo/credentials.toml", ".gem/credentials", ".bundle/config"),
    *(".m2/settings.xml", ".m2/settings-security.xml", ".gradle/gradle.properties"),
    *(".composer/auth.json", ".config/composer/auth.json", ".config/containers/auth.json"),
    *(".nuget/NuGet/NuGet.Config", ".terraform.d/credentials.tfrc.json", ".config/pip/pip.conf"),
    *(
        ".pip/pip.conf",
        ".pgpass",
        ".my.cnf",
        ".vault-token",
        ".yarnrc.yml",
        ".local/share/keyrings",
    ),
    *(".config/codex-orchestrator", ".bash_history", ".zsh_history", ".python_history"),
)


def is_credential_file(path: str) -> bool:
    """Return whether a path below the home is, or lies in, one that has credentials; a file of such
    a name in any folder counts, where the name has no folder before it.

    >>> [is_credential_file(path) for path in (".ssh/id_a", ".cargo/bin", "x/.npmrc")]
    [True, False, True]
    """
    parts = path.split("/")
    whole = {"/".join(parts[:depth]) for depth in range(1, len(parts) + 1)}
    return any(name in whole or name in parts for name in NEVER_SHOWN)
