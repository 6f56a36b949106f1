"""Remember what is known of the bytes of blobs: their size, lines and digest, and what credentials
they carry.

Rule: it follows from the bytes, which the id names, so each is read and searched once, however many
phases ask. Small blobs are read together, a large one alone: memory does not grow with a change.
Does not know where blobs are stored.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType

from factory.git import loose
from factory.judge.effort import Measured, measured
from factory.judge.secrecy import FoundCredentials, carried
from factory.redact.redaction import Redactor

# Below this size, finding something out once more costs less than remembering it early.
LARGE = 1 << 20
_BATCH = 512  # blobs read together


class KnownBlobs:
    """Answer from memory, and otherwise by `read` (blobs by id) and `sizes` (of those that are
    there). Safe to call from several threads.
    """

    def __init__(
        self,
        redactor: Redactor,
        read: Callable[[Iterable[str]], Mapping[str, bytes]],
        sizes: Callable[[Iterable[str]], Mapping[str, int]],
    ) -> None:
        self._redactor, self._read, self._sizes = redactor, read, sizes
        self._lock = threading.Lock()
        self._held: dict[str, FoundCredentials] = {}
        self._searched: dict[str, FoundCredentials] = {}
        self._measured: dict[str, Measured] = {}
        self._dense: dict[str, bool] = {}

    def for_child(
        self,
        read: Callable[[Iterable[str]], Mapping[str, bytes]],
        sizes: Callable[[Iterable[str]], Mapping[str, int]],
    ) -> KnownBlobs:
        """Return the same for a forked child, which reads by itself and has a lock of its own."""
        child = KnownBlobs(self._redactor, read, sizes)
        child._held, child._searched = dict(self._held), dict(self._searched)
        child._measured = dict(self._measured)
        return child

    def may_keep(self, oid: str, content: bytes) -> bool:
        """Search a blob that is to be written; return False if it carries a credential."""
        found = carried(self._redactor, content, self.measure(oid, content))
        with self._lock:
            (self._held if found.kinds else self._searched)[oid] = found
        return not found.kinds

    def measure(self, oid: str, content: bytes) -> bytes:
        """Measure a large blob while its bytes are at hand; return its SHA-256, b"" if it is
        small.
        """
        if len(content) < LARGE:
            return b""
        known = self._measured.get(oid)
        if known is None:
            known = self._measured[oid] = measured(content)
            self._dense[oid] = loose.is_dense(content)
        return bytes.fromhex(known.sha256)

    def withheld(self, oids: Iterable[str]) -> frozenset[str]:
        """Return those of `oids` that may not be kept."""
        with self._lock:
            return frozenset(self._held).intersection(oids)

    def credentials(self, oids: Iterable[str]) -> Mapping[str, FoundCredentials]:
        """Return the credentials in each blob. Raise Refusal REPO_UNREADABLE."""
        wanted = frozenset(oids)
        with self._lock:
            known = {oid: self._searched[oid] for oid in wanted if oid in self._searched}
            known |= {oid: self._held[oid] for oid in wanted if oid in self._held}
        fresh = {
            oid: carried(self._redactor, content)
            for oid, content in self._contents(wanted - known.keys())
        }
        with self._lock:
            self._searched |= fresh
        return MappingProxyType(known | fresh)

    def measured(self, oids: Iterable[str]) -> Mapping[str, Measured]:
        """Return what there is to know of the bytes of blobs. Raise Refusal REPO_UNREADABLE."""
        wanted = frozenset(oids)
        with self._lock:
            known = {oid: self._measured[oid] for oid in wanted if oid in self._measured}
        fresh = {oid: measured(content) for oid, content in self._contents(wanted - known.keys())}
        with self._lock:
            self._measured |= fresh
        return MappingProxyType(known | fresh)

    def is_dense(self, oid: str) -> bool:
        """Return whether compressing a blob would be in vain. Raise Refusal REPO_UNREADABLE."""
        if oid not in self._dense:
            self._dense[oid] = loose.is_dense(self._read((oid,))[oid])
        return self._dense[oid]

    def _contents(self, oids: frozenset[str]) -> Iterator[tuple[str, bytes]]:
        sizes = self._sizes(oids)
        batch = sorted(oids - sizes.keys())  # absent: reading them raises
        room = LARGE
        for oid, size in sizes.items():
            if batch and (size > room or len(batch) == _BATCH):
                yield from self._read(batch).items()
                batch, room = [], LARGE
            batch.append(oid)
            room -= size
        yield from self._read(batch).items()
