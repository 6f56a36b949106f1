"""Define the ports to the state folder and to the ledger: those that have a second implementation.

The real ones are `files.state_store` and `evidence.ledger_store`, those in memory are in
`tests/fakes`; both pass one suite. Every path is POSIX and relative to the state folder.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Protocol

from factory.log.merkle import Peaks
from factory.model.event import Entry
from factory.model.evidence import EventDocument
from factory.model.finding import Finding
from factory.model.ledger_state import LedgerState


class Store(Protocol):
    """Read and write the state folder. Writes are atomic and durable; nothing outside is
    reachable.
    """

    root: Path

    def read(self, path: str) -> bytes | None: ...

    def write(self, path: str, content: bytes, durable: bool = True) -> None:
        """Write a file; it may be lost with the power where it is not `durable`."""
        ...

    def write_together(self, files: Mapping[str, bytes]) -> None:
        """Write several files in this order: all are durable before the first takes its place."""
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

    def state(self) -> LedgerState:
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

    def own_since(self) -> int:
        """Return the number of the first line that this user wrote here, without a stranger's after
        it; one more than the last where there is none. Only for those lines is work not done
        again.
        """
        ...

    def compare_with_own(self) -> tuple[Finding, ...]:
        """Compare the ledger with what this user wrote last; return a warning where another one
        begins. Raise Refusal LEDGER_ROLLED_BACK or LEDGER_REWRITTEN.
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
