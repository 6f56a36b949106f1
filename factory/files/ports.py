"""Files, history, time and locks as phases need them. Every path is POSIX and relative to the state
folder.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from factory.log.merkle import Peaks
from factory.model.event import Entry
from factory.model.evidence import EventDocument, ToolRecord
from factory.model.finding import Finding
from factory.model.ledger_standing import Standing


class Store(Protocol):
    """The state folder. Writes are atomic and durable; nothing outside it is reachable through
    it.
    """

    root: Path

    def read(self, path: str) -> bytes | None: ...

    def write(self, path: str, content: bytes) -> None: ...

    def names(self, folder: str) -> tuple[str, ...]:
        """Names directly in `folder`, sorted; none where it does not exist."""
        ...

    def files(self, folder: str) -> tuple[str, ...]:
        """Every regular file below `folder`, relative to it, sorted. Links and special files are
        listed too.
        """
        ...

    def sha256(self, path: str) -> str:
        """Digest of a file's bytes; empty where it is not a plain file."""
        ...

    def digests(self, folder: str) -> Mapping[str, str]:
        """`sha256` of each of `files(folder)`, by its path relative to the folder."""
        ...

    def size(self, path: str) -> int: ...

    def remove(self, path: str) -> None: ...

    def move(self, source: str, destination: str) -> None:
        """Give a file or folder another place in the store, in one step; what stood there is
        replaced.
        """
        ...

    def replace_folder(self, folder: str, files: Mapping[str, bytes]) -> None:
        """Put a whole folder in place of what stood there, complete or not at all."""
        ...

    def below(self, folder: str) -> Store:
        """The same store seen from one of its folders, and confined to it."""
        ...

    def copy_folder(self, source: str, destination: str) -> None: ...

    def clear_unfinished(self, folder: str, below: bool = False) -> None:
        """Remove what a dead process left half made in `folder`, with `below` also in its
        folders.
        """
        ...


class Ledger(Protocol):
    """The append-only history."""

    def append(self, *entries: Entry) -> str:
        """Record events durably, all or none, in one write; the id of the last."""
        ...

    def standing(self) -> Standing:
        """Where it stands now: its last event, its tree, its runs without an end. Costs what was
        appended since.
        """
        ...

    def events(self) -> Iterator[EventDocument]:
        """Every event up to now, in order; costs a reading of the whole ledger."""
        ...

    def lines(self) -> Iterator[bytes]:
        """The bytes of every event, each without its line feed, in order. Raises Refusal
        LEDGER_BROKEN.
        """
        ...

    def of_runs(self, run_ids: Iterable[str]) -> tuple[EventDocument, ...]:
        """The events of some runs, in order."""
        ...

    def newest(self, *event_types: str) -> Iterator[EventDocument]:
        """Events, or those of some types, the last one first; costs no more than is asked of it."""
        ...

    def tree(self, size: int) -> Peaks:
        """The tree over the first `size` events."""
        ...

    def remember(self) -> None:
        """Spare the next process the reading of what this one has verified."""
        ...

    def recover(self) -> tuple[Finding, ...]:
        """Set a torn last line aside and say so; raise Refusal LEDGER_BROKEN where the chain does
        not hold.
        """
        ...


class Clock(Protocol):
    """Wall time for the record, monotonic time for every bound."""

    def utc(self) -> str:
        """RFC 3339, milliseconds, Z."""
        ...

    def monotonic(self) -> float:
        """Seconds from an arbitrary start."""
        ...


class Locks(Protocol):
    """Exclusive locks that free themselves when their holder dies."""

    def hold(self, name: str) -> AbstractContextManager[None]:
        """Take the lock or raise Refusal LOCKED naming the holder and since when."""
        ...

    def announce(self, name: str, what: str) -> None:
        """Say who holds the lock that this process holds, for others to name."""
        ...

    def holders(self) -> tuple[str, ...]:
        """One sentence per lock that is held now."""
        ...


@dataclass(frozen=True, slots=True)
class FoundFile:
    """One file of a pack's folder in the work tree.

    `problem` is a clause where it can be no part of a pack, `hint` then says what to do.
    """

    path: str
    mode: int
    content: bytes
    problem: str = ""
    hint: str = ""


class WorkTree(Protocol):
    """The user's work tree, read only. `ignored` are the files that Git ignores, once the packs
    folder was read.
    """

    ignored: frozenset[str]

    def pack_folders(self, packs_folder: str) -> tuple[str, ...]: ...

    def pack_files(self, folder: str) -> tuple[FoundFile, ...]:
        """Every file below `folder` that Git would not ignore."""
        ...

    def read(self, path: str) -> bytes | None: ...


class Ground(Protocol):
    """The user's work tree where files may be added, and nothing that stands there is ever
    touched.
    """

    def create(self, path: str, content: bytes) -> bool:
        """Write a new file, making its folders; False where anything stands at `path` already.

        Raises Refusal PATH_UNSAFE where the way there is a link, DISK_UNWRITABLE.
        """
        ...

    def names(self, folder: str) -> tuple[str, ...]:
        """Names in a folder ("" is the root), sorted; none where there is no folder."""
        ...

    def is_folder(self, path: str) -> bool:
        """Whether a real folder, no link, stands at `path`."""
        ...


class Tools(Protocol):
    """Commands of the host, by the identity that joins a key."""

    def identify(self, name: str) -> ToolRecord | None:
        """Version and digest of the command as a sandbox would find it; None where there is
        none.
        """
        ...


class Integrator(Protocol):
    """Role Z: a confined process that may write only below its run folder."""

    def merge(self, run_folder: Path) -> bytes:
        """Run Z on PLAN.json of a run; its MERGE.json. Raises Refusal INTEGRATOR_FAILED."""
        ...


__all__ = [
    "Clock",
    "FoundFile",
    "Ground",
    "Integrator",
    "Ledger",
    "Locks",
    "Store",
    "Tools",
    "WorkTree",
]
