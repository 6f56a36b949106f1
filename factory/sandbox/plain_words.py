"""Write what a command is given by the backends that mount nothing of their own: bubblewrap's
words, or an environment.

Pure. Every path inside is as in the full backend where bubblewrap can make it so; with Landlock
alone paths are the host's, and what a command prints of its workspace is written as if it lay at
/workspace. Does not know who carries it out.
"""

from __future__ import annotations

from collections.abc import Iterator

from factory.sandbox.bubblewrap import (
    CONSTANT_ENVIRONMENT,
    HOME,
    SYSTEM_PATH,
    WORKSPACE,
    HostView,
    environment_words,
    isolation_words,
)

# Of the host's /etc, what programs need to start and names nothing of this host but its users.
ETC = (
    *(
        "ld.so.cache",
        "ld.so.conf",
        "ld.so.conf.d",
        "alternatives",
        "services",
        "protocols",
        "nsswitch.conf",
    ),
    *(
        "passwd",
        "group",
        "localtime",
        "ssl/openssl.cnf",
        "ssl/certs",
        "pki/tls/certs",
        "pki/ca-trust/extracted",
    ),
)
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
# The supervisor sets the first two, for each command others, and puts Git's settings in that home:
# Git ends where the host's settings are there and it may not read them.
_PLACES_OF_HOST = frozenset({"HOME", "TMPDIR", "GIT_CONFIG_SYSTEM"})
_NO_SYSTEM = ("GIT_CONFIG_NOSYSTEM", "1")


def bubblewrap_words(
    view: HostView, workspace: str, size: int, environment: tuple[tuple[str, str], ...]
) -> tuple[str, ...]:
    """Return everything before the command. `size` bounds each tmpfs in bytes; 0 where the binary
    knows no bound.
    """
    return (
        *isolation_words(),
        *_mounts(view, workspace, size),
        *environment_words(view, environment),
        *_start(),
    )


def _start() -> tuple[str, ...]:
    return "--chdir", WORKSPACE


def _mounts(view: HostView, workspace: str, size: int) -> Iterator[str]:
    bound = ("--size", str(size)) if size else ()
    for mount in view.mounts:
        yield from ("--ro-bind", mount.source, mount.inside)
    for path in ("/run", "/var"):
        yield from ("--dir", path)
    for path, target in view.links:
        yield from ("--symlink", target, path)
    yield from ("--proc", "/proc", "--ro-bind", "/proc/sys", "/proc/sys")
    for path in view.masked:
        yield from ("--ro-bind", "/dev/null", path)
    yield from (
        "--dev",
        "/dev",
        "--perms",
        "1777",
        *bound,
        "--tmpfs",
        "/dev/shm",
        "--remount-ro",
        "/dev",
    )
    yield from (
        "--perms",
        "1777",
        *bound,
        "--tmpfs",
        "/tmp",
        "--perms",
        "0755",
        *bound,
        "--tmpfs",
        HOME,
    )
    yield from ("--bind", workspace, WORKSPACE, "--remount-ro", "/")


def landlock_words(view: HostView, environment: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    """Return NAME=value for each variable."""
    path = ":".join((*view.path, *SYSTEM_PATH))
    constant = (each for each in CONSTANT_ENVIRONMENT if each[0] not in _PLACES_OF_HOST)
    merged = dict((*constant, _NO_SYSTEM, ("PATH", path), *view.environment, *environment))
    return tuple(f"{name}={value}" for name, value in sorted(merged.items()))
