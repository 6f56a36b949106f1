"""Keep cached folders, which are believed only under a seal.

A cached folder replaces work that is not done again, and a restored or committed cache can bring
one that somebody else made. So each has a seal next to it: a MAC, by a secret that no repository
has, over the numbers that the file system keeps of everything in the folder. A folder without the
right seal is removed and built again. Does not know the secret, nor what is in a folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

if sys.platform != "win32":
    import fcntl

Seal = Callable[[str, str], str]
"""Return the MAC in hex over the name and the state of a thing."""

_SECRET = os.urandom(32)


def process_seal(name: str, content: str) -> str:
    """Return a seal that only this process and its forked children can make: for who has no
    secret that lasts.
    """
    return mac(_SECRET, name, content)


def mac(secret: bytes, *parts: str) -> str:
    """Return the keyed BLAKE2b (32 bytes, in hex) over `parts`, each with its length before it."""
    made = hashlib.blake2b(key=secret, digest_size=32)
    for part in parts:
        content = part.encode("utf-8", "surrogateescape")
        made.update(b"%d:" % len(content))
        made.update(content)
    return made.hexdigest()


def sealed_folder(place: Path, seal: Seal, build: Callable[[Path], None]) -> Path:
    """Return the folder `place`, built by `build` unless its seal fits.

    It is built under a lock, in a folder with another name, and renamed when complete. Raise
    OSError.
    """
    from factory.sandbox.folders import remove_tree  # every start makes a seal, and builds nothing

    if is_sealed(place, seal):
        return place
    with _locked(place):
        if is_sealed(place, seal):
            return place
        fresh = place.with_name(f".{place.name}-{os.getpid()}-{os.urandom(4).hex()}")
        fresh.mkdir()
        try:
            build(fresh)
            remove_tree(place)
            fresh.rename(place)
        except BaseException:
            remove_tree(fresh)
            raise
        write_seal(place, seal)
    return place


@contextlib.contextmanager
def _locked(place: Path) -> Iterator[None]:
    """Lock the building of `place` between processes and threads."""
    place.parent.mkdir(parents=True, exist_ok=True)
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
    descriptor = os.open(place.with_name(f".{place.name}.lock"), flags, 0o644)
    try:
        if sys.platform != "win32":  # nothing is confined there, and nothing is cached for it
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def is_sealed(place: Path, seal: Seal) -> bool:
    """Return whether `place` is a folder as it was when its seal was written."""
    try:
        written = _seal_of(place).read_bytes()
        state = stat_digest(place)
    except OSError:
        return False  # no seal, or an unreadable entry
    return hmac.compare_digest(written, seal(str(place), state).encode())


def write_seal(place: Path, seal: Seal) -> None:
    """Write the seal of a folder that was just built, atomically. Raise OSError."""
    target = _seal_of(place)
    draft = target.with_name(f".{target.name}-{os.getpid()}-{os.urandom(4).hex()}")
    draft.write_text(seal(str(place), stat_digest(place)), "ascii")
    draft.replace(target)


def stat_digest(place: Path) -> str:
    """Return the SHA-256 over kind, size, times and inode of everything below `place`.

    Any write changes a change time, and no call sets one. Raise OSError.
    """
    hashed = hashlib.sha256()
    rest = [(str(place), "")]
    while rest:
        folder, prefix = rest.pop()
        with os.scandir(folder) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                seen = entry.stat(follow_symlinks=False)
                row = (
                    prefix,
                    entry.name,
                    seen.st_mode,
                    seen.st_size,
                    seen.st_mtime_ns,
                    seen.st_ctime_ns,
                    seen.st_ino,
                )
                hashed.update(repr(row).encode("utf-8", "surrogateescape"))
                if entry.is_dir(follow_symlinks=False):
                    rest.append((entry.path, f"{prefix}{entry.name}/"))
    return hashed.hexdigest()


def _seal_of(place: Path) -> Path:
    return place.with_name(f".{place.name}.seal")
