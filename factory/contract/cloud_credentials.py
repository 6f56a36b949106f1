"""Read the credentials that the user's configuration names, from a file or an environment variable.

Rule: a value that others could read, that could not be kept out of evidence, or that cannot be a
header's text is not used. No message about a credential contains its value. Does not know which
pack asks.
"""

from __future__ import annotations

import base64
import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from factory.model.injection import BASIC, BEARER, FROM_FILE, CloudGrant, Credential, grant_of
from factory.redact.redaction import Redactor

_LARGEST = 1 << 14  # bytes read of a credential's file


@dataclass(frozen=True, slots=True)
class CloudAccess:
    """Contain the grants, the credentials that could be read, and by place why one could not."""

    grants: tuple[CloudGrant, ...] = ()
    credentials: tuple[Credential, ...] = ()
    problems: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def known(self) -> tuple[tuple[str, bytes], ...]:
        """Return (name, value) of everything that must not appear in any text."""
        return tuple(
            (f"the credential for {each.grant.place}", value)
            for each in self.credentials
            for value in each.known
        )


class _Unfit(Exception):
    """Report why a credential cannot be used, one clause."""


def read(lines: Iterable[str], environment: Mapping[str, str]) -> CloudAccess:
    """Return what a configuration's lines grant. Raise nothing: what cannot be read is in
    `problems`.
    """
    grants = tuple(grant for line in lines if (grant := grant_of(line)) is not None)
    credentials, problems = [], {}
    for grant in grants:
        try:
            credentials.append(_credential(grant, _value(grant.source, environment)))
        except _Unfit as error:
            problems[grant.place] = str(error)
    return CloudAccess(grants, tuple(credentials), MappingProxyType(problems))


def _credential(grant: CloudGrant, value: bytes) -> Credential:
    if not value or any(byte < 0x20 or byte > 0x7E for byte in value) or value != value.strip():
        raise _Unfit("expected one line of printable ASCII, found something else")
    if not watchable(value):
        raise _Unfit("it is too short or too plain to be kept out of evidence")
    if grant.form == BEARER:
        return Credential(grant, b"Bearer " + value, (value,))
    if grant.form != BASIC:
        return Credential(grant, value, (value,))
    _, colon, password = value.partition(b":")
    if not colon or not watchable(password):
        raise _Unfit("expected user:password, its password long enough to be kept out of evidence")
    return Credential(
        grant, b"Basic " + base64.b64encode(value), (value, password, base64.b64encode(value))
    )


def watchable(value: bytes) -> bool:
    """Return True if a redactor looks for a value; a short value or a plain word is found
    everywhere.
    """
    return bool(Redactor([("credential", value)], forms=()).places(value))


def _value(source: str, environment: Mapping[str, str]) -> bytes:
    kind, _, where = source.partition(":")
    if kind != FROM_FILE:
        if where not in environment:
            raise _Unfit(f"the variable {where} is not set")
        return os.fsencode(environment[where])
    try:
        descriptor = os.open(
            where, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        )
    except OSError as error:
        raise _Unfit(f"{where}: {error.strerror}") from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise _Unfit(f"{where} is no plain file")
        if os.name == "posix" and (status.st_mode & 0o077 or status.st_uid != os.geteuid()):
            raise _Unfit(f"{where} can be read by others; it has to be yours, with mode 0600")
        return os.read(descriptor, _LARGEST).removesuffix(b"\n").removesuffix(b"\r")
    finally:
        os.close(descriptor)
