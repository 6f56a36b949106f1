"""Collect the values that must not be shown: from the environment, and from usual files in HOME.

Rule: they are read here, go into a redactor, and nowhere else. What this process cannot read, it
does not know. Does not know who writes.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from factory.files.config_files import read_user_config
from factory.model.errors import Refusal
from factory.model.forms import value_is_credential
from factory.model.signing import PRIVATE_VARIABLES
from factory.redact.credential_files import FILES, LARGEST, values_in
from factory.redact.redaction import Redactor

_VARIABLE = "FACTORY_CLOUD_INJECT"

Values = tuple[tuple[str, bytes], ...]


def redactor_for(environment: Mapping[str, str]) -> Redactor:
    """Return a redactor that knows this user's credentials, and those that their configuration
    names.
    """
    return Redactor(
        (*of_environment(environment), *of_home(environment), *of_configuration(environment))
    )


def of_configuration(environment: Mapping[str, str]) -> Values:
    """Return the credentials that the user's own configuration names for clouds."""
    try:
        raw = read_user_config() or b""
    except Refusal:  # no command that would use it begins
        raw = b""
    if b"inject" not in raw and not environment.get(_VARIABLE):
        return ()
    from factory.contract import cloud_credentials, configuration

    config, _ = configuration.read(raw, None, environment, {})
    return cloud_credentials.read(config.cloud_inject, environment).known


def of_environment(environment: Mapping[str, str]) -> Values:
    """Return (name, value) of every variable whose name says that it is a credential."""
    named = {
        *filter(value_is_credential, environment),
        *(name for name in PRIVATE_VARIABLES if name in environment),
    }
    return tuple(
        (name, os.fsencode(environment[name]))
        for name in sorted(named)
        if not _is_place(environment[name])
    )


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
