"""Check packs against each other: ids are unique, dependencies exist, nothing depends on itself.

Pure; packs that could not be read take part by their id alone.
"""

from __future__ import annotations

import graphlib
from collections.abc import Iterable, Iterator

from factory.model.finding import Finding
from factory.model.findings.entry import Facts
from factory.model.pack import TaskPack
from factory.model.wording import nearest


def judge_packs(packs: Iterable[TaskPack], unread: Iterable[str] = ()) -> tuple[Finding, ...]:
    """Return findings about the set. `unread` are ids of packs that exist and have their own
    findings.
    """
    ordered = sorted(packs, key=lambda pack: (pack.id, pack.folder))
    known = frozenset(unread) | {pack.id for pack in ordered}
    return (*_duplicates(ordered), *_unknown(ordered, known), *_cycles(ordered))


def _duplicates(packs: list[TaskPack]) -> Iterator[Finding]:
    first: dict[str, TaskPack] = {}
    for pack in packs:
        other = first.setdefault(pack.id, pack)
        if other is not pack:
            facts = {"id": pack.id, "folder": other.folder}
            yield Finding("PACK_DUPLICATE_ID", facts, pack=pack.id, location=pack.place("/id"))


def _unknown(packs: list[TaskPack], known: frozenset[str]) -> Iterator[Finding]:
    for pack in packs:
        for index, needed in enumerate(pack.depends_on):
            if needed not in known:
                meant = nearest(needed, known - {pack.id})
                facts = {"case": "far", "need": needed}
                if meant:
                    facts = {"case": "near", "need": needed, "meant": meant}
                place = pack.place(f"/depends_on/{index}")
                yield Finding("DEPENDS_UNKNOWN", facts, pack=pack.id, location=place)


def _cycles(packs: list[TaskPack]) -> Iterator[Finding]:
    """Yield one finding for a circle; circles that share a pack with a named one are left out."""
    by_id = {pack.id: pack for pack in reversed(packs)}
    needs: dict[str, list[str]] = {name: [] for name in by_id}
    for pack in packs:
        needs[pack.id] += [needed for needed in pack.depends_on if needed in by_id]
    while True:
        try:
            graphlib.TopologicalSorter(needs).prepare()
        except graphlib.CycleError as error:
            circle = _turned(error.args[1][:-1][::-1])
            first = by_id[circle[0]]
            facts: Facts = {
                "circle": " -> ".join([*circle, circle[0]]),
                "packs": tuple(circle),
            }
            place = first.place("/depends_on")
            yield Finding("DEPENDS_CYCLE", facts, pack=first.id, location=place)
            needs = {name: [] if name in circle else wanted for name, wanted in needs.items()}
        else:
            return


def _turned(circle: list[str]) -> list[str]:
    """Return the same circle, its smallest id first."""
    start = circle.index(min(circle))
    return circle[start:] + circle[:start]
