"""Keep this user's secret for seals, and make seals with it.

What may replace work that was done before (markers, memory of starts, cached folders) is
believed only under a seal: a MAC with a secret of this user that no repository and no sandbox can
read, bound to the place of the state folder. What another user, another clone, a restored cache or
a commit brings has no seal that fits, so it is made again. Does not know what is sealed.

    >>> seals = UserSeal(bytes(32), "/a/.factory")
    >>> seals("state/summary.json", "PASS") == UserSeal(bytes(32), "/b/.factory")(
    ...     "state/summary.json", "PASS"
    ... )
    False
"""

from __future__ import annotations

import contextlib
import hmac
import os
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from factory.files.user_places import has_a_place, why_not_private
from factory.sandbox.sealed import mac

SECRET = "seal.secret"
_BYTES = 32
_FLAGS = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


@dataclass(frozen=True, slots=True)
class UserSeal:
    """Make seals for one state folder. `lasting` is False where the secret could not be kept, so
    that no later process believes them; `why` then says why not.
    """

    secret: bytes
    place: str
    lasting: bool = True
    why: str = ""

    def __call__(self, name: str, content: str) -> str:
        """Return the seal in hex of `content`, which is kept under `name`."""
        return mac(self.secret, self.place, name, content)

    def fits(self, seal: str, name: str, content: str) -> bool:
        """Return whether `seal` was made by this user, here, for this name and content."""
        return hmac.compare_digest(seal.encode("utf-8", "replace"), self(name, content).encode())


def user_seal(folder: Path, state: Path) -> UserSeal:
    """Return the seal of this user for the state folder `state`; the secret is kept in `folder`,
    made on first use.

    Never raises: where no secret can be kept, or the file is not one that only this user can read,
    it is a secret of this process alone.
    """
    place = os.path.realpath(state)
    try:
        problem = why_not_private(folder, Path(place).parent)
        if problem:
            raise ValueError(problem)
        return UserSeal(_secret(folder), place)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return UserSeal(os.urandom(_BYTES), place, lasting=False, why=f"{folder}: {why}")


def _secret(folder: Path) -> bytes:
    path = folder / SECRET
    if not has_a_place(folder):
        raise ValueError("no folder on the way to it exists")
    try:
        return _read(path)
    except FileNotFoundError:
        _make(path)
    return _read(path)


def _read(path: Path) -> bytes:
    """Return the secret. Raise ValueError where the file is none of this user alone, OSError."""
    descriptor = os.open(path, _FLAGS)
    try:
        found = os.fstat(descriptor)
        content = os.read(descriptor, _BYTES + 1)
    finally:
        os.close(descriptor)
    if not stat.S_ISREG(found.st_mode) or len(content) != _BYTES:
        raise ValueError(f"{SECRET} is not a file of {_BYTES} bytes")
    if os.name != "nt" and (found.st_mode & 0o077 or found.st_uid not in (os.geteuid(), 0)):
        raise ValueError(f"{SECRET} can be read by others than its user")
    return content


def _make(path: Path) -> None:
    """Write a new secret, unless another process was first. Raise OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{SECRET}.")
    try:
        with open(descriptor, "wb") as stream:
            stream.write(os.urandom(_BYTES))
            stream.flush()
            os.fsync(stream.fileno())
        with contextlib.suppress(FileExistsError):
            if os.name == "nt":
                os.rename(draft, path)
            else:
                os.link(draft, path, follow_symlinks=False)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(draft)
