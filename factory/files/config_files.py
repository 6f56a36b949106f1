"""Read configuration files: the user's own, and that of a work tree.

Rule: what is there and cannot be read as a plain file is a refusal, never "no configuration", since
that would take its protections away in silence. Does not know what the bytes mean.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from factory.files.user_places import user_config_file
from factory.model.errors import Refusal
from factory.model.finding import Finding, Location

LARGEST = 1 << 20  # bytes of a configuration file
_KINDS = (
    (stat.S_ISLNK, "a symbolic link"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISREG, ""),
)


def read_plain(place: Path, name: str) -> bytes | None:
    """Return the bytes of a plain file, None where nothing has this name; `name` is how findings
    call it. Raise Refusal CONFIG_UNREADABLE for anything else, a link included.
    """
    try:
        mode = os.lstat(place).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise _refused(name, f"one that cannot be looked at: {error.strerror}") from error
    kind = next((kind for is_kind, kind in _KINDS if is_kind(mode)), "something else")
    if kind:
        raise _refused(name, kind)
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        with open(os.open(place, flags | getattr(os, "O_BINARY", 0)), "rb") as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                raise _refused(name, "something else")
            content = stream.read(LARGEST + 1)
    except OSError as error:
        raise _refused(name, f"one that cannot be read: {error.strerror}") from error
    if len(content) > LARGEST:
        raise _refused(name, f"more than {LARGEST} bytes")
    return content


def read_user_config(root: Path | None = None) -> bytes | None:
    """Return the bytes of the user's own file, None where there is none. A link is followed, but
    not into the work tree at `root`. Raise Refusal CONFIG_UNREADABLE.
    """
    file = user_config_file()
    real = Path(os.path.realpath(file))
    if root is not None and real.is_relative_to(root.resolve()):
        raise _refused(str(file), f"one that lies in the work tree, at {real}")
    if os.path.lexists(file) and not os.path.lexists(real):
        raise _refused(str(file), "a link to nothing")
    return read_plain(real, str(file))


def _refused(name: str, found: str) -> Refusal:
    facts = {"file": name, "found": found}
    return Refusal(Finding("CONFIG_UNREADABLE", facts, location=Location(name)))
