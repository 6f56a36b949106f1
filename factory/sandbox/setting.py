"""What every kind of sandbox is given: where it may write, what the user chose, where views come
from.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from factory.egress.ports import Outside
from factory.model.config import Backend, IsolationMode
from factory.model.tree import Tree


class Views(Protocol):
    """Where folders that show a tree come from."""

    def base(self, tree: Tree) -> Path:
        """A shared read-only checkout."""
        ...

    def layer(self, base: Tree, tree: Tree) -> Path | None:
        """A folder to lay over the base's checkout so that `tree` shows; None where they are
        equal.
        """
        ...

    def checkout(self, tree: Tree, destination: Path) -> None:
        """A full writable copy."""
        ...


@dataclass(frozen=True, slots=True)
class SandboxSetting:
    """Two folders that the sandbox has for itself, and what the user chose.

    `python` names another interpreter for packs, `bubblewrap` a binary; empty: found by looking.
    `backend` is the only one to be tried, AUTO the best that works. `unconfined` tells that the
    user accepted the absence of every property: only then may a command run on a host that
    confines nothing. `outside` is how names are looked up and dialled for packs that
    declare network; None: as this host does.
    """

    cache: Path
    worktrees: Path
    isolation: IsolationMode = IsolationMode.AUTO
    python: str = ""
    bubblewrap: str = ""
    unconfined: bool = False
    outside: Outside | None = None
    backend: Backend = Backend.AUTO
