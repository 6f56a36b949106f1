"""What is known beside a run's own folder: the whole ledger, other checkpoints, keys, policy, the
repository.

Each may be absent, and then what needs it is not checkable. Reads files; decides nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import IO

from factory.verify.elsewhere import Elsewhere
from factory.verify.events import MOST_BYTES, Chain
from factory.verify.folder import MOST_READ, open_plain, read_plain
from factory.verify.form import FormError
from factory.verify.notes import Checkpoint, Key, read_checkpoint

LEDGER = "ledger.jsonl"
CHECKPOINT = "attestations/checkpoint"
_MOST_NOTE = 64 * 1024


@dataclass(frozen=True, slots=True)
class Demand:
    """What signatures are asked for: "optional", "required" (from a trusted key), "required-from"
    (one named).
    """

    policy: str = "optional"
    keys: tuple[str, ...] = ()


OPTIONAL = Demand()


@dataclass(frozen=True, slots=True)
class Ledger:
    """The whole ledger, read once: its chain, the bytes after the last line feed, and why it could
    not be read.
    """

    chain: Chain
    torn: int
    unread: str = ""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Everything beside the run.

    `others` are the checkpoints of other runs by name, `kept` those that who asks kept themselves,
    by file; `unread` are the runs whose checkpoint cannot be read; `named` says that the folder's
    name has to be the run's id: so where it lies among other runs. `ledger_due` says that the
    ledger has to be there: so where the run lies in the repository that made it.
    """

    ledger: Ledger | None = None
    others: Mapping[str, Checkpoint] = field(default_factory=lambda: MappingProxyType({}))
    kept: Mapping[str, Checkpoint] = field(default_factory=lambda: MappingProxyType({}))
    unread: tuple[str, ...] = ()
    keys: tuple[Key, ...] = ()
    demand: Demand = OPTIONAL
    elsewhere: Elsewhere | None = None
    named: bool = False
    ledger_due: bool = False


def load_ledger(path: Path, sizes: Iterable[int]) -> Ledger | None:
    """The ledger of a state folder, with its roots at `sizes`; None where there is none."""
    chain = Chain(sizes)
    try:
        with open_plain(path) as stream:
            return Ledger(chain, _take_lines(stream, chain))
    except FileNotFoundError:
        return None
    except OSError as error:
        return Ledger(chain, 0, f"expected to read it, found: {error.strerror or error}")


def _take_lines(stream: IO[bytes], chain: Chain) -> int:
    """Every line to the chain, none held longer than an event may be; the bytes after the last line
    feed.
    """
    while line := stream.readline(MOST_BYTES + 2):
        if line.endswith(b"\n"):
            chain.take(line[:-1])
            continue
        torn = len(line)
        while MOST_BYTES < torn < MOST_READ and (more := stream.readline(MOST_BYTES)):
            torn += len(more)
            if more.endswith(b"\n"):
                chain.take(line)  # too long for an event: told as that
                break
        else:
            return torn
    return 0


def load_checkpoint(place: Path) -> Checkpoint:
    """A checkpoint file. Raises OSError, FormError."""
    return read_checkpoint(read_plain(place, _MOST_NOTE))


def load_checkpoints(runs: Path) -> tuple[dict[str, Checkpoint], tuple[str, ...]]:
    """The checkpoints of all runs in a folder, and the runs whose checkpoint cannot be read."""
    found: dict[str, Checkpoint] = {}
    unread = []
    for name in names_below(runs):
        try:
            found[name] = load_checkpoint(runs / name / CHECKPOINT)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (OSError, FormError):
            unread.append(name)
    return found, tuple(unread)


def names_below(folder: Path) -> list[str]:
    """The names in a folder, in order; none where it cannot be read."""
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []
