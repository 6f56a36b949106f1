"""List the ways of confining that there are, best first: one row each.

Adding one is a module with a subclass of `backend.Backend`, a row here, and a test. Pure: the
modules are loaded by `host_sandbox`, on the platforms that their row names.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from factory.sandbox.values import ErrorKind, SandboxError

AUTO = "auto"
NONE = "none"


class IsolationMode(enum.Enum):
    """Choose how a stage's view is made; AUTO is the overlay where it works, else a
    full worktree.
    """

    AUTO = "auto"
    OVERLAY = "overlay"
    WORKTREE = "worktree"


@dataclass(frozen=True, slots=True)
class BackendEntry:
    """Name a backend, its module, and the platform that it works on.

    The module's BACKENDS are its classes, best first. `platform` is as `platform.system` names it;
    empty: any. `constant_paths`: every stage has its workspace and interpreter at the same paths.
    """

    name: str
    module: str
    platform: str
    constant_paths: bool = False


TABLE = (
    BackendEntry("full", "factory.sandbox.backend_full", "Linux", constant_paths=True),
    BackendEntry("bubblewrap", "factory.sandbox.backend_bubblewrap", "Linux", constant_paths=True),
    BackendEntry("landlock", "factory.sandbox.backend_landlock", "Linux"),
    BackendEntry(NONE, "factory.sandbox.backend_none", ""),
)
NAMES = tuple(row.name for row in TABLE)
AT_CONSTANT_PATHS = frozenset(row.name for row in TABLE if row.constant_paths)


def rows_of(choice: str) -> tuple[BackendEntry, ...]:
    """Return the rows that a choice leaves: all for AUTO, else the one of that name.

    Raise SandboxError UNKNOWN_BACKEND with the known names.
    """
    if choice == AUTO:
        return TABLE
    found = tuple(row for row in TABLE if row.name == choice)
    if not found:
        known = ", ".join((AUTO, *NAMES))
        raise SandboxError(
            ErrorKind.UNKNOWN_BACKEND, f"expected a backend of {known}, found {choice!r}"
        )
    return found
