"""Find overlaps between bundles again, and check that a selection of packs is as large as possible.

Two packs overlap if they leave one path differently, if one leaves something at a path that is a
folder of the other's, or if two paths fold alike, or two folders in which they leave something; not
if one builds on the other, nor if both spellings were there before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, combinations, product

from factory.verify.names import folded
from factory.verify.trees import FOLDER, Path, TreeEntry, Trees, joined, parts

Pair = tuple[str, str]
Meeting = tuple[str, str, str, str]  # a pack and its path, another and its
Edits = Mapping[Path, TreeEntry | None]
EXACT_UP_TO = 20  # as the integrator's: the exact search is exponential


def overlapping(
    edits: Mapping[str, Edits], needs: Mapping[str, frozenset[str]], before: Iterable[Path] = ()
) -> dict[Pair, set[tuple[str, str]]]:
    """Return each overlapping pair of packs (in order) and their paths, the first pack's first.

    `before` are paths that changes show to have been there: two names that both were are two.
    """
    found: dict[Pair, set[tuple[str, str]]] = {}
    there = {path[:depth] for path in before for depth in range(1, len(path) + 1)}
    for one, path, two, other in chain(_met_at_paths(edits), _met_in_folders(edits)):
        if _were_two(parts(path), parts(other), there):
            continue
        if one != two and one not in needs[two] and two not in needs[one]:
            (first, a), (second, b) = sorted(((one, path), (two, other)))
            found.setdefault((first, second), set()).add((a, b))
    return found


def _were_two(path: Path, other: Path, there: set[Path]) -> bool:
    """Return True if the first names in which two paths differ fold alike and were both there."""
    for depth, (name, twin) in enumerate(zip(path, other, strict=False), 1):
        if name != twin:
            alike = folded(joined((name,))) == folded(joined((twin,)))
            return alike and path[:depth] in there and other[:depth] in there
    return False


def _met_at_paths(edits: Mapping[str, Edits]) -> Iterator[Meeting]:
    """Yield where two leave one path differently, or one's path is a folder of the other's."""
    places: dict[tuple[str, ...], list[tuple[str, Path, TreeEntry | None]]] = {}
    for pack in sorted(edits):
        for path, after in edits[pack].items():
            places.setdefault(tuple(folded(joined((name,))) for name in path), []).append(
                (pack, path, after)
            )
    for key, here in places.items():
        alike = len({(path, after) for _, path, after in here}) == 1
        for depth in range(1, len(key) + (not alike)):
            whole = depth == len(key)
            for one, path, after in places.get(key[:depth], ()):
                for two, other, left in here:
                    if (path, after) != (other, left) if whole else after is not None:
                        yield one, joined(path), two, joined(other)


def _met_in_folders(edits: Mapping[str, Edits]) -> Iterator[Meeting]:
    """Yield where two leave something in sibling folders that fold alike: the least path of
    each.
    """
    inside: dict[Path, dict[bytes, dict[str, str]]] = {}
    for pack, edited in edits.items():
        left = {joined(path): path for path, after in edited.items() if after is not None}
        for recorded in sorted(left, reverse=True):  # so that the least one stays
            for depth, name in enumerate(left[recorded][:-1]):
                inside.setdefault(left[recorded][:depth], {}).setdefault(name, {})[pack] = recorded
    for names in inside.values():
        for here, there in chain.from_iterable(combinations(group, 2) for group in _alike(names)):
            for (one, path), (two, other) in product(names[here].items(), names[there].items()):
                yield one, path, two, other


def _alike(names: Iterable[bytes]) -> list[list[bytes]]:
    """Return groups of those `names` that fold alike."""
    groups: dict[str, list[bytes]] = {}
    for name in names:
        groups.setdefault(folded(joined((name,))), []).append(name)
    return [group for group in groups.values() if len(group) > 1]


def grown_alike(trees: Trees, root: str, against: str) -> list[Path]:
    """Return paths of `root` that fold like a sibling and that `against` does not have. Raise
    Unknown.
    """
    found: list[Path] = []
    waiting: list[tuple[Path, str, str]] = [((), root, against)]
    while waiting:
        above, new, old = waiting.pop()
        if new == old:
            continue
        names, known = trees.entries(new), trees.entries(old)
        found += [(*above, name) for group in _alike(names) for name in group if name not in known]
        for name, entry in names.items():
            if entry.mode == FOLDER:
                was = known.get(name)
                below = was.oid if was is not None and was.mode == FOLDER else trees.empty
                waiting.append(((*above, name), entry.oid, below))
    return sorted(found)


def all_needs(direct: Mapping[str, Iterable[str]]) -> dict[str, frozenset[str]]:
    """Return everything that each pack builds on."""
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
    """Return packs so that each comes after what it builds on, level by level, otherwise by id."""
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
    """Return why `largest` is not a largest set without a conflict, one clause; "" if it is."""
    names, chosen = set(packs), set(largest)
    conflicts = {frozenset(pair) for pair in pairs}
    if not chosen <= names or len(largest) != len(chosen) or list(largest) != sorted(largest):
        return "expected known packs, each once, in order"
    if any(pair <= chosen for pair in conflicts) or any(
        not needs[pack] <= chosen for pack in chosen
    ):
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


def _most(
    group: list[str], conflicts: set[frozenset[str]], needs: Mapping[str, frozenset[str]]
) -> int:
    """Return how many packs of a group can go together."""
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
