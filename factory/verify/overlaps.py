"""Overlaps between bundles found again, and whether a selection of packs is as large as it can be.

Two packs overlap where they leave one path differently, where one leaves something at a path that is
a folder of the other's, or where two paths are one when folded; not where one builds on the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from factory.verify.names import folded
from factory.verify.trees import Entry, Path, joined

Pair = tuple[str, str]
Edits = Mapping[Path, Entry | None]
EXACT_UP_TO = 20


def overlapping(edits: Mapping[str, Edits], needs: Mapping[str, frozenset[str]]) -> dict[Pair, set[tuple[str, str]]]:
    """Each overlapping pair of packs (in order) and the paths they meet at, the first pack's first."""
    places: dict[tuple[str, ...], list[tuple[str, Path, Entry | None]]] = {}
    for pack in sorted(edits):
        for path, after in edits[pack].items():
            places.setdefault(tuple(folded(joined((name,))) for name in path), []).append((pack, path, after))
    found: dict[Pair, set[tuple[str, str]]] = {}
    for key, here in places.items():
        alike = len({(path, after) for _, path, after in here}) == 1
        for depth in range(1, len(key) + (not alike)):
            for one, path, after in places.get(key[:depth], ()):
                for two, other, left in here:
                    whole = depth == len(key)
                    if one == two or one in needs[two] or two in needs[one]:
                        continue
                    if (whole and (path, after) == (other, left)) or (not whole and after is None):
                        continue
                    (first, a), (second, b) = sorted(((one, joined(path)), (two, joined(other))))
                    found.setdefault((first, second), set()).add((a, b))
    return found


def all_needs(direct: Mapping[str, Iterable[str]]) -> dict[str, frozenset[str]]:
    """Everything each pack builds on."""
    found: dict[str, frozenset[str]] = {}
    for pack in direct:
        seen: set[str] = set()
        waiting = list(direct[pack])
        while waiting:
            need = waiting.pop()
            if need in direct and need not in seen:
                seen.add(need)
                waiting += direct[need]
        found[pack] = frozenset(seen)
    return found


def in_order(needs: Mapping[str, frozenset[str]]) -> tuple[str, ...]:
    """Packs so that each comes after what it builds on, level by level, otherwise by id."""
    done: dict[str, None] = {}
    left = set(needs)
    while left:
        ready = sorted(pack for pack in left if needs[pack] <= done.keys()) or sorted(left)
        done |= dict.fromkeys(ready)
        left -= set(ready)
    return tuple(done)


def selection_problem(
    packs: Iterable[str],
    pairs: Iterable[Pair],
    needs: Mapping[str, frozenset[str]],
    largest: tuple[str, ...],
    exact: bool,
) -> str:
    """Why `largest` is not a largest set without a conflict, one clause; empty where it is."""
    names, chosen = set(packs), set(largest)
    conflicts = {frozenset(pair) for pair in pairs}
    if not chosen <= names or len(largest) != len(chosen) or list(largest) != sorted(largest):
        return "expected known packs, each once, in order"
    if any(pair <= chosen for pair in conflicts) or any(not needs[pack] <= chosen for pack in chosen):
        return "expected no conflict in it and all that its packs build on"
    groups = _groups(names, conflicts, needs)
    if exact != all(len(group) <= EXACT_UP_TO for group in groups):
        return "expected it to be called exact only for small groups"
    if exact and len(chosen) != sum(_most(sorted(group), conflicts, needs) for group in groups):
        return "expected a larger set"
    return ""


def _groups(
    names: set[str], conflicts: set[frozenset[str]], needs: Mapping[str, frozenset[str]]
) -> list[frozenset[str]]:
    near = {name: set(needs[name]) for name in names}
    for pair in conflicts:
        one, two = sorted(pair)
        near[one].add(two)
    group = {name: frozenset({name}) for name in names}
    for name in sorted(names):
        for other in near[name] & names:
            joined_group = group[name] | group[other]
            for member in joined_group:
                group[member] = joined_group
    return list(set(group.values()))


def _most(group: list[str], conflicts: set[frozenset[str]], needs: Mapping[str, frozenset[str]]) -> int:
    """How many packs of a group can go together."""
    if not any(pair <= set(group) for pair in conflicts):
        return len(group)
    best = 0

    def go(at: int, taken: frozenset[str], left: int) -> None:
        nonlocal best
        if len(taken) + left <= best:
            return
        if at == len(group):
            if all(needs[name] <= taken for name in taken):
                best = len(taken)
            return
        if not any(frozenset((group[at], other)) in conflicts for other in taken):
            go(at + 1, taken | {group[at]}, left - 1)
        go(at + 1, taken, left - 1)

    go(0, frozenset(), len(group))
    return best
