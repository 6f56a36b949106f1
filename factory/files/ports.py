"""Define the ports to files, history, time and locks. Paths are POSIX, relative to the state
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
    """Read and write the state folder. Writes are atomic and durable; nothing outside is
    reachable.
    """

    root: Path

    def read(self, path: str) -> bytes | None: ...

    def write(self, path: str, content: bytes, durable: bool = True) -> None:
        """Write a file; it may be lost with the power where it is not `durable`."""
        ...

    def names(self, folder: str) -> tuple[str, ...]:
        """Return names directly in `folder`, sorted; () if it does not exist."""
        ...

    def files(self, folder: str) -> tuple[str, ...]:
        """Return every file below `folder`, relative to it, sorted; links and special files too."""
        ...

    def sha256(self, path: str) -> str:
        """Return the digest of a file's bytes in hex; "" if it is not a plain file."""
        ...

    def digests(self, folder: str) -> Mapping[str, str]:
        """Return `sha256` of each of `files(folder)`, by its path relative to the folder."""
        ...

    def size(self, path: str) -> int: ...

    def remove(self, path: str) -> None: ...

    def move(self, source: str, destination: str) -> None:
        """Rename a file or folder in one step; an existing destination is replaced."""
        ...

    def replace_folder(self, folder: str, files: Mapping[str, bytes]) -> None:
        """Replace a whole folder, completely or not at all."""
        ...

    def replace_folders(self, folders: Iterable[tuple[str, Iterable[tuple[str, bytes]]]]) -> None:
        """Replace several folders as `replace_folder`: all are durable before the first is
        replaced.
        """
        ...

    def below(self, folder: str) -> Store:
        """Return the same store seen from one of its folders, and confined to it."""
        ...

    def copy_folder(self, source: str, destination: str) -> None: ...

    def copy_folders(self, places: Mapping[str, str]) -> None:
        """Copy several folders as `copy_folder`, from each key to its value, with one sync."""
        ...

    def clear_unfinished(self, folder: str, below: bool = False) -> None:
        """Remove what a dead process left unfinished in `folder`, with `below` also in its
        folders.
        """
        ...


class Ledger(Protocol):
    """Append to the history and read it."""

    def append(self, *entries: Entry) -> str:
        """Record events durably, all or none, in one write; return the id of the last."""
        ...

    def standing(self) -> Standing:
        """Return its last event, its tree and its runs without an end.

        Costs only what was appended since the last call.
        """
        ...

    def events(self) -> Iterator[EventDocument]:
        """Yield every event up to now, in order; reads the whole ledger."""
        ...

    def lines(self) -> Iterator[bytes]:
        """Yield the bytes of every event, each without its line feed, in order.

        Raise Refusal LEDGER_BROKEN.
        """
        ...

    def of_runs(self, run_ids: Iterable[str]) -> tuple[EventDocument, ...]:
        """Return the events of some runs, in order."""
        ...

    def newest(self, *event_types: str) -> Iterator[EventDocument]:
        """Yield events, or those of some types, the last one first; reads no more than is asked
        for.
        """
        ...

    def tree(self, size: int) -> Peaks:
        """Return the tree over the first `size` events."""
        ...

    def remember(self) -> None:
        """Store what was verified, so that the next process need not read it again."""
        ...

    def recover(self) -> tuple[Finding, ...]:
        """Set a torn last line aside and report it. Raise Refusal LEDGER_BROKEN if the chain is
        broken.
        """
        ...


class Clock(Protocol):
    """Read wall time for the record, monotonic time for every bound."""

    def utc(self) -> str:
        """Return RFC 3339, milliseconds, Z."""
        ...

    def monotonic(self) -> float:
        """Return seconds from an arbitrary start."""
        ...


class Locks(Protocol):
    """Take exclusive locks that are free when their owner dies."""

    def hold(self, name: str) -> AbstractContextManager[None]:
        """Take the lock for the block. Raise Refusal LOCKED naming the owner and since when."""
        ...

    def announce(self, name: str, what: str) -> None:
        """Record who has the lock that this process took, so that others can name it."""
        ...

    def holders(self) -> tuple[str, ...]:
        """Return one sentence for each lock that is taken now."""
        ...


@dataclass(frozen=True, slots=True)
class FoundFile:
    """Describe one file of a pack's folder in the work tree.

    `problem` is a clause if it cannot be part of a pack; `hint` then says what to do.
    """

    path: str
    mode: int
    content: bytes
    problem: str = ""
    hint: str = ""


class WorkTree(Protocol):
    """Read the user's work tree. `ignored` are the files that Git ignores, once the packs folder
    was read.
    """

    ignored: frozenset[str]

    def pack_folders(self, packs_folder: str) -> tuple[str, ...]: ...

    def pack_files(self, folder: str) -> tuple[FoundFile, ...]:
        """Return every file below `folder` that Git would not ignore."""
        ...

    def read(self, path: str) -> bytes | None: ...


class Ground(Protocol):
    """Add files to the user's work tree; existing files are never touched."""

    def create(self, path: str, content: bytes) -> bool:
        """Write a new file, making its folders; return False if anything is at `path` already.

        Raise Refusal PATH_UNSAFE if a folder on the way is a link, DISK_UNWRITABLE.
        """
        ...

    def names(self, folder: str) -> tuple[str, ...]:
        """Return names in a folder ("" is the root), sorted; () if there is no folder."""
        ...

    def is_folder(self, path: str) -> bool:
        """Return True if `path` is a folder and no link."""
        ...


class Tools(Protocol):
    """Identify commands of the host for the action key."""

    def identify(self, name: str) -> ToolRecord | None:
        """Return version and digest of the command as a sandbox would find it; None if there is
        none.
        """
        ...


class Integrator(Protocol):
    """Run role Z: a confined process that may write only below its run folder."""

    def merge(self, run_folder: Path) -> bytes:
        """Run Z on PLAN.json of a run; return its MERGE.json. Raise Refusal INTEGRATOR_FAILED."""
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
