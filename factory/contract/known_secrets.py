"""Collect the values that must not be shown: from the environment, and from usual files in HOME.

Rule: they are read here, go into a redactor, and nowhere else. What this process cannot read, it
does not know. What the user says is no credential, by the digest of its value, is none; a
repository cannot say so. Does not know who writes.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from factory.files import fs_guard
from factory.files.config_files import read_plain, read_user_config
from factory.files.user_places import NOT_CREDENTIALS, not_credentials_file
from factory.model.errors import Refusal
from factory.model.forms import value_is_credential
from factory.model.signing import PRIVATE_VARIABLES
from factory.redact.credential_files import FILES, LARGEST, values_in
from factory.redact.credential_values import secrets_in
from factory.redact.redaction import Redactor

_VARIABLES = ("FACTORY_CLOUD_INJECT", "FACTORY_NETWORK_UPSTREAM_PROXY")

Values = tuple[tuple[str, bytes], ...]


def redactor_for(environment: Mapping[str, str]) -> Redactor:
    """Return a redactor that knows this user's credentials, and those that their configuration
    names.
    """
    spared = denied_by_user()
    known = (*of_environment(environment), *of_home(environment))
    mine = tuple(
        (name, value) for name, value in known if hashlib.sha256(value).hexdigest() not in spared
    )
    return Redactor((*mine, *of_configuration(environment)), spared=spared)


def denied_by_user() -> frozenset[str]:
    """Return the digests of values that this user says are no credentials: one SHA-256 a line, `#`
    begins a comment. None if the file cannot be read.
    """
    try:
        content = read_plain(not_credentials_file(), NOT_CREDENTIALS) or b""
    except Refusal:  # what cannot be read spares nothing
        return frozenset()
    words = (line.partition(b"#")[0].strip() for line in content.splitlines())
    return frozenset(word.decode("ascii", "replace") for word in words if word)


def deny(digests: Iterable[str]) -> None:
    """Add digests to those of `denied_by_user`. Raise Refusal DISK_UNWRITABLE."""
    lines = "".join(f"{digest}\n" for digest in sorted({*denied_by_user(), *digests}))
    place = not_credentials_file()
    fs_guard.make_folder(place.parent)
    fs_guard.write_atomic(place, lines.encode("ascii"), mode=0o600)


def of_configuration(environment: Mapping[str, str]) -> Values:
    """Return the credentials that the user's own configuration names: for clouds and for
    the upstream proxy."""
    try:
        raw = read_user_config() or b""
    except Refusal:  # no command that would use it begins
        raw = b""
    named = any(key in raw for key in (b"inject", b"upstream_proxy"))
    if not named and not any(map(environment.get, _VARIABLES)):
        return ()
    from factory.contract import cloud_credentials, configuration, network_access

    config, _ = configuration.read(raw, None, environment, {})
    clouds = cloud_credentials.read(config.cloud_inject, environment)
    return (*clouds.known, *network_access.login_of(config, environment).known)


def of_environment(environment: Mapping[str, str]) -> Values:
    """Return (name, value) of every credential in the environment, as far as name and value show
    it. A private variable of ours counts whole.
    """
    return tuple(
        (name, os.fsencode(secret))
        for name, value in sorted(environment.items())
        for secret in _secrets_of(name, value)
    )


def _secrets_of(name: str, value: str) -> tuple[str, ...]:
    if name in PRIVATE_VARIABLES:
        return () if _is_place(value) else (value,)
    if _is_place(value):
        return ()
    return secrets_in(name, value, value_is_credential(name))


def of_home(environment: Mapping[str, str]) -> Values:
    """Return the values in the usual files of credentials below HOME."""
    home = environment.get("HOME", "") or environment.get("USERPROFILE", "")
    return tuple(_of_files(Path(home))) if os.path.isabs(home) else ()


def _of_files(home: Path) -> Iterator[tuple[str, bytes]]:
    for file in FILES:
        with contextlib.suppress(OSError):
            yield from values_in(f"{file}", _plain(home / file))


def _plain(path: Path) -> bytes:
    """Return the first LARGEST bytes of a plain file; b"" for a pipe or device. Raise OSError."""
    descriptor = os.open(
        path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
    )
    with open(descriptor, "rb") as stream:
        return stream.read(LARGEST) if stat.S_ISREG(os.fstat(descriptor).st_mode) else b""


def _is_place(value: str) -> bool:
    """Return True for an existing path: it names where a credential is, and is common in logs."""
    return (
        value.startswith(("/", "~", "./"))
        and " " not in value
        and os.path.exists(os.path.expanduser(value))
    )
