"""The values that must be shown to nobody: of this process's environment, and of the usual files of
this home.

Rule: they are read here, go into a redactor, and nowhere else. What cannot be read is not ours to
know. Does not know who writes.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from factory.files.user_places import user_config_file
from factory.log.key import PRIVATE_VARIABLES
from factory.model.forms import holds_a_credential
from factory.redact.credential_files import FILES, LARGEST, values_in
from factory.redact.redaction import Redactor

_VARIABLE = "FACTORY_CLOUD_INJECT"

Values = tuple[tuple[str, bytes], ...]


def redactor_for(environment: Mapping[str, str]) -> Redactor:
    """A redactor that knows what this user holds, and what their configuration names."""
    return Redactor(
        (*of_environment(environment), *of_home(environment), *of_configuration(environment))
    )


def of_configuration(environment: Mapping[str, str]) -> Values:
    """The credentials that the user's own configuration names for clouds."""
    file = user_config_file()
    try:
        raw = file.read_bytes()
    except OSError:
        raw = b""
    if b"inject" not in raw and not environment.get(_VARIABLE):
        return ()
    from factory.contract import cloud_credentials, configuration

    config, _ = configuration.read(raw, None, environment, {})
    return cloud_credentials.read(config.cloud_inject, environment).known


def of_environment(environment: Mapping[str, str]) -> Values:
    """Name and value of every variable whose name says that it is a credential."""
    named = {
        *filter(holds_a_credential, environment),
        *(name for name in PRIVATE_VARIABLES if name in environment),
    }
    return tuple(
        (name, os.fsencode(environment[name]))
        for name in sorted(named)
        if not _is_place(environment[name])
    )


def of_home(environment: Mapping[str, str]) -> Values:
    """The values in the usual files of credentials below HOME."""
    home = environment.get("HOME", "") or environment.get("USERPROFILE", "")
    return tuple(_of_files(Path(home))) if os.path.isabs(home) else ()


def _of_files(home: Path) -> Iterator[tuple[str, bytes]]:
    for file in FILES:
        with contextlib.suppress(OSError):
            yield from values_in(f"{file}", _plain(home / file))


def _plain(path: Path) -> bytes:
    """The beginning of a plain file. A pipe or device is never waited for; raises OSError."""
    descriptor = os.open(
        path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
    )
    with open(descriptor, "rb") as stream:
        return stream.read(LARGEST) if stat.S_ISREG(os.fstat(descriptor).st_mode) else b""


def _is_place(value: str) -> bool:
    """A path says where a credential is, not what it is; and it stands in many a log."""
    return (
        value.startswith(("/", "~", "./"))
        and " " not in value
        and os.path.exists(os.path.expanduser(value))
    )
