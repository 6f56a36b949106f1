"""Run folders by content, with a memory of what was read.

Trusted: that a file with the inode, size and change time (ctime) it had when it was read has the
same bytes. The kernel sets that time at every write, truncation, rename and change of attributes,
and no call lets a program choose it. So this is deceived only by setting the system's clock back or
by writing below the file system. Never trusted: a change time so near to the reading that a later
write could have the same one; and anything where ctime means something else (Windows): there every
file is read.
"""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
import sys
import tempfile
from array import array
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from struct import Struct

from factory.evidence import inventory_memory
from factory.evidence.index import FoundArtifact, states_version, version_in
from factory.evidence.inventory_memory import DIGEST, DISTRUSTED, NO_VERSION, RememberedRun
from factory.files import fs_guard, stat_rows
from factory.files.seals import user_seal
from factory.files.user_places import user_state_folder
from factory.model.errors import InternalError, Refusal
from factory.model.finding import Finding
from factory.model.layout import RUNS, SURVEYS
from factory.model.names import RUN_ID

_TRUSTED = os.name != "nt"
_FINE, _COARSE = 50_000_000, 2_000_000_000  # nanoseconds within which two changes may bear one time
_NEVER = 1 << 63  # what is already remembered was believed when it was read
_MANY = 20_000  # paths from which a second process is worth its start
_READERS, _AT_ONCE = 4, 256  # threads that wait for the disk, and files that one takes at a time
_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_BINARY", 0)
)
_CHUNK = 1 << 20
_LOOKS = 3
_PACK = Struct("=QQQ").pack
_NOTHING = bytes(DIGEST)


@dataclass(frozen=True, slots=True)
class Surveyed:
    """List every file of one run folder, by path, and count those that had to be read for it."""

    files: tuple[FoundArtifact, ...]
    read: int


@dataclass(frozen=True, slots=True)
class _Read:
    """Describe one file as it was found: its size, digest, stated version and stat numbers."""

    size: int
    digest: bytes
    version: int
    row: bytes


class RunInventory:
    """Survey the runs of one state folder."""

    def __init__(self, root: Path) -> None:
        self._runs = root / RUNS
        self._memory = root / SURVEYS
        self.seal = user_seal(user_state_folder(), root)

    def names(self) -> tuple[str, ...]:
        """Return the folders whose name is a run id, sorted."""
        try:
            with os.scandir(self._runs) as entries:
                found = [
                    e.name
                    for e in entries
                    if RUN_ID.fullmatch(e.name) and e.is_dir(follow_symlinks=False)
                ]
        except (FileNotFoundError, NotADirectoryError):
            return ()
        return tuple(sorted(found))

    def unchanged(self, names: tuple[str, ...]) -> bool:
        """Return whether every path of these runs has the remembered stat numbers.

        A new path changes the stat numbers of its folder.
        """
        paths: list[bytes] = []
        known: list[bytes] = []
        for name in names:
            memory = inventory_memory.load(self._place(name), self.seal)
            if memory is None:
                return False
            top = os.fsencode(self._runs / name)
            paths += [
                top + b"/" + path if path else top for path in (*memory.folders, *memory.files)
            ]
            known.append(memory.rows)
        rows = b"".join(known)
        return _TRUSTED and not _distrusted(rows) and _rows_of(paths) == rows

    def survey(self, name: str, full: bool = False, remember: bool = True) -> Surveyed:
        """Return every file of a run; only what is not remembered is read.

        Raise Refusal EVIDENCE_UNREADABLE, and DISK_UNWRITABLE where nothing can be remembered.
        """
        if remember:
            fs_guard.make_folder(self._memory)
        limit = self._now() if remember else _NEVER
        known = (
            inventory_memory.load(self._place(name), self.seal) if _TRUSTED and not full else None
        )
        folders, rows, files, reads, count = _surveyed(os.fsencode(self._runs / name), known, limit)
        surveyed = Surveyed(
            tuple(_found(path, read) for (path, _), read in zip(files, reads, strict=True)), count
        )
        if not remember:
            return surveyed
        memory = RememberedRun(
            folders=tuple(folders),
            files=tuple(path for path, _ in files),
            rows=b"".join((*rows, *(read.row for read in reads))),
            digests=b"".join(read.digest for read in reads),
            versions=tuple(read.version for read in reads),
        )
        inventory_memory.store(self._place(name), memory, self.seal)
        return surveyed

    def forget(self, keep: tuple[str, ...]) -> None:
        """Drop the memory of runs other than `keep`."""
        wanted = {self._place(name).name for name in keep}
        for path in sorted(self._memory.glob("*.run")):
            if path.name not in wanted:
                fs_guard.remove_tree(path)

    def _now(self) -> int:
        """Return the change time (ns) from which nothing is trusted, by the file system's own
        clock.
        """
        with fs_guard.disk_errors(self._memory):
            fd, path = tempfile.mkstemp(dir=self._memory, prefix=".now.")
            try:
                now = os.fstat(fd).st_ctime_ns
            finally:
                os.close(fd)
                os.unlink(path)
        return now - (_FINE if now % 1_000_000_000 else _COARSE)

    def _place(self, name: str) -> Path:
        return self._memory / f"{name}.run"


_Entry = os.DirEntry[bytes]
_Survey = tuple[list[bytes], list[bytes], list[tuple[bytes, "_Entry"]], list[_Read], int]


def _surveyed(top: bytes, known: RememberedRun | None, limit: int) -> _Survey:
    """Return folders with their rows, files with their contents' digests, and how many were read.

    In a run that is still going a name may vanish between two looks; then everything is looked at
    again. Raise Refusal EVIDENCE_UNREADABLE.
    """
    for left in reversed(range(_LOOKS)):
        try:
            folders, rows, files = _walk(top, limit)
            reads, count = _take(files, known, limit)
        except OSError as error:
            if left and isinstance(error, FileNotFoundError):
                continue
            raise _unreadable(error) from error
        return folders, rows, files, reads, count
    raise InternalError("expected to look at a run at least once")


def _walk(top: bytes, limit: int) -> tuple[list[bytes], list[bytes], list[tuple[bytes, _Entry]]]:
    """Return folders below `top` (itself as b"") with their rows, and every other entry by path.

    Follows no link.
    """
    folders: list[bytes] = []
    rows: list[bytes] = []
    files: list[tuple[bytes, _Entry]] = []
    waiting = [b""]
    while waiting:
        here = waiting.pop()
        place = top + b"/" + here if here else top
        prefix = here + b"/" if here else b""
        folders.append(here)
        rows.append(_row(os.lstat(place), limit))
        with os.scandir(place) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(prefix + entry.name)
                else:
                    files.append((prefix + entry.name, entry))
    return folders, rows, files


def _take(
    files: Sequence[tuple[bytes, _Entry]], known: RememberedRun | None, limit: int
) -> tuple[list[_Read], int]:
    """Return every file as it is now, and how many had to be read for that."""
    remembered = known.by_path() if known is not None else {}
    taken: list[_Read | None] = [
        _recalled(entry, remembered.get(path), limit) for path, entry in files
    ]
    missing = [at for at, read in enumerate(taken) if read is None]
    parts = [missing[at : at + _AT_ONCE] for at in range(0, len(missing), _AT_ONCE)]

    def read_part(part: list[int]) -> list[_Read]:
        return [_read(*files[at], limit) for at in part]

    if len(parts) < _READERS:
        answers: Iterable[list[_Read]] = map(read_part, parts)
        found = [read for part in answers for read in part]
    else:
        with ThreadPoolExecutor(_READERS) as readers:
            found = [read for part in readers.map(read_part, parts) for read in part]
    for at, read in zip(missing, found, strict=True):
        taken[at] = read
    return [read for read in taken if read is not None], len(missing)


def _recalled(entry: _Entry, known: tuple[bytes, bytes, int] | None, limit: int) -> _Read | None:
    """Return what is remembered of a file, if its stat numbers are still the same; else None."""
    if known is None:
        return None
    status = entry.stat(follow_symlinks=False)
    row, digest, version = known
    size = status.st_size if stat.S_ISREG(status.st_mode) else 0
    return _Read(size, digest, version, row) if _row(status, limit) == row else None


def _read(path: bytes, entry: _Entry, limit: int) -> _Read:
    """Read one file.

    Its stat numbers are taken before its bytes, so that a write in between is seen next time.
    """
    if not entry.is_file(follow_symlinks=False):
        return _Read(0, _NOTHING, NO_VERSION, _row(entry.stat(follow_symlinks=False), limit))
    fd = os.open(entry.path, _FLAGS)
    try:
        status = os.fstat(fd)
        first = os.read(fd, min(status.st_size + 1, _CHUNK))
        hashed = hashlib.sha256(first)
        size = len(first)
        while size != status.st_size and (more := os.read(fd, _CHUNK)):
            hashed.update(more)
            size += len(more)
    finally:
        os.close(fd)
    return _Read(size, hashed.digest(), _version(path, first), _row(status, limit))


def _version(path: bytes, content: bytes) -> int:
    if not path.endswith((b".json", b".jsonl")) or not states_version(os.fsdecode(path)):
        return NO_VERSION
    found = version_in(content)
    return NO_VERSION if found is None else found


def _row(status: os.stat_result, limit: int) -> bytes:
    return _PACK(*stat_rows.row_of(status)) if status.st_ctime_ns < limit else DISTRUSTED


def _found(path: bytes, read: _Read) -> FoundArtifact:
    digest = "" if read.digest == _NOTHING else read.digest.hex()
    return FoundArtifact(
        os.fsdecode(path), read.size, digest, None if read.version == NO_VERSION else read.version
    )


def _unreadable(error: OSError) -> Refusal:
    place = os.fsdecode(error.filename) if error.filename is not None else "a run's folder"
    facts = {"place": place, "found": error.strerror or str(error)}
    return Refusal(Finding("EVIDENCE_UNREADABLE", facts))


def _distrusted(rows: bytes) -> bool:
    """Return whether some row must not be trusted.

    No inode is 0, so only its position is looked at.
    """
    numbers = array("Q")
    numbers.frombytes(rows)
    return 0 in numbers[:: len(stat_rows.GONE)]


def _rows_of(paths: list[bytes]) -> bytes:
    """Return the stat numbers of all paths.

    A second process takes half of many; where it fails, the result differs.
    """
    if len(paths) < _MANY:
        return stat_rows.rows(paths).tobytes()
    half = len(paths) // 2
    words = [sys.executable, "-I", "-S", str(Path(stat_rows.__file__))]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        if other.stdin is None or other.stdout is None:
            raise InternalError("expected two pipes to a process of ours, found none")
        other.stdin.write(b"\0".join(paths[half:]))
        other.stdin.close()
        own = stat_rows.rows(paths[:half]).tobytes()
        return own + other.stdout.read()
