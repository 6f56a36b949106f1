"""Say what provenance names of the builder: the class of its host, its own code, and the address
that a repository came from.

docs/factory/BUILDERS.md has a row for each builder that results. Does not know events.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

HOST_CLASSES = ("github-hosted", "ci", "local")
_PACKAGE = Path(__file__).resolve().parents[1]
_ADDRESS = re.compile(
    r"(?P<scheme>https?|ssh|git)://(?:[^/@]*@)?"
    r"(?P<host>[A-Za-z0-9.-]+(?::[0-9]+)?)(?P<path>/[^?#]*)"
)
_SHORT = re.compile(r"(?:[^/@:]+@)?(?P<host>[A-Za-z0-9.-]+):(?P<path>[^:/?#][^?#]*)")


def host_class(environment: Mapping[str, str]) -> str:
    """Return one of HOST_CLASSES, by the variables that services set."""
    if environment.get("RUNNER_ENVIRONMENT") == "github-hosted":
        return "github-hosted"
    return "local" if environment.get("CI", "") in ("", "0", "false") else "ci"


@functools.cache
def own_code() -> str:
    """Return the SHA-256 over the lines `<sha256>  <path>` of our own files, sorted by path, as
    `sha256sum` prints them in the folder of the package.
    """
    rows = sorted(_digests(str(_PACKAGE), ""))
    lines = "".join(f"{digest}  ./{name}\n" for name, digest in rows)
    return hashlib.sha256(lines.encode("utf-8", "surrogateescape")).hexdigest()


def _digests(folder: str, prefix: str) -> Iterator[tuple[str, str]]:
    """Yield path and SHA-256 of each file below a folder; compiled ones are left out. By names and
    descriptors alone, since every start with work to do reads all of it.
    """
    with os.scandir(folder) as entries:
        found = list(entries)
    for entry in found:
        name = f"{prefix}{entry.name}"
        if entry.is_dir(follow_symlinks=False):
            if entry.name != "__pycache__":
                yield from _digests(entry.path, f"{name}/")
        elif entry.is_file():
            with open(entry.path, "rb", buffering=0) as stream:
                yield name, hashlib.sha256(stream.read()).hexdigest()


def address_of(origin: str) -> str:
    """Return the network address that a repository was cloned from, without user, password, query
    and fragment; "" for a path on a disk and for what is no address.

    >>> address_of("https://me:word@git.example:8443/a/b.git?x=1")
    'https://git.example:8443/a/b.git'
    >>> address_of("git@git.example:a/b.git")
    'ssh://git.example/a/b.git'
    >>> address_of("/home/me/repository")
    ''
    """
    long = _ADDRESS.match(origin)
    if long is not None:
        return f"{long['scheme']}://{long['host'].lower()}{quote(long['path'], safe='/%:~+')}"
    short = _SHORT.match(origin) if "://" not in origin else None
    if short is None:
        return ""
    return f"ssh://{short['host'].lower()}/{quote(short['path'], safe='/%:~+')}"
