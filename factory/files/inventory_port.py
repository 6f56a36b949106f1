"""Run folders as the evidence index needs them: every file by content, and a cheap answer to "is it
still so?".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from factory.evidence.index import FoundArtifact


@dataclass(frozen=True, slots=True)
class Surveyed:
    """Every file of one run folder, by path, and how many of them had to be read for it."""

    files: tuple[FoundArtifact, ...]
    read: int


class Inventory(Protocol):
    """Run folders by content. Remembers what it has read; believes a file unchanged by its stat
    signature.
    """

    def names(self) -> tuple[str, ...]:
        """Names of the run folders, sorted."""
        ...

    def unchanged(self, names: tuple[str, ...]) -> bool:
        """Whether every one of these folders is, file by file, as it was when it was last
        surveyed.
        """
        ...

    def survey(self, name: str, full: bool = False, remember: bool = True) -> Surveyed:
        """One run folder; with `full` every file is read, whatever is remembered. Without
        `remember` it writes nothing.

        Raises Refusal EVIDENCE_UNREADABLE; to remember, also DISK_UNWRITABLE.
        """
        ...

    def forget(self, keep: tuple[str, ...]) -> None:
        """Drop what is remembered of every folder but these."""
        ...
