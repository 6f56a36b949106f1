"""Compute the state of a ledger after a line: chain, tree, and runs without an end, in one pass.

A `LedgerState` is a fold: `extended` over the lines that follow gives the next one, so whoever
keeps one need not read the earlier lines. `format_state` stores it with the digest of the bytes
that it covers; a reader compares that digest first. Does not know files.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from factory.log.chain import Head
from factory.log.merkle import Growing, Peaks
from factory.model.events import (
    BranchAbandoned,
    BranchCreated,
    BranchPrepared,
    IntegrateFinished,
    IntegratePrepared,
    RunAbandoned,
    RunStarted,
)
from factory.model.evidence_text import EvidenceError
from factory.model.ledger_chain import Skimmed, followed
from factory.strict import canonical
from factory.strict.json import parse

STARTED, PREPARED = RunStarted.event_type, IntegratePrepared.event_type
FINISHED, ABANDONED = IntegrateFinished.event_type, RunAbandoned.event_type
KEPT_ROOTS = 64  # bounds the stored size, whatever the number of runs
MAX_STATE = 16 * 1024 * 1024  # bytes; it is parsed in memory
_HEX = re.compile("[0-9a-f]{64}")


class LineError(EvidenceError):
    """Report a line that does not follow; `line` is its number, from 1."""

    def __init__(self, line: int, what: str) -> None:
        super().__init__(what)
        self.line = line


@dataclass(frozen=True, slots=True)
class UnfinishedRun:
    """Name the events that started and prepared ("" if not yet) a run without an end."""

    started: str
    prepared: str = ""


@dataclass(frozen=True, slots=True)
class LedgerState:
    """Describe a ledger up to some line.

    `size` is in bytes; `first` is the id of the first event; `branching` are runs whose branch was
    prepared and is neither created nor abandoned. `before` maps the number of each event that
    finished a run to the tree before it, as far as `extended` has read it here, and `roots` to the
    root after it.
    """

    size: int = 0
    head: Head = field(default_factory=Head)
    first: str = ""
    tree: Peaks = field(default_factory=Peaks)
    begun: Mapping[str, UnfinishedRun] = field(default_factory=lambda: MappingProxyType({}))
    abandoned: frozenset[str] = frozenset()
    branching: frozenset[str] = frozenset()
    roots: Mapping[int, bytes] = field(default_factory=lambda: MappingProxyType({}))
    before: Mapping[int, Peaks] = field(default_factory=lambda: MappingProxyType({}))


def extended(state: LedgerState, lines: Iterable[bytes]) -> LedgerState:
    """Return the state after more lines (without their line feeds). Raise LineError."""
    size, first, skimmed = state.size, state.first, None
    tree = Growing(state.tree)
    runs = _Runs(dict(state.begun), set(state.abandoned), set(state.branching))
    roots, before = dict(state.roots), dict(state.before)
    taken: list[bytes] = []

    def noted() -> Iterable[bytes]:
        for line in lines:
            taken.append(line)
            yield line

    try:
        for skimmed in followed(state.head, noted()):
            line = taken.pop()
            size += len(line) + 1
            first = first or skimmed.event_id
            if skimmed.event_type == FINISHED:
                before[skimmed.seq] = tree.peaks()
            tree.append(line)
            if skimmed.event_type in _ENDS:
                runs.note(skimmed)
            if skimmed.event_type == FINISHED:
                roots[skimmed.seq] = tree.peaks().root
    except EvidenceError as error:
        raise LineError(tree.size + 1, str(error)) from error
    head = Head(skimmed.seq, skimmed.event_id) if skimmed is not None else state.head
    known = (MappingProxyType(runs.begun), frozenset(runs.abandoned), frozenset(runs.branching))
    return LedgerState(
        size, head, first, tree.peaks(), *known, MappingProxyType(roots), MappingProxyType(before)
    )


_BRANCH = MappingProxyType(
    {
        BranchPrepared.event_type: True,
        BranchCreated.event_type: False,
        BranchAbandoned.event_type: False,
    }
)
_ENDS = frozenset((STARTED, PREPARED, FINISHED, ABANDONED, *_BRANCH))


@dataclass(frozen=True, slots=True)
class _Runs:
    """Collect the runs of a state while it grows."""

    begun: dict[str, UnfinishedRun]
    abandoned: set[str]
    branching: set[str]

    def note(self, event: Skimmed) -> None:
        run = event.run_id
        if event.event_type in _BRANCH:
            (self.branching.add if _BRANCH[event.event_type] else self.branching.discard)(run)
        elif event.event_type == STARTED:
            self.begun[run] = UnfinishedRun(event.event_id)
        elif event.event_type == PREPARED and run in self.begun:
            self.begun[run] = UnfinishedRun(self.begun[run].started, event.event_id)
        elif event.event_type != PREPARED:
            self.begun.pop(run, None)
            if event.event_type == ABANDONED:
                self.abandoned.add(run)


def format_state(state: LedgerState, digest: str) -> bytes:
    """Return a state with the SHA-256 of the bytes it covers; only the last `KEPT_ROOTS` roots."""
    kept = sorted(state.roots)[-KEPT_ROOTS:]
    return canonical.encode(
        {
            "schema_version": 1,
            "sha256": digest,
            "size": state.size,
            "seq": state.head.seq,
            "event_id": state.head.event_id,
            "first": state.first,
            "peaks": [peak.hex() for peak in state.tree.peaks],
            "begun": {run: [one.started, one.prepared] for run, one in state.begun.items()},
            "abandoned": sorted(state.abandoned),
            "branching": sorted(state.branching),
            "roots": {str(size): state.roots[size].hex() for size in kept},
        }
    )


def parse_state(content: bytes) -> tuple[LedgerState, str]:
    """Return a state and its digest. Raise EvidenceError for anything not in its printed form."""
    try:
        value = parse(content, max_bytes=MAX_STATE)
        head = Head(int(value["seq"]), _hex(value["event_id"]))
        state = LedgerState(
            int(value["size"]),
            head,
            _hex(value["first"]),
            Peaks(head.seq, tuple(bytes.fromhex(_hex(peak)) for peak in value["peaks"])),
            MappingProxyType(
                {
                    str(run): UnfinishedRun(*map(str, events))
                    for run, events in value["begun"].items()
                }
            ),
            frozenset(map(str, value["abandoned"])),
            frozenset(map(str, value["branching"])),
            MappingProxyType(
                {int(size): bytes.fromhex(_hex(root)) for size, root in value["roots"].items()}
            ),
        )
        digest = _hex(value["sha256"])
        whole = len(state.tree.peaks) == head.seq.bit_count() and state.size > 0 < head.seq
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise EvidenceError("is no state of a ledger") from error
    if not whole or format_state(state, digest) != content:
        raise EvidenceError("is no state of a ledger")
    return state, digest


def _hex(text: object) -> str:
    if not isinstance(text, str) or _HEX.fullmatch(text) is None:
        raise EvidenceError("expected 64 hex digits")
    return text
