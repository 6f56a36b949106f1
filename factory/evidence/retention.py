"""What may go: a pure decision over facts about run folders. Whatever is not proved to be elsewhere
stays.

Never: the ledger, the last run, a run that markers still point at, a run that the ledger does not
know, a bundle or result that is in no other place. Does not know how a proof was made.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from factory.model.event import RunState
from factory.model.events import CacheRemoved, RawRemoved, RunRemoved


class Kind(enum.Enum):
    """What sort of thing is removed; its value is the event that records it."""

    RUN = RunRemoved.event_type
    RAW = RawRemoved.event_type
    CACHE = CacheRemoved.event_type


@dataclass(frozen=True, slots=True)
class Work:
    """Work in a run's folder: a bundle, the merged result, or something that nothing accounts for.

    `elsewhere` says where else it is, "" where that could not be shown.
    """

    name: str
    elsewhere: str


@dataclass(frozen=True, slots=True)
class RunOnDisk:
    """One run folder, oldest first in any sequence of them. `exported` says where a whole copy is,
    "" where none is.
    """

    run_id: str
    state: RunState
    has_raw: bool
    works: tuple[Work, ...] = ()
    exported: str = ""


@dataclass(frozen=True, slots=True)
class Chosen:
    """One thing to remove: why, and where what it held can be found."""

    kind: Kind
    run_id: str
    why: str
    where: str


@dataclass(frozen=True, slots=True)
class Stays:
    """One old run that stays, and what for."""

    run_id: str
    why: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What goes, what stays although it is old."""

    chosen: tuple[Chosen, ...]
    stays: tuple[Stays, ...]


def beyond(run_ids: Iterable[str], keep: int, protected: Collection[str]) -> tuple[str, ...]:
    """The runs (oldest first) that are not among the `keep` newest and not protected. `keep` 0:
    none is asked for.
    """
    ordered = tuple(run_ids)
    old = ordered[:-keep] if keep else ()
    return tuple(run_id for run_id in old if run_id not in protected)


def decide(
    folders: Iterable[RunOnDisk], old: Collection[str], protected: Collection[str]
) -> Decision:
    """What may go of these run folders; `old` are the runs that nobody asked to keep."""
    chosen: list[Chosen] = []
    stays: list[Stays] = []
    for folder in folders:
        if folder.run_id in old:
            judged = _judge_run(folder)
            if isinstance(judged, Chosen):
                chosen.append(judged)
                continue
            stays.append(judged)
        if folder.state is RunState.ABANDONED and folder.has_raw and folder.run_id not in protected:
            chosen.append(
                Chosen(Kind.RAW, folder.run_id, "raw logs of a run that was abandoned", "")
            )
    return Decision(tuple(chosen), tuple(stays))


def _judge_run(folder: RunOnDisk) -> Chosen | Stays:
    if folder.state not in (RunState.FINISHED, RunState.ABANDONED, RunState.REMOVED):
        return Stays(folder.run_id, f"the ledger says that it is {folder.state.value}")
    if folder.exported:
        return Chosen(Kind.RUN, folder.run_id, "exported, every byte of it", folder.exported)
    alone = [work.name for work in folder.works if not work.elsewhere]
    if alone:
        return Stays(folder.run_id, f"{', '.join(alone)} is in no other place")
    where = sorted({work.elsewhere for work in folder.works})
    why = "everything it made is elsewhere" if where else "it made nothing"
    return Chosen(Kind.RUN, folder.run_id, why, ", ".join(where))
