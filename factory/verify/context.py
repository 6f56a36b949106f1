"""Read what is known around a run's folder: the ledger, checkpoints, keys, policy, the repository.

Each may be absent, and then what needs it is not checkable. Reads files; decides nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import IO

from factory.verify import paths
from factory.verify.events import MOST_BYTES, Chain
from factory.verify.folder import MOST_READ, open_plain, read_plain
from factory.verify.form import FormError
from factory.verify.notes import Checkpoint, Key, read_checkpoint
from factory.verify.pins import Threshold
from factory.verify.repository import RepositoryObjects

_MOST_NOTE = 64 * 1024  # bytes of a checkpoint file


@dataclass(frozen=True, slots=True)
class Demand:
    """State the demanded signatures: "optional", "required" (any trusted key), "required-from" (a
    named one).
    """

    policy: str = "optional"
    keys: tuple[str, ...] = ()


OPTIONAL = Demand()


@dataclass(frozen=True, slots=True)
class WholeLedger:
    """Contain the whole ledger: its chain, the size of a torn last line, and why it could not be
    read.
    """

    chain: Chain
    torn: int
    unread: str = ""


@dataclass(frozen=True, slots=True)
class Context:
    """Contain everything that is known around the run.

    `others` are the checkpoints of other runs by name, `kept` those that the caller kept, by file;
    `unread` are the runs whose checkpoint cannot be read. `named` means that the folder's name must
    be the run's id, because it is among other runs. `ledger_due` means that the ledger must exist,
    because the run is in the repository that made it. `covered` is how many events of the ledger
    lie under a checkpoint that somebody vouches for; `lost` says how the ledger lacks lines that
    this user wrote into it. `now` is the verifier's clock in seconds, 0 where there is none;
    `thresholds` say how many keys must have signed a run, `cosignatures` are signatures that were
    added to it, by the names of their files. `due` are checkpoints that policy asks for, by place;
    None for one that is not there.
    """

    ledger: WholeLedger | None = None
    others: Mapping[str, Checkpoint] = field(default_factory=lambda: MappingProxyType({}))
    kept: Mapping[str, Checkpoint] = field(default_factory=lambda: MappingProxyType({}))
    unread: tuple[str, ...] = ()
    keys: tuple[Key, ...] = ()
    demand: Demand = OPTIONAL
    repository: RepositoryObjects | None = None
    named: bool = False
    ledger_due: bool = False
    covered: int = 0
    lost: str = ""
    now: float = 0.0
    thresholds: tuple[Threshold, ...] = ()
    cosignatures: Mapping[str, bytes] = field(default_factory=lambda: MappingProxyType({}))
    due: Mapping[str, Checkpoint | None] = field(default_factory=lambda: MappingProxyType({}))


def load_ledger(segments: Sequence[Path], sizes: Iterable[int]) -> WholeLedger | None:
    """Return the ledger that consists of these files in their order, with its roots at `sizes`;
    None if the first is not there.

    Only the last may end in a torn line.
    """
    chain = Chain(sizes)
    torn = 0
    for at, path in enumerate(segments):
        if torn:
            what = f"expected a line feed at the end of {segments[at - 1].name}, found a torn line"
            return WholeLedger(chain, 0, what)
        try:
            with open_plain(path) as stream:
                torn = _take_lines(stream, chain)
        except FileNotFoundError:
            if not at:
                return None
            return WholeLedger(chain, 0, f"expected the segment {path.name}, found none")
        except OSError as error:
            return WholeLedger(chain, 0, f"expected to read it, found: {error.strerror or error}")
    return WholeLedger(chain, torn)


def _take_lines(stream: IO[bytes], chain: Chain) -> int:
    """Give every line to the chain, keeping no more than an event's length in memory.

    Return the number of bytes after the last line feed.
    """
    while line := stream.readline(MOST_BYTES + 2):
        if line.endswith(b"\n"):
            chain.take(line[:-1])
            continue
        torn = len(line)
        while MOST_BYTES < torn < MOST_READ and (more := stream.readline(MOST_BYTES)):
            torn += len(more)
            if more.endswith(b"\n"):
                chain.take(line)  # too long for an event; the chain reports it
                break
        else:
            return torn
    return 0


def load_checkpoint(place: Path) -> Checkpoint:
    """Read a checkpoint file. Raise OSError, FormError."""
    return read_checkpoint(read_plain(place, _MOST_NOTE))


def load_checkpoints(runs: Path) -> tuple[dict[str, Checkpoint], tuple[str, ...]]:
    """Return the checkpoints of all runs in a folder, and the runs whose checkpoint cannot be
    read.
    """
    found: dict[str, Checkpoint] = {}
    unread = []
    for name in names_below(runs):
        try:
            found[name] = load_checkpoint(runs / name / paths.CHECKPOINT)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (OSError, FormError):
            unread.append(name)
    return found, tuple(unread)


def names_below(folder: Path) -> list[str]:
    """Return the names in a folder, in order; [] if it cannot be read."""
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []
