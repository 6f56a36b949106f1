"""Write the words of a bubblewrap command line, from the allow-list of what it shows.

Pure: what the host offers comes in as a value, a tuple of words goes out. Never binds the host's
`/`: the root inside is a folder with just what a `HostView` names. Every path and name inside is
constant, so that a pack sees the same world on every host. Does not know who executes it, nor who
lays that folder out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

HOME = "/home/pack"
GIT_CONFIG = "[user]\n\tname = Pack\n\temail = pack@localhost\n"
"""An identity for each repository that a command makes: Git commits nothing without one."""
WORKSPACE = "/workspace"
USER_ID = 1000
HOST_NAME = "factory"
SYSTEM_PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
EPOCH = 315532800  # 1980-01-01 UTC, the earliest time that a ZIP archive can name

CONSTANT_ENVIRONMENT = (
    ("GIT_CONFIG_SYSTEM", "/etc/gitconfig"),  # ours, for a Git that was built to read another
    ("HOME", HOME),
    ("LANG", "C.UTF-8"),
    ("LOGNAME", "pack"),
    ("PYTHONDONTWRITEBYTECODE", "1"),
    ("PYTHONHASHSEED", "0"),
    ("SHELL", "/bin/sh"),
    ("SOURCE_DATE_EPOCH", str(EPOCH)),
    ("TMPDIR", "/tmp"),
    ("TZ", "UTC"),
    ("USER", "pack"),
)


def proxy_environment(host: str, port: int) -> tuple[tuple[str, str], ...]:
    """Return variables by which programs find the egress proxy. Plain http is sent there too, to be
    refused with a reason.
    """
    names = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")
    here = (("NO_PROXY", "localhost,127.0.0.1,::1"), ("no_proxy", "localhost,127.0.0.1,::1"))
    return (
        *((name, f"http://{host}:{port}") for name in names),
        *here,
        ("NODE_USE_ENV_PROXY", "1"),
    )


@dataclass(frozen=True, slots=True)
class Mount:
    """Show a host path read-only at a path inside."""

    source: str
    inside: str


@dataclass(frozen=True, slots=True)
class HostView:
    """List what of the host may be seen: read-only mounts, links (path inside, target), and where
    tools are found.
    """

    mounts: tuple[Mount, ...]
    links: tuple[tuple[str, str], ...]
    masked: tuple[str, ...] = ()
    path: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class BoundPaths:
    """Name host paths: `system` is laid out as a `HostView` says; the others are writable, each of
    bounded size.
    """

    system: str
    workspace: str
    temporary: str
    shared_memory: str
    home: str


# Folders that must be in the root inside before anything is mounted on them.
MOUNT_POINTS = ("/dev", "/home/pack", "/proc", "/run", "/tmp", "/var", "/workspace")


def arguments(
    view: HostView, places: BoundPaths, environment: tuple[tuple[str, str], ...]
) -> tuple[str, ...]:
    """Return everything before the command: namespaces, mounts and environment."""
    return (
        *isolation_words(),
        *_mounts(view, places),
        *environment_words(view, environment),
        "--chdir",
        WORKSPACE,
    )


def command(run: str, cwd: str, workspace: str = WORKSPACE) -> tuple[str, ...]:
    """Return the words that carry out a command line of a pack in a folder below the workspace."""
    if cwd in {"", "."}:
        return ("/bin/sh", "-c", run)
    enter = 'cd -- "$1" || exit 126; exec /bin/sh -c "$2"'
    return ("/bin/sh", "-c", enter, "sh", f"{workspace}/{cwd}", run)


def isolation_words() -> Iterator[str]:
    """Yield the words for every namespace and no capability."""
    yield from ("--unshare-all", "--unshare-user", "--uid", str(USER_ID), "--gid", str(USER_ID))
    yield from ("--cap-drop", "ALL", "--die-with-parent", "--new-session", "--hostname", HOST_NAME)


def _mounts(view: HostView, places: BoundPaths) -> Iterator[str]:
    """Yield few mounts, since each costs bubblewrap a look at all: one read-only bind shows the
    whole system.
    """
    yield from ("--ro-bind", places.system, "/")
    yield from ("--proc", "/proc", "--ro-bind", "/proc/sys", "/proc/sys")
    for path in view.masked:
        yield from ("--ro-bind", "/dev/null", path)
    yield from ("--dev", "/dev", "--bind", places.shared_memory, "/dev/shm", "--remount-ro", "/dev")
    yield from ("--bind", places.temporary, "/tmp", "--bind", places.home, HOME)
    yield from ("--bind", places.workspace, WORKSPACE)


def environment_words(view: HostView, extra: tuple[tuple[str, str], ...]) -> Iterator[str]:
    """Yield the constant variables, then what the view and the pack add."""
    path = ":".join((*view.path, *SYSTEM_PATH))
    merged = dict((*CONSTANT_ENVIRONMENT, ("PATH", path), *view.environment, *extra))
    yield "--clearenv"
    for name, value in sorted(merged.items()):
        yield from ("--setenv", name, value)
