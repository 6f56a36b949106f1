"""Overlap and selection against brute force over small worlds."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.judge.path_guard import fold
from factory.merge.overlap import EXACT_UP_TO, Overlap, Touch, find_overlaps, select
from factory.model.tree import Leaf

ONE, OTHER = Leaf(0o100644, "1" * 40), Leaf(0o100644, "2" * 40)
PACKS = ("A-1", "B-2", "C-3", "D-4")
PATHS = st.sampled_from(
    [
        "a",
        "A",
        "a/b",
        "a/B",
        "A/c",
        "a/b/c",
        "a/B/d",
        "A/b/d",
        "b",
        "é",
        "e\u0301",
        "é/a",
        "e\u0301/b",
    ]
)
TOUCHES = st.lists(
    st.builds(Touch, PATHS, st.sampled_from([ONE, OTHER, None]), st.booleans()),
    max_size=4,
    unique_by=lambda t: t.path,
)
WORLD = st.dictionaries(st.sampled_from(PACKS), TOUCHES, max_size=4)


def spelled(path: str) -> set[str]:
    """Every folder that `path` is in."""
    return {path[:place] for place, char in enumerate(path) if char == "/"}


def twins(path: str, other: str) -> bool:
    """Whether a folder of one is a folder of the other's in another spelling."""
    return any(
        one != two and fold(one) == fold(two)
        for one, two in itertools.product(spelled(path), spelled(other))
    )


def meet(one: Touch, other: Touch) -> bool:
    """The rule, pair by pair."""
    first, second = fold(one.path), fold(other.path)
    if first == second:
        return one != other
    if one.after is not None and other.after is not None and twins(one.path, other.path):
        return True
    above, below = (one, other) if second.startswith(first + "/") else (other, one)
    if not fold(below.path).startswith(fold(above.path) + "/"):
        return False
    return above.after is not None


def were_two(one: str, other: str, there: set[str]) -> bool:
    """Whether the names in which two paths part are one when folded, and were both there."""
    rows = list(zip(one.split("/"), other.split("/"), strict=False))
    depth = next((number for number, (a, b) in enumerate(rows) if a != b), None)
    if depth is None:
        return False
    tops = {"/".join(path.split("/")[: depth + 1]) for path in (one, other)}
    return len({fold(top) for top in tops}) == 1 and tops <= there


def brute(
    touches: Mapping[str, list[Touch]], stacked: frozenset[tuple[str, str]]
) -> set[tuple[str, str]]:
    there = {
        place
        for each in touches.values()
        for touch in each
        if touch.existed
        for place in (touch.path, *spelled(touch.path))
    }
    return {
        (one, other)
        for one, other in itertools.combinations(sorted(touches), 2)
        if (one, other) not in stacked
        and (other, one) not in stacked
        and any(
            meet(mine, theirs) and not were_two(mine.path, theirs.path, there)
            for mine in touches[one]
            for theirs in touches[other]
        )
    }


@given(WORLD, st.frozensets(st.tuples(st.sampled_from(PACKS), st.sampled_from(PACKS)), max_size=3))
def test_exactly_the_pairs_that_brute_force_finds(
    touches: dict[str, list[Touch]], stacked: frozenset[tuple[str, str]]
) -> None:
    found = find_overlaps(touches, stacked)
    assert [(o.first, o.second) for o in found] == sorted(brute(touches, stacked))
    for overlap in found:
        assert any(t.path == overlap.path for t in touches[overlap.first])
        assert any(t.path == overlap.other_path for t in touches[overlap.second])


@given(WORLD, st.randoms())
def test_the_order_of_paths_and_packs_decides_nothing(
    touches: dict[str, list[Touch]], random
) -> None:
    expected = find_overlaps(touches)
    shuffled = {
        pack: random.sample(touches[pack], len(touches[pack])) for pack in reversed(touches)
    }
    assert {(o.first, o.second) for o in find_overlaps(shuffled)} == {
        (o.first, o.second) for o in expected
    }


def test_the_same_change_is_no_overlap_and_a_folded_name_is() -> None:
    same = {"A-1": [Touch("x", ONE)], "B-2": [Touch("x", ONE)]}
    assert find_overlaps(same) == ()
    both = {"A-1": [Touch("Readme", ONE, True)], "B-2": [Touch("readme", OTHER, True)]}
    assert find_overlaps(both) == ()
    folded = {"A-1": [Touch("Readme", ONE)], "B-2": [Touch("readme", ONE)]}
    assert find_overlaps(folded) == (Overlap("A-1", "B-2", "Readme", "readme"),)


def test_folders_of_one_folder_that_are_one_when_folded_overlap_by_the_first_path_in_each() -> None:
    touches = {
        "C-3": [Touch("x/e\u0301/sub/b", ONE), Touch("x/e\u0301/a", ONE), Touch("y", ONE)],
        "A-1": [Touch("x/é/d", ONE), Touch("x/é/c", ONE)],
        "B-2": [Touch("x/é/own/e", ONE), Touch("x/E\u0301/gone", None)],
        "D-4": [Touch("x/é/OWN/f", ONE)],
    }
    assert find_overlaps(touches) == (
        Overlap("A-1", "C-3", "x/é/c", "x/e\u0301/a"),
        Overlap("B-2", "C-3", "x/é/own/e", "x/e\u0301/a"),
        Overlap("B-2", "D-4", "x/é/own/e", "x/é/OWN/f"),
        Overlap("C-3", "D-4", "x/e\u0301/a", "x/é/OWN/f"),
    )
    assert (
        find_overlaps(
            touches, frozenset({("B-2", "D-4"), ("D-4", "C-3"), ("C-3", "A-1"), ("C-3", "B-2")})
        )
        == ()
    )


def test_what_is_removed_from_a_folder_makes_it_no_twin() -> None:
    touches = {
        "A-1": [Touch("x/data/a", None)],
        "B-2": [Touch("x/dATA/b", ONE), Touch("x/data/a", None)],
    }
    assert find_overlaps(touches) == ()


def test_a_file_and_a_folder_of_one_name_overlap() -> None:
    touches = {"B-2": [Touch("x", ONE)], "A-1": [Touch("x/y/z", ONE)]}
    assert find_overlaps(touches) == (Overlap("A-1", "B-2", "x/y/z", "x"),)


def closed(
    chosen: Iterable[str], packs: Iterable[str], needs: Mapping[str, frozenset[str]]
) -> bool:
    held = frozenset(chosen)
    return all(needs.get(name, frozenset()) & frozenset(packs) <= held for name in held)


def largest_by_brute_force(
    packs: list[str], conflicts: set[tuple[str, str]], needs: Mapping[str, frozenset[str]]
) -> int:
    return max(
        size
        for size in range(len(packs) + 1)
        for chosen in itertools.combinations(packs, size)
        if closed(chosen, packs, needs)
        and not any(one in chosen and other in chosen for one, other in conflicts)
    )


NAMES = [f"P-{number}" for number in range(7)]
PAIR = st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)).filter(
    lambda pair: pair[0] < pair[1]
)


@given(st.sets(PAIR, max_size=8), st.sets(PAIR, max_size=5))
def test_the_largest_set_is_as_large_as_brute_force_says(
    conflicts: set[tuple[str, str]], depends: set[tuple[str, str]]
) -> None:
    needs = {name: reachable(name, depends) for name in NAMES}
    chosen = select(reversed(NAMES), conflicts, needs)
    assert chosen.exact
    assert closed(chosen.largest, NAMES, needs)
    assert not any(one in chosen.largest and other in chosen.largest for one, other in conflicts)
    assert len(chosen.largest) == largest_by_brute_force(NAMES, conflicts, needs)
    assert chosen.smallest_conflict == (min(conflicts) if conflicts else ())


def reachable(name: str, depends: set[tuple[str, str]]) -> frozenset[str]:
    """A pack may need those of a smaller number, so there is no circle."""
    found: set[str] = set()
    rest = [name]
    while rest:
        here = rest.pop()
        for below, above in depends:
            if above == here and below not in found:
                found.add(below)
                rest.append(below)
    return frozenset(found)


@pytest.mark.parametrize(("size", "exact"), [(EXACT_UP_TO, True), (EXACT_UP_TO + 1, False)])
def test_a_chain_of_conflicts_is_exact_up_to_twenty_and_labelled_beyond(
    size: int, exact: bool
) -> None:
    names = [f"P-{number:02}" for number in range(size)]
    chosen = select(names, list(itertools.pairwise(names)), {})
    assert chosen.exact is exact
    assert not any({one, other} <= set(chosen.largest) for one, other in itertools.pairwise(names))
    assert len(chosen.largest) == (size + 1) // 2


def test_greedy_takes_a_pack_with_what_it_needs_or_not_at_all() -> None:
    names = [f"P-{number:02}" for number in range(30)]
    conflicts = [(names[0], name) for name in names[2:]]
    chosen = select(names, conflicts, {names[1]: frozenset({names[0]})})
    assert not chosen.exact
    assert names[0] not in chosen.largest
    assert names[1] not in chosen.largest
    assert chosen.largest == tuple(names[2:])


def test_ties_go_to_what_comes_first() -> None:
    assert select(["B-2", "A-1"], [("B-2", "A-1")], {}).largest == ("A-1",)


def test_a_need_that_is_not_among_the_packs_is_no_reason_to_leave_one_out() -> None:
    chosen = select(("a", "b"), (), {"a": frozenset({"elsewhere"})})
    assert (chosen.smallest_conflict, chosen.exact) == ((), True)
    assert chosen.largest == ("a", "b")
