"""Decide what may be removed, from facts about run folders. What has no proved copy stays.

Never removed: the ledger, the last run, a run that markers still name, a run that the ledger does
not know, a bundle or result of which there is no copy. Does not know how a proof was made.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from factory.model.event import RunState
from factory.model.events import CacheRemoved, RawRemoved, RunRemoved


class RemovalKind(enum.Enum):
    """Name what kind of thing is removed; its value is the event that records it."""

    RUN = RunRemoved.event_type
    RAW = RawRemoved.event_type
    CACHE = CacheRemoved.event_type


@dataclass(frozen=True, slots=True)
class Work:
    """Name work in a run's folder: a bundle, the merged result, or something unknown.

    `copy_at` says where a copy is, "" where none was found.
    """

    name: str
    copy_at: str


@dataclass(frozen=True, slots=True)
class RunOnDisk:
    """Describe one run folder. `exported` says where a complete copy is, "" where none is."""

    run_id: str
    state: RunState
    has_raw: bool
    works: tuple[Work, ...] = ()
    exported: str = ""


@dataclass(frozen=True, slots=True)
class Chosen:
    """Choose one thing to remove: why, and where a copy of its content can be found."""

    kind: RemovalKind
    run_id: str
    why: str
    where: str


@dataclass(frozen=True, slots=True)
class Stays:
    """Keep one old run, and say why."""

    run_id: str
    why: str


@dataclass(frozen=True, slots=True)
class Decision:
    """List what is removed, and what stays although it is old."""

    chosen: tuple[Chosen, ...]
    stays: tuple[Stays, ...]


def beyond(run_ids: Iterable[str], keep: int, protected: Collection[str]) -> tuple[str, ...]:
    """Return the runs (oldest first) that are not among the `keep` newest and not protected; none
    with `keep` 0.
    """
    ordered = tuple(run_ids)
    old = ordered[:-keep] if keep else ()
    return tuple(run_id for run_id in old if run_id not in protected)


def decide(
    folders: Iterable[RunOnDisk], old: Collection[str], protected: Collection[str]
) -> Decision:
    """Decide what may be removed of these run folders; `old` are the runs that nobody asked to
    keep.
    """
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
                Chosen(RemovalKind.RAW, folder.run_id, "raw logs of a run that was abandoned", "")
            )
    return Decision(tuple(chosen), tuple(stays))


def _judge_run(folder: RunOnDisk) -> Chosen | Stays:
    if folder.state not in (RunState.FINISHED, RunState.ABANDONED, RunState.REMOVED):
        return Stays(folder.run_id, f"the ledger says that it is {folder.state.value}")
    if folder.exported:
        return Chosen(RemovalKind.RUN, folder.run_id, "exported, every byte of it", folder.exported)
    alone = [work.name for work in folder.works if not work.copy_at]
    if alone:
        return Stays(folder.run_id, f"{', '.join(alone)} is in no other place")
    where = sorted({work.copy_at for work in folder.works})
    why = "everything it made has a copy" if where else "it made nothing"
    return Chosen(RemovalKind.RUN, folder.run_id, why, ", ".join(where))
