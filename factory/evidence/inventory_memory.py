"""Keep the memory of one surveyed run as one file: a seal of what follows, sizes, then flat
columns.

A cache: what is damaged, of another form or of another machine's byte order, or not sealed by this
user, counts as absent, and costs time only. Does not know which of it may be trusted.
"""

from __future__ import annotations

import hashlib
import json
import sys
from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from factory.files import fs_guard
from factory.files.seals import UserSeal
from factory.model.layout import SURVEYS

DIGEST = 32
ROW = 24  # three unsigned numbers of 64 bits
DISTRUSTED = bytes(ROW)
NO_VERSION = -1
_FORM = f"1 {sys.byteorder}"


@dataclass(frozen=True, slots=True)
class RememberedRun:
    """List folders, then files, as paths below the run's folder; one row of stat numbers for each,
    a digest and a version for each file.

    `rows` are `ROW` bytes each, all zeros where the numbers must not be trusted; `digests` are
    `DIGEST` bytes each, all zeros for no plain file; a version is `NO_VERSION` where a file states
    none.
    """

    folders: tuple[bytes, ...]
    files: tuple[bytes, ...]
    rows: bytes
    digests: bytes
    versions: tuple[int, ...]

    def by_path(self) -> Mapping[bytes, tuple[bytes, bytes, int]]:
        """Return row, digest and version of each file whose row may be trusted."""
        start = len(self.folders) * ROW
        rows = [self.rows[at : at + ROW] for at in range(start, len(self.rows), ROW)]
        digests = [self.digests[at : at + DIGEST] for at in range(0, len(self.digests), DIGEST)]
        columns = zip(self.files, rows, digests, self.versions, strict=True)
        return MappingProxyType(
            {
                path: (row, digest, version)
                for path, row, digest, version in columns
                if row != DISTRUSTED
            }
        )


def load(place: Path, seal: UserSeal) -> RememberedRun | None:
    """Return what was stored under this seal; None for anything else."""
    try:
        content = place.read_bytes()
    except OSError:
        return None
    head, _, rest = content.partition(b"\n")
    digest = hashlib.sha256(rest).hexdigest()
    if not seal.fits(head.decode("ascii", "replace"), f"{SURVEYS}/{place.name}", digest):
        return None
    sizes, _, columns = rest.partition(b"\n")
    described = json.loads(sizes)
    return _parsed(described, columns) if described.get("form") == _FORM else None


def _parsed(sizes: Mapping[str, int], columns: bytes) -> RememberedRun:
    folders, files = sizes["folders"], sizes["files"]
    after_paths = sizes["paths"]
    after_rows = after_paths + (folders + files) * ROW
    after_digests = after_rows + files * DIGEST
    paths = tuple(columns[:after_paths].split(b"\0"))
    versions = array("q")
    versions.frombytes(columns[after_digests:])
    return RememberedRun(
        paths[:folders],
        paths[folders:],
        columns[after_paths:after_rows],
        columns[after_rows:after_digests],
        tuple(versions),
    )


def store(place: Path, memory: RememberedRun, seal: UserSeal) -> None:
    """Write the memory of a run, sealed. Not durable. Raise Refusal DISK_UNWRITABLE."""
    paths = b"\0".join((*memory.folders, *memory.files))
    sizes = {
        "form": _FORM,
        "folders": len(memory.folders),
        "files": len(memory.files),
        "paths": len(paths),
    }
    columns = paths + memory.rows + memory.digests + array("q", memory.versions).tobytes()
    rest = json.dumps(sizes).encode("ascii") + b"\n" + columns
    head = seal(f"{SURVEYS}/{place.name}", hashlib.sha256(rest).hexdigest()).encode("ascii")
    fs_guard.write_atomic(place, head + b"\n" + rest, durable=False)
