"""Define the resolved configuration: defaults, user file, factory.toml, FACTORY_* variables, flags.

The repository may tighten safety; only the user may accept less. The values record their sources
(`Config.sources`). Does not know how a file is read.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from factory.log.key import SigningPolicy
from factory.model.pack import Limits
from factory.model.properties import Property


class Source(enum.Enum):
    """Name the source of a configuration value, weakest first."""

    DEFAULT = "default"
    USER = "user"
    REPOSITORY = "repository"
    ENVIRONMENT = "environment"
    FLAG = "flag"


class Overlap(enum.Enum):
    """Choose what the integrator does if two packs change one path."""

    BLOCK = "block"
    MERGE = "merge"


class IsolationMode(enum.Enum):
    """Choose how a pack's view is made; AUTO is the overlay if it works, otherwise a full
    worktree.
    """

    AUTO = "auto"
    OVERLAY = "overlay"
    WORKTREE = "worktree"


class Backend(enum.Enum):
    """Choose what confines packs, best first; AUTO is the first that works on the host.

    FULL is the orchestrator's own namespaces, system call filter and quota overlay. BUBBLEWRAP is
    for hosts on which only bubblewrap may make namespaces. LANDLOCK is Landlock and a system call
    filter without any namespace. NONE confines nothing.
    """

    AUTO = "auto"
    FULL = "full"
    BUBBLEWRAP = "bubblewrap"
    LANDLOCK = "landlock"
    NONE = "none"


REQUIRED_BY_DEFAULT = frozenset(Property)


@dataclass(frozen=True, slots=True)
class Config:
    """Contain every configurable value.

    `protected` adds scope patterns to the built-in protected list; `ceilings` bounds what a pack
    may declare; `accepted_missing` names properties whose absence the user accepts; `backend` is
    the user's choice of what confines packs; `python` is another interpreter for packs (empty: the
    orchestrator's own); `network_hosts` bounds what packs may declare, `network_allow_any` is the
    user's consent to any public host; `recheck_budget` is how many extra acceptance runs may be
    spent on finding a culprit; `signing_key_ids` are the keys that `required-from` accepts;
    `cloud_inject` names hosts, headers and where a credential is, never its value.
    """

    packs_folder: str = "taskpacks"
    base_ref: str = "HEAD"
    required: frozenset[Property] = REQUIRED_BY_DEFAULT
    accepted_missing: frozenset[Property] = frozenset()
    protected: tuple[str, ...] = ()
    ceilings: Limits | None = None
    overlap: Overlap = Overlap.BLOCK
    isolation: IsolationMode = IsolationMode.AUTO
    backend: Backend = Backend.AUTO
    python: str = ""
    network_hosts: tuple[str, ...] = ()
    network_allow_any: bool = False
    cloud_inject: tuple[str, ...] = ()
    workers: int = 0
    recheck_budget: int = 24
    signing_policy: SigningPolicy = SigningPolicy.OPTIONAL
    signing_key_ids: tuple[str, ...] = ()
    sources: tuple[tuple[str, Source], ...] = ()
