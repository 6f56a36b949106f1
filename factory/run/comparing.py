"""Compare a change line by line: in a process of its own and in bounded time, where there is much
to compare.

Rule: what is small is asked of the process that all packs share; nobody waits there for what is
large. Decides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from factory.git.ports import Objects
from factory.judge.effort import Effort

LineCounts: TypeAlias = Mapping[str, tuple[int, int] | None]
"""Lines added and removed by path; None for binary."""
LEAST_SECONDS, MOST_SECONDS = 30.0, 300.0


@dataclass(frozen=True, slots=True)
class Compared:
    """Contain the two forms of a change that compare lines."""

    lines: LineCounts
    patch: bytes


def seconds_for(timeout: int) -> float:
    """Return how long a comparison may take: as long as its pack may, within bounds that apply to
    all.
    """
    return min(MOST_SECONDS, max(LEAST_SECONDS, float(timeout)))


def compared(
    objects: Objects, effort: Effort, before: str, after: str, seconds: float
) -> Compared | None:
    """Two stored trees compared; None where that takes so little that whoever needs it asks. Raises
    Overdue.
    """
    if not effort.large:
        return None
    return Compared(objects.numstat(before, after, seconds), objects.patch(before, after, seconds))


def line_counts(objects: Objects, effort: Effort, before: str, after: str) -> LineCounts:
    """Lines added and removed between two stored trees, by path. Raises Overdue."""
    return objects.numstat(before, after, MOST_SECONDS if effort.large else 0.0)
