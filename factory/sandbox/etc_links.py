"""Find what of the host's /etc the links of /usr lead to: programs keep their configuration there.

Debian and Arch do so with a Java's `java.security`, without which no hash can be made. Rule: only
what every user of the host may read; nothing that names the host, or that is known to carry a
credential. The walk over /usr is done once for each state of the package database, and cached
below a seal. Does not copy anything.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from factory.sandbox.sealed import Seal, sealed_folder

_LIST = "links"
_MOST = 2_000  # entries below /etc; a host with more has something else there
# Whose time changes when packages are installed: of Debian, Fedora, Arch, Alpine, Gentoo, Nix.
_DATABASES = (
    "/var/lib/dpkg/status",
    "/var/lib/dpkg/diversions",
    "/var/lib/rpm",
    "/usr/lib/sysimage/rpm",
    "/var/lib/pacman/local",
    "/lib/apk/db/installed",
    "/var/db/pkg",
    "/nix/var/nix/db/db.sqlite",
)
_FOLDERS = ("", "lib", "lib64", "libexec", "local", "local/lib", "opt", "share", "share/java")
_SKIPPED = frozenset({"man", "doc", "info"})  # below share; thousands of links to alternatives
# What names the host, its users or its network, and what may carry a credential.
_KEPT_BACK = frozenset(
    {
        *("adjtime", "crypttab", "environment", "exports", "fstab", "group", "gshadow", "hostid"),
        *("hostname", "hosts", "issue", "krb5.conf", "krb5.keytab", "localtime", "machine-id"),
        *(
            "machine-info",
            "motd",
            "mtab",
            "netplan",
            "NetworkManager",
            "network",
            "passwd",
            "pam.d",
        ),
        *("ppp", "private", "resolv.conf", "shadow", "ssh", "subgid", "subuid", "sudoers"),
        *("sudoers.d", "systemd", "timezone", "wireguard", "wpa_supplicant", "xinetd.d"),
        *("credentials", "settings.xml", "settings-security.xml", "npmrc", "pip.conf", "pypirc"),
        *("netrc", "aptconf", "auth.conf", "auth.conf.d", "docker", "kubernetes", "containers"),
    }
)


def linked(cache: Path, seal: Seal, usr: Path = Path("/usr")) -> tuple[str, ...]:
    """Return the paths below /etc that links of `usr` lead to, sorted; looked up below `cache`
    unless packages were installed since. Raise OSError where the cache cannot be written.
    """
    state = hashlib.sha256(repr(tuple(_state(usr))).encode("utf-8", "surrogateescape"))
    place = cache / f"etc-links-{state.hexdigest()[:20]}"

    def build(folder: Path) -> None:
        rows = "".join(f"{path}\0" for path in sorted(set(_walk(usr))))
        (folder / _LIST).write_bytes(os.fsencode(rows))

    sealed_folder(place, seal, build)
    return tuple(os.fsdecode((place / _LIST).read_bytes()).split("\0")[:-1])


def _state(usr: Path) -> Iterator[tuple[str, int, int]]:
    for path in (*_DATABASES, *(str(usr / name) for name in _FOLDERS)):
        try:
            status = os.stat(path)
        except OSError:
            continue
        yield path, status.st_size, status.st_mtime_ns


def _walk(usr: Path) -> Iterator[str]:
    waiting = [str(usr)]
    shared = f"{usr}/share"
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(folder) as entries:
                listed = list(entries)
        except OSError:
            continue  # not for this user
        for entry in listed:
            if entry.is_symlink():
                path = below_etc(entry.path, os.readlink(entry.path))
                if path:
                    yield path
            elif entry.is_dir(follow_symlinks=False) and not (
                folder == shared and entry.name in _SKIPPED
            ):
                waiting.append(entry.path)


def below_etc(link: str, target: str, etc: str = "/etc") -> str:
    """Return the path below /etc that a link leads to; "" if it leads to another place, or to what
    stays hidden.
    """
    whole = os.path.normpath(os.path.join(os.path.dirname(link), target))
    if not whole.startswith(f"{etc}/"):
        return ""
    path = whole.removeprefix(f"{etc}/")
    return path if may_show(path) else ""


def may_show(path: str) -> bool:
    """Return False for a path below /etc that names the host or may carry a credential."""
    return _KEPT_BACK.isdisjoint(path.split("/"))


def readable_by_all(host: Path, paths: Iterable[str]) -> tuple[str, ...]:
    """Return those of `paths` below `host` that every user may reach and read, at most 2,000; for a
    path below a link, that link.
    """
    found = (_reached(host, path) for path in paths)
    return tuple(dict.fromkeys(path for path in found if path))[:_MOST]


def _reached(host: Path, path: str) -> str:
    names = path.split("/")
    for depth in range(1, len(names) + 1):
        here = "/".join(names[:depth])
        try:
            mode = os.lstat(f"{host}/{here}").st_mode
        except OSError:
            return ""
        if stat.S_ISLNK(mode):
            return here
        if not open_to_all(mode):
            return ""
    return path


def open_to_all(mode: int) -> bool:
    """Return whether every user may enter a folder, or read a file, of this mode."""
    return bool(mode & (stat.S_IXOTH if stat.S_ISDIR(mode) else stat.S_IROTH))
