"""Define an event of the ledger: its members, and the rule of its order. The table is
`model.events`.

Does not know any type of event, lines or files.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType, NoneType
from typing import Annotated, ClassVar, dataclass_transform, get_args, get_type_hints


class RunState(enum.Enum):
    """Name the state of a run. `UNKNOWN` is before its first event."""

    UNKNOWN = "unknown"
    OPEN = "open"
    PREPARED = "prepared"
    FINISHED = "finished"
    ABANDONED = "abandoned"
    REMOVED = "removed"


class RunProgress(enum.Enum):
    """Name the progress of a run. Stages may be skipped, but never come again."""

    BEGUN = "begun"
    CHECKED = "past preflight"
    AT_PACKS = "at its packs"
    COLLECTED = "with its bundles collected"
    MERGED = "merged"
    CLOSED = "closed"


class PackState(enum.Enum):
    """Name the state of a pack within one run. `ABSENT` is before its first event."""

    ABSENT = "absent"
    REFUSED = "refused"
    STARTED = "started"
    STEPPED = "at its steps"
    CHECKED = "at its checks"
    TRIED = "tried"
    FINISHED = "finished"
    ABANDONED = "abandoned"
    VALIDATED = "validated"
    COPIED = "copied"


@dataclass(frozen=True, slots=True)
class Rule:
    """State what one type of event requires and does. None as `run_to`, `stage_to` or `pack_to`
    leaves that state unchanged.

    `run_from` empty: the event belongs to the ledger itself and names no run. `pack_from` empty: it
    concerns no pack.
    """

    run_from: frozenset[RunState] = frozenset()
    run_to: RunState | None = None
    pack_from: frozenset[PackState] = frozenset()
    pack_to: PackState | None = None
    stages: frozenset[RunProgress] = frozenset(RunProgress)
    stage_to: RunProgress | None = None


def runs(*states: RunState) -> frozenset[RunState]:
    """Return these states of a run."""
    return frozenset(states)


def packs(*states: PackState) -> frozenset[PackState]:
    """Return these states of a pack."""
    return frozenset(states)


def upto(last: RunProgress) -> frozenset[RunProgress]:
    """Return the stages up to this one."""
    stages = tuple(RunProgress)
    return frozenset(stages[: stages.index(last) + 1])


def work(pack_from: frozenset[PackState], pack_to: PackState) -> Rule:
    """Return the rule of an event of a pack that runs: no bundle was collected yet."""
    return Rule(AT_WORK, None, pack_from, pack_to, upto(RunProgress.AT_PACKS), RunProgress.AT_PACKS)


NO_RUN = Rule()
# A worker may be at its last word while another thread records that the run was interrupted.
AT_WORK = runs(RunState.OPEN, RunState.ABANDONED)
ANY_KNOWN = runs(RunState.OPEN, RunState.PREPARED, RunState.FINISHED, RunState.ABANDONED)
UNTRIED = packs(PackState.ABSENT, PackState.REFUSED)
BETWEEN = packs(PackState.STARTED, PackState.TRIED)
TRYING = BETWEEN | packs(PackState.STEPPED, PackState.CHECKED)
WITH_BUNDLE = packs(PackState.FINISHED, PackState.VALIDATED, PackState.COPIED)
READY = packs(PackState.VALIDATED, PackState.COPIED)


class LineMapping(enum.Enum):
    """Name the three small mappings of a line."""

    HASHES = "hashes"
    COUNTS = "file_counts"
    DETAILS = "details"


@dataclass(frozen=True, slots=True)
class Named:
    """Name a member in the line, if that is another name than in the class."""

    name: str


Hash = Annotated[str, LineMapping.HASHES]  # SHA-256 or Git id; "" where there is nothing to name
Count = Annotated[int, LineMapping.COUNTS]
Text = Annotated[str, LineMapping.DETAILS]
Number = Annotated[int, LineMapping.DETAILS]  # written as a text


@dataclass(frozen=True, slots=True)
class Entry:
    """Describe what is recorded of an event; the chain adds its position. Numbers are whole.

    `ts_utc` is set if the entry is recorded later than it happened; empty means the time of
    recording. `after`, if it is not 0, says that the parent is so many events before this one in
    the same write, since no event has an id before it is written. Made by `Event.entry`, and by
    tests.
    """

    event_type: str
    run_id: str = ""
    parent: str = ""
    actor: str = "pipeline"
    duration_ms: int = 0
    file_counts: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    hashes: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    rc: int = 0
    details: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    ts_utc: str = ""
    after: int = 0


@dataclass(frozen=True, slots=True)
class Members:
    """List the members of one type of event, as (name in the line, always present)."""

    hashes: tuple[tuple[str, bool], ...]
    file_counts: tuple[tuple[str, bool], ...]
    details: tuple[tuple[str, bool], ...]


@dataclass_transform(kw_only_default=True, frozen_default=True)
class _Typed:
    """Define a class whose members are its annotations, all by keyword.

    Type checkers treat it as a dataclass. `dataclass` itself would generate the code of each class
    anew, which costs every start 15 ms for all of them.
    """

    def __init__(self, **said: str | int | None) -> None:
        known = self.known()
        if said.keys() - known.keys():
            raise TypeError(f"{self.__class__.__name__} has no {', '.join(said.keys() - known)}")
        for name, default in known.items():
            value = said.get(name, default)
            if value is _MISSING:
                raise TypeError(f"{self.__class__.__name__} needs {name}")
            self.__dict__[name] = value

    @classmethod
    def known(cls) -> Mapping[str, object]:
        """Return every member that it is made with, and its default."""
        raise NotImplementedError

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{name} of an event is never set anew")


_EVENTS: dict[str, type[Event]] = {}


class Event(_Typed):
    """Define an event of the ledger: its `event_type` in the line, and the `rule` of its order.

    docs/factory/LEDGER.md prints the docstring of each class.
    """

    event_type: ClassVar[str]
    rule: ClassVar[Rule]

    rc: int = 0
    duration_ms: int = 0
    actor: str = "pipeline"

    def __init_subclass__(cls, *, event_type: str = "", rule: Rule = NO_RUN) -> None:
        cls.event_type, cls.rule = event_type, rule
        if event_type:  # else what several types have in common
            _EVENTS[event_type] = cls

    @classmethod
    def known(cls) -> Mapping[str, object]:
        """Return every member that it is made with, and its default."""
        return _known(cls.event_type)

    @classmethod
    def members(cls) -> Members:
        """Return the members of this type of event."""
        rows = _members(cls.event_type)

        def of(part: LineMapping) -> tuple[tuple[str, bool], ...]:
            return tuple(sorted((name, always) for _, name, where, always in rows if where is part))

        return Members(of(LineMapping.HASHES), of(LineMapping.COUNTS), of(LineMapping.DETAILS))

    def entry(self, run_id: str = "", parent: str = "", ts_utc: str = "") -> Entry:
        """Return what is recorded of it; a member that is None is left out."""
        parts: dict[LineMapping, dict[str, str]] = {part: {} for part in LineMapping}
        for attribute, name, part, _ in _members(self.event_type):
            value = getattr(self, attribute)
            if value is not None:
                parts[part][name] = str(value)
        return Entry(
            self.event_type,
            run_id,
            parent,
            self.actor,
            self.duration_ms,
            MappingProxyType(
                {name: int(count) for name, count in parts[LineMapping.COUNTS].items()}
            ),
            MappingProxyType(parts[LineMapping.HASHES]),
            self.rc,
            MappingProxyType(parts[LineMapping.DETAILS]),
            ts_utc,
        )


def registered() -> dict[str, type[Event]]:
    """Return every type of event that was defined so far, by its name in the line."""
    return dict(_EVENTS)


@cache
def _members(event_type: str) -> tuple[tuple[str, str, LineMapping, bool], ...]:
    """Return (attribute, name in the line, part, whether it is always there) of each own member."""
    rows = []
    for attribute, hint in get_type_hints(_EVENTS[event_type], include_extras=True).items():
        always = NoneType not in get_args(hint)
        notes = get_args(hint if always else get_args(hint)[0])[1:]
        part = next((note for note in notes if isinstance(note, LineMapping)), None)
        if part is not None:
            name = next((note.name for note in notes if isinstance(note, Named)), attribute)
            rows.append((attribute, name, part, always))
    return tuple(rows)


@cache
def _known(event_type: str) -> Mapping[str, object]:
    names = ("rc", "duration_ms", "actor", *(attribute for attribute, *_ in _members(event_type)))
    event = _EVENTS[event_type]
    return MappingProxyType({name: getattr(event, name, _MISSING) for name in names})


_MISSING = object()
