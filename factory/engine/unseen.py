"""Look for local changes that no pack sees, where a start has nothing to execute.

A run that is made looks by itself; a person who changed a file and reads "up to date" must not take
it for a verdict about that change. Decides nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from factory.model.errors import FactoryError

if TYPE_CHECKING:
    from factory.git.ports import Repository
    from factory.model.finding import Finding


def unseen(repository: Repository, packs_folder: str) -> tuple[Finding, ...]:
    """Return REPO_DIRTY where there are such changes; nothing where Git cannot say."""
    from factory.git.repository import notes  # late: `doit list` does not look

    try:
        found = notes(repository, packs_folder)
    except (OSError, FactoryError):
        return ()
    return tuple(one for one in found if one.id == "REPO_DIRTY")
