"""Decide whether a file that a card depends on changed, by its content alone: times and sizes never
count. Of any other file, doit's own checker decides.

A card's file that is not there is a content too ("absent"): the pipeline, not doit, says what a
missing file means, with a finding and its remedy. Where a pipeline of this process vouches for
digests, those files are not read; it takes that back before anything is executed. Does not know
what the files are for.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from doit.dependency import MD5Checker

ABSENT = "absent"
# No content to compare: a folder, a device, a FIFO, or something that may not be read.
UNKNOWN = "unknown"

_CHUNK = 1 << 16
# A FIFO or a device in a pack's folder must not make the engine wait.
_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)


_NOTHING: Mapping[str, str] = MappingProxyType({})
_vouched: list[Mapping[str, str]] = [
    _NOTHING
]  # of this process: doit makes a checker of a class, and asks nobody else

_files_of_cards: set[str] = set()  # of this process, for the same reason


def expect(paths: Iterable[str]) -> None:
    """From now on these paths, absolute, are files that cards depend on."""
    _files_of_cards.update(paths)


def vouch(digests: Mapping[str, str]) -> None:
    """From now on these paths have these digests, as long as nobody says otherwise."""
    _vouched[0] = digests


def withdraw() -> None:
    """From now on every file is read."""
    vouch(_NOTHING)


def digest_of(path: str) -> str:
    """SHA-256 (hex) of a plain file's bytes, or ABSENT, or UNKNOWN. Never raises OSError."""
    return _vouched[0].get(path) or _read(path)


def _read(path: str) -> str:
    try:
        descriptor = os.open(path, _FLAGS)
    except (FileNotFoundError, NotADirectoryError):
        return ABSENT
    except OSError:
        return UNKNOWN
    try:
        return _digest(descriptor)
    except OSError:
        return UNKNOWN
    finally:
        os.close(descriptor)


def _digest(descriptor: int) -> str:
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        return UNKNOWN
    digest = hashlib.sha256()
    while chunk := os.read(descriptor, _CHUNK):
        digest.update(chunk)
    return digest.hexdigest()


class ContentChecker(MD5Checker):  # type: ignore[misc]  # doit has no types
    """Compare digests, as doit's `check_file_uptodate`. doit stores the name of the class: another
    one runs all again.
    """

    CheckerError = OSError

    def info(self, path: str) -> object:
        """Return what `check_modified` is given: a card's digest as it is now. Raise OSError where
        a file that is no card's is missing.
        """
        return digest_of(path) if path in _files_of_cards else super().info(path)

    def check_modified(self, path: str, now: object, stored: object) -> bool:
        """Return whether the content differs from the stored one; what can't be read always counts
        as changed.
        """
        if isinstance(now, str):
            return now == UNKNOWN or now != stored
        return isinstance(stored, str) or bool(super().check_modified(path, now, stored))

    def get_state(self, path: str, stored: object) -> object:
        """Return what is stored after a task: a card's digest. Raise OSError as `info` does."""
        if path in _files_of_cards:
            return digest_of(path)
        return super().get_state(path, None if isinstance(stored, str) else stored)
