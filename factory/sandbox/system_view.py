"""Find what of the host's system a pack may see: /usr, its links, and an /etc of our own.

The /etc inside has a constant user list and nothing that names this host; certificates, the
loader's cache and what links of /usr lead to come from the host. Does not know about packs or
interpreters.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from factory.sandbox import etc_links
from factory.sandbox.bubblewrap import GIT_CONFIG, HOME, HOST_NAME, USER_ID, Mount
from factory.sandbox.sealed import Seal, sealed_folder

_TEXTS = {
    "passwd": (
        f"root:x:0:0:root:/nonexistent:/usr/sbin/nologin\n"
        f"pack:x:{USER_ID}:{USER_ID}:pack:{HOME}:/bin/sh\n"
        "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
    ),
    "group": f"root:x:0:\npack:x:{USER_ID}:\nnogroup:x:65534:\n",
    "hosts": f"127.0.0.1 localhost {HOST_NAME}\n::1 localhost {HOST_NAME}\n",
    "hostname": f"{HOST_NAME}\n",
    "gitconfig": GIT_CONFIG,
    "nsswitch.conf": (
        "passwd: files\ngroup: files\nhosts: files\nservices: files\nprotocols: files\n"
    ),
}
# What of the host's /etc programs need. Copied, not mounted: each mount costs every command time.
_COPIED = (
    *("ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives", "services", "protocols"),
    *("ssl/openssl.cnf", "ssl/certs", "pki/tls/certs", "pki/ca-trust/extracted"),
)
_TOP_LINKS = ("bin", "sbin", "lib", "lib64", "lib32", "libx32")
_MASKED = ("/proc/keys",)  # what else there names the host is root's alone to read


def system_mounts() -> tuple[tuple[Mount, ...], tuple[tuple[str, str], ...]]:
    """Return read-only mounts and links that make the host's programs runnable."""
    mounts = [Mount("/usr", "/usr")]
    links = []
    for name in _TOP_LINKS:
        path = Path("/", name)
        if path.is_symlink():
            links.append((str(path), os.readlink(path).lstrip("/")))
        elif path.is_dir():
            mounts.append(Mount(str(path), str(path)))
    if Path("/nix/store").is_dir():
        mounts.append(Mount("/nix/store", "/nix/store"))
    return tuple(mounts), tuple(links)


def inside_links() -> tuple[tuple[str, str], ...]:
    """Return links that exist only inside."""
    return (("/var/tmp", "../tmp"),)


def masked_files() -> tuple[str, ...]:
    """Return files of /proc that say something about the host and are hidden behind /dev/null."""
    return tuple(path for path in _MASKED if os.path.exists(path))


def etc_mount(
    cache: Path, seal: Seal, host: Path = Path("/etc"), usr: Path = Path("/usr")
) -> Mount:
    """Return the constant /etc, written below `cache` for each state of the host's files, and
    written again unless `seal` fits it. It has what links of `usr` lead to.
    """
    named = etc_links.readable_by_all(host, etc_links.linked(cache, seal, usr))
    found = sorted(_look(host, named), key=lambda entry: entry.path)
    digest = hashlib.sha256(
        repr((sorted(_TEXTS.items()), found)).encode("utf-8", "surrogateescape")
    )
    place = cache / f"etc-{digest.hexdigest()[:20]}"
    sealed_folder(place, seal, lambda folder: _write(folder, host, found))
    return Mount(str(place), "/etc")


@dataclass(frozen=True, slots=True)
class _Entry:
    """Describe a file or link to copy: path below /etc, and what distinguishes one state of it from
    another.
    """

    path: str
    target: str
    size: int
    changed: int


def _look(host: Path, named: tuple[str, ...]) -> Iterator[_Entry]:
    """Yield the entries to copy: what is always copied, what is `named`, and what links among them
    lead to. There are hundreds: one call of the system for each, and no path objects.
    """
    waiting = [*_COPIED, *named]
    seen = set(_TEXTS)
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        place = f"{host}/{path}"
        try:
            status = os.lstat(place)
            if stat.S_ISLNK(status.st_mode):
                target = os.readlink(place)
                yield _Entry(path, target, 0, 0)
                beyond = etc_links.below_etc(f"/etc/{path}", target)
                waiting += etc_links.readable_by_all(host, (beyond,)) if beyond else ()
            elif not etc_links.open_to_all(status.st_mode):
                continue
            elif stat.S_ISDIR(status.st_mode):
                with os.scandir(place) as entries:
                    inside = [f"{path}/{entry.name}" for entry in entries]
                waiting += filter(etc_links.may_show, inside)
            elif stat.S_ISREG(status.st_mode) and os.access(place, os.R_OK):
                yield _Entry(path, "", status.st_size, status.st_mtime_ns)
        except OSError:
            continue  # not on this host, or not for this user: then not for packs either


def _write(draft: Path, host: Path, found: list[_Entry]) -> None:
    folders = {os.path.dirname(f"{draft}/{entry.path}") for entry in found}
    for folder in sorted(folders):
        os.makedirs(folder, exist_ok=True)
    for entry in found:
        if entry.target:
            os.symlink(entry.target, f"{draft}/{entry.path}")
        else:
            _write_file(draft / entry.path, (host / entry.path).read_bytes())
    for name, text in _TEXTS.items():
        _write_file(draft / name, text.encode("ascii"))
    for parent, _, _ in os.walk(draft):
        os.chmod(parent, 0o755)


def _write_file(place: Path, content: bytes) -> None:
    place.write_bytes(content)
    place.chmod(0o644)
