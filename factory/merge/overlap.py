"""Find overlaps between packs, the largest set that integrates, and the smallest that does not.

Paths overlap if they are equal, if one is a folder of the other, if they fold alike, or if packs
write into folders that fold alike but are spelled differently; not if both spellings were there
before. Linear in the number of paths. Does
not read bundles and does not merge.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations, product

from factory.judge.path_guard import fold, fold_all
from factory.model.tree import Leaf

EXACT_UP_TO = 20  # the exact search is exponential: at most 2^20 sets


@dataclass(frozen=True, slots=True)
class Touch:
    """Describe one pack's change to one path: the entry afterwards (None: removed), and whether
    there was one before.
    """

    path: str
    after: Leaf | None
    existed: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True, order=True)
class Overlap:
    """Name two packs (in id order) that change one place, by the first pair of paths found."""

    first: str
    second: str
    path: str
    other_path: str


def find_overlaps(
    touches: Mapping[str, Iterable[Touch]], stacked: frozenset[tuple[str, str]] = frozenset()
) -> tuple[Overlap, ...]:
    """Return every overlapping pair, once, with its first path in order.

    `stacked` contains (pack, dependency) pairs, transitively: those may build on one another.
    Identical changes do not overlap.
    """
    listed = {pack: tuple(touches[pack]) for pack in sorted(touches)}
    folded = {pack: fold_all([touch.path for touch in listed[pack]]) for pack in listed}
    pairs: dict[tuple[str, str], Overlap] = {}
    folders = _folders(listed.values())
    suspects = _suspects(folded.values(), set(folders.values()))
    twins = len(set(folders.values())) < len(folders)
    known = _Before(listed.values()) if suspects or twins else None
    if known is not None:
        _pair_paths(listed, folded, suspects, stacked, known, pairs)
    if known is not None and twins:
        _pair_folders(listed, folders, stacked, known, pairs)
    return tuple(sorted(pairs.values()))


class _Before:
    """Answer whether two names were two before: files and folders that the changes show to have
    been there.
    """

    def __init__(self, listed: Iterable[tuple[Touch, ...]]) -> None:
        self._there: set[str] = set()
        for path in {touch.path for touches in listed for touch in touches if touch.existed}:
            self._there.update((path, *_parents(path)))

    def apart(self, path: str, other: str) -> bool:
        """Return True if the first names in which two paths differ are only folded alike, and both
        were there before.
        """
        names, others = path.split("/"), other.split("/")
        for depth, (one, two) in enumerate(zip(names, others, strict=False), 1):
            if one != two:
                both = {"/".join(names[:depth]), "/".join(others[:depth])}
                return fold(one) == fold(two) and both <= self._there
        return False


def _folders(listed: Iterable[tuple[Touch, ...]]) -> dict[str, str]:
    """Return every folder that contains a path, as it is spelled, with its folded form."""
    direct = {touch.path.rpartition("/")[0] for touches in listed for touch in touches}
    spelled = list(direct.union(*(_parents(folder) for folder in direct)))
    return dict(zip(spelled, fold_all(spelled), strict=True))


def _pair_paths(
    listed: Mapping[str, tuple[Touch, ...]],
    folded: Mapping[str, list[str]],
    suspects: set[str],
    stacked: frozenset[tuple[str, str]],
    known: _Before,
    pairs: dict[tuple[str, str], Overlap],
) -> None:
    """Add pairs that change one path, or in which one's path is a folder of the other's."""
    if not suspects:
        return
    owners: dict[str, list[tuple[str, Touch]]] = {}
    for pack, keys in folded.items():
        for key, touch in zip(keys, listed[pack], strict=True):
            if key in suspects:
                owners.setdefault(key, []).append((pack, touch))
    for key in sorted(owners):
        for above in (key, *_parents(key)):
            if above in owners:
                _pair_up(owners[above], owners[key], above == key, stacked, known, pairs)


def _pair_folders(
    listed: Mapping[str, tuple[Touch, ...]],
    folders: Mapping[str, str],
    stacked: frozenset[tuple[str, str]],
    known: _Before,
    pairs: dict[tuple[str, str], Overlap],
) -> None:
    """Add pairs that write into sibling folders whose names differ only in case or Unicode form.

    Each pair is named by the first path of each pack there. Only folders with the very same parent
    are compared: if the parent is spelled differently too, the packs already meet there.
    """
    for group in _sibling_groups(listed, folders):
        for one, other in combinations(sorted(group.items()), 2):
            if known.apart(one[0], other[0]):
                continue
            for (pack, path), (beside, other_path) in product(one[1].items(), other[1].items()):
                if (
                    pack != beside
                    and (pack, beside) not in stacked
                    and (beside, pack) not in stacked
                ):
                    (lower, at), (upper, near) = sorted(((pack, path), (beside, other_path)))
                    pairs.setdefault((lower, upper), Overlap(lower, upper, at, near))


def _sibling_groups(
    listed: Mapping[str, tuple[Touch, ...]], folders: Mapping[str, str]
) -> Iterator[Mapping[str, Mapping[str, str]]]:
    """Yield groups of sibling folders that fold alike: folder to {pack: first path it writes
    there}.
    """
    twins: dict[tuple[str, str], dict[str, dict[str, str]]] = {}
    for pack, touches in listed.items():
        first: dict[str, str] = {}
        for touch in touches:
            if touch.after is not None:
                folder = touch.path.rpartition("/")[0]
                first[folder] = min(touch.path, first.get(folder, touch.path))
        for folder, path in first.items():
            for spelling in filter(None, (*_parents(folder), folder)):
                group = twins.setdefault((spelling.rpartition("/")[0], folders[spelling]), {})
                packs = group.setdefault(spelling, {})
                packs[pack] = min(path, packs.get(pack, path))
    for place in sorted(place for place, group in twins.items() if len(group) > 1):
        yield twins[place]


def _suspects(folded: Collection[list[str]], folders: set[str]) -> set[str]:
    """Return folded paths that can be part of an overlap: of two packs, a folder of another, or
    below one.

    `folders` are the folded folders of all paths. Works on whole sets, since mostly none of very
    many paths overlaps.
    """
    seen: set[str] = set()
    total = 0
    for keys in folded:
        own = set(keys)
        total += len(own)
        seen |= own
    found: set[str] = set()
    if len(seen) < total:
        met: set[str] = set()
        for keys in folded:
            own = set(keys)
            found |= met & own
            met |= own
    above = seen & folders
    if above:
        found |= above
        found |= {key for key in seen if not above.isdisjoint(_parents(key))}
    return found


def _parents(path: str) -> list[str]:
    segments = path.split("/")
    return ["/".join(segments[:depth]) for depth in range(1, len(segments))]


def _pair_up(
    above: list[tuple[str, Touch]],
    below: list[tuple[str, Touch]],
    same: bool,
    stacked: frozenset[tuple[str, str]],
    known: _Before,
    pairs: dict[tuple[str, str], Overlap],
) -> None:
    for pack, touch in above:
        for other, other_touch in below:
            if pack == other or (pack, other) in stacked or (other, pack) in stacked:
                continue
            if same and pack > other:
                continue
            if touch == other_touch or known.apart(touch.path, other_touch.path):
                continue
            if not same and touch.after is None:
                # one removed a file and the other writes below its place: they share no entry
                continue
            (one, path), (two, other_path) = sorted(((pack, touch.path), (other, other_touch.path)))
            pairs.setdefault((one, two), Overlap(one, two, path, other_path))


@dataclass(frozen=True, slots=True)
class Selection:
    """Name the largest set of packs without a conflict and the smallest with one; `exact`: not
    greedy.
    """

    largest: tuple[str, ...]
    smallest_conflict: tuple[str, ...]
    exact: bool


def select(
    packs: Iterable[str], conflicts: Iterable[tuple[str, str]], needs: Mapping[str, frozenset[str]]
) -> Selection:
    """Choose from `packs`; `needs` maps a pack to everything it depends on, transitively.

    Exact for conflict groups of up to EXACT_UP_TO packs, greedy beyond. Ties go to the set that
    comes first in order, so that the answer is a function of the input alone.
    """
    names = sorted(packs)
    pairs = sorted({(min(one, two), max(one, two)) for one, two in conflicts})
    enemies: dict[str, set[str]] = {name: set() for name in names}
    for one, two in pairs:
        enemies[one].add(two)
        enemies[two].add(one)
    chosen: set[str] = set()
    exact = True
    for group in _groups(names, enemies, needs):
        fits = len(group) <= EXACT_UP_TO
        exact = exact and fits
        chosen |= _exact(group, enemies, needs) if fits else _greedy(group, enemies, needs)
    return Selection(tuple(sorted(chosen)), pairs[0] if pairs else (), exact)


def _groups(
    names: list[str], enemies: Mapping[str, set[str]], needs: Mapping[str, frozenset[str]]
) -> list[list[str]]:
    """Return connected groups over conflict and dependency edges."""
    near: dict[str, set[str]] = {name: set(enemies[name]) for name in names}
    for name in names:
        for needed in needs.get(name, frozenset()):
            if needed in near:
                near[name].add(needed)
                near[needed].add(name)
    groups: list[list[str]] = []
    seen: set[str] = set()
    for name in names:
        if name in seen:
            continue
        group, rest = set[str](), [name]
        while rest:
            here = rest.pop()
            if here not in group:
                group.add(here)
                rest.extend(near[here])
        seen |= group
        groups.append(sorted(group))
    return groups


def _exact(
    group: list[str], enemies: Mapping[str, set[str]], needs: Mapping[str, frozenset[str]]
) -> set[str]:
    best: tuple[str, ...] = ()
    members = frozenset(group)

    def search(position: int, taken: tuple[str, ...], banned: frozenset[str]) -> None:
        nonlocal best
        if len(taken) + len(group) - position <= len(best):
            return
        if position == len(group):
            held = frozenset(taken)
            if all(needs.get(name, frozenset()) & members <= held for name in taken):
                best = taken
            return
        name = group[position]
        if name not in banned:
            search(position + 1, (*taken, name), banned | enemies[name])
        search(position + 1, taken, banned)

    search(0, (), frozenset())
    return set(best)


def _greedy(
    group: list[str], enemies: Mapping[str, set[str]], needs: Mapping[str, frozenset[str]]
) -> set[str]:
    """Choose packs with the fewest conflicts first, each with all it needs, or not at all.

    The conflicts of what a pack needs count as its own.
    """
    members = frozenset(group)
    wanted = {name: {name} | (needs.get(name, frozenset()) & members) for name in group}
    foes = {name: set().union(*(enemies[member] for member in wanted[name])) for name in group}
    taken: set[str] = set()
    for name in sorted(group, key=lambda name: (len(foes[name]), name)):
        if not (foes[name] & (taken | wanted[name])):
            taken |= wanted[name]
    return taken
