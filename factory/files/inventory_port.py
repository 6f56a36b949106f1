"""Define the port to run folders for the evidence index: every file by content, and a fast check
for changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from factory.evidence.index import FoundArtifact


@dataclass(frozen=True, slots=True)
class Surveyed:
    """List every file of one run folder, by path; `read` is how many had to be read for it."""

    files: tuple[FoundArtifact, ...]
    read: int


class Inventory(Protocol):
    """Survey run folders by content. Remembers what was read; compares files by their stat
    signature.
    """

    def names(self) -> tuple[str, ...]:
        """Return names of the run folders, sorted."""
        ...

    def unchanged(self, names: tuple[str, ...]) -> bool:
        """Return True if every file of these folders has the signature of the last survey."""
        ...

    def survey(self, name: str, full: bool = False, remember: bool = True) -> Surveyed:
        """Survey one run folder; with `full` every file is read. Without `remember` nothing is
        written.

        Raise Refusal EVIDENCE_UNREADABLE; to remember, also DISK_UNWRITABLE.
        """
        ...

    def forget(self, keep: tuple[str, ...]) -> None:
        """Drop what is remembered of every folder but `keep`."""
        ...
