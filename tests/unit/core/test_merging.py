"""Integration as a decision: order decides nothing, disjoint changes are united, the rest is
said.
"""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.git.narrowing import between
from factory.merge.merging import Candidate, Merged, merge_candidates
from factory.model.config import OverlapPolicy
from factory.model.tree import Tree
from tests.pack_values import leaf, tree

BASE = {"a": "1\n", "b/c": "2\n", "d": "4\n"}


def by_lines(base: Tree, ours: Tree, theirs: Tree) -> tuple[Tree, tuple[str, ...]]:
    """A merge that takes whichever side changed a path, and conflicts where both did,
    differently.
    """
    changes = {d.path: d.after for d in between(base, ours)}
    conflicts = []
    for difference in between(base, theirs):
        if changes.setdefault(difference.path, difference.after) != difference.after:
            conflicts.append(difference.path)
    return base.changed(changes), tuple(conflicts)


def never(base: Tree, ours: Tree, theirs: Tree) -> tuple[Tree, tuple[str, ...]]:
    raise AssertionError("no three-way merge is due here")


def candidate(
    name: str,
    after: dict[str, str],
    depends: tuple[str, ...] = (),
    before: dict[str, str] | None = None,
) -> Candidate:
    start, end = tree(before or BASE), tree(after)
    changes = between(start, end)
    return Candidate(name, depends, start, changes, changes)


FILES = st.dictionaries(
    st.sampled_from(["a", "b/c", "d", "e", "E", "b/f", "b/c/g"]), st.sampled_from(["1\n", "x\n"])
)


def possible(files: dict[str, str]) -> bool:
    """No path is a folder of another."""
    return not any(other.startswith(path + "/") for path in files for other in files)


@given(st.lists(FILES.filter(possible), max_size=4), st.sampled_from(OverlapPolicy), st.data())
def test_any_order_of_arrival_gives_one_answer(
    worlds: list[dict[str, str]], policy: OverlapPolicy, data: st.DataObject
) -> None:
    candidates = [candidate(f"T-{number}", files) for number, files in enumerate(worlds)]
    expected = merge_candidates(tree(BASE), candidates, policy, by_lines)
    again = merge_candidates(tree(BASE), data.draw(st.permutations(candidates)), policy, by_lines)
    assert again == expected
    assert (expected.tree is None) is bool(expected.findings)


def test_every_order_of_five_disjoint_packs_gives_one_tree() -> None:
    candidates = [candidate(f"T-{name}", BASE | {f"new/{name}": name}) for name in "12345"]
    answers = {
        merge_candidates(tree(BASE), order, OverlapPolicy.BLOCK, never).tree
        for order in itertools.permutations(candidates)
    }
    assert answers == {tree(BASE | {f"new/{name}": name for name in "12345"})}


def blocked(merged: Merged) -> list[tuple[str, str]]:
    assert merged.tree is None
    return [(finding.id, finding.message) for finding in merged.findings]


def test_an_overlap_is_said_with_both_packs_and_the_place() -> None:
    both = [candidate("T-2", BASE | {"a": "y"}), candidate("T-1", BASE | {"a": "x"})]
    merged = merge_candidates(tree(BASE), both, OverlapPolicy.BLOCK, never)
    assert blocked(merged) == [("OVERLAP", "T-1 and T-2 both change a")]
    assert merged.findings[0].pack == "T-2"
    assert merged.findings[0].hint.endswith("or set overlap = 'merge' in factory.toml.")
    assert (merged.selection.largest, merged.selection.smallest_conflict) == (
        ("T-1",),
        ("T-1", "T-2"),
    )


def test_an_overlap_of_two_names_shows_both_of_them() -> None:
    both = [candidate("T-1", BASE | {"N": "x"}), candidate("T-2", BASE | {"n\n": "y", "n": "y"})]
    merged = merge_candidates(tree(BASE), both, OverlapPolicy.BLOCK, never)
    why = "N and n are one name where case or Unicode form is ignored"
    assert blocked(merged) == [("OVERLAP", f"T-1 and T-2 both change N and n: {why}")]
    assert merged.findings[0].hint == "Spell it one way in every pack."


def test_a_path_and_a_folder_of_it_are_not_told_to_merge() -> None:
    both = [candidate("T-1", BASE | {"n": "x"}), candidate("T-2", BASE | {"n/x": "y"})]
    merged = merge_candidates(tree(BASE), both, OverlapPolicy.BLOCK, never)
    assert blocked(merged) == [("OVERLAP", "T-1 and T-2 both change n and n/x")]
    assert merged.findings[0].hint == "Let one depend on the other (depends_on), or narrow a scope."


TWIN_FOLDERS = "T-1 and T-2 both change x/data/a and x/dATA/b: x/data and x/dATA are one name"


@pytest.mark.parametrize("policy", OverlapPolicy)
def test_folders_that_are_one_when_folded_keep_both_packs_apart_whatever_the_policy(
    policy: OverlapPolicy,
) -> None:
    """Git would merge them: no path is shared."""
    packs = [
        candidate(f"T-{n}", BASE | {path: n})
        for n, path in (("1", "x/data/a"), ("2", "x/dATA/b"), ("3", "y"))
    ]
    merged = merge_candidates(tree(BASE), packs, policy, by_lines)
    assert blocked(merged) == [("OVERLAP", f"{TWIN_FOLDERS} where case or Unicode form is ignored")]
    assert [(o.first, o.second, o.path, o.other_path, o.resolved) for o in merged.overlaps] == [
        ("T-1", "T-2", "x/data/a", "x/dATA/b", "")
    ]
    assert merged.selection.largest == ("T-1", "T-3")
    assert merged.selection.smallest_conflict == ("T-1", "T-2")


def test_a_clean_merge_that_would_hold_twins_settles_nothing() -> None:
    """They share `a`, by which they are told to overlap, and bring twins besides."""
    packs = [
        candidate("T-1", BASE | {"a": "x", "q/N": ""}),
        candidate("T-2", BASE | {"a": "y", "q/n": ""}),
    ]
    merged = merge_candidates(tree(BASE), packs, OverlapPolicy.MERGE, line_merge)
    why = "q/N and q/n are one name where case or Unicode form is ignored"
    assert blocked(merged) == [("OVERLAP", f"T-1 and T-2 both change q/N and q/n: {why}")]
    assert [(o.path, o.resolved) for o in merged.overlaps] == [("a", "")]
    assert merged.selection.largest == ("T-1",)


def test_a_folder_may_be_spelled_anew_where_nothing_is_left_of_the_old_one() -> None:
    before = {"x/data/a": "1", "y": "2"}
    one = candidate("T-1", {"x/dATA/b": "1", "y": "2"}, before=before)
    other = candidate("T-2", {"y": "2"}, before=before)
    merged = merge_candidates(tree(before), [one, other], OverlapPolicy.BLOCK, never)
    assert merged.tree == tree({"x/dATA/b": "1", "y": "2"})


def test_a_merged_tree_with_a_new_collision_is_refused_whoever_brought_it() -> None:
    """A merge that adds a name of its own: no pair of packs shows it. What the base holds already
    is none of it.
    """
    held = BASE | {"K/k": "", "k/k": ""}
    both = [
        candidate("T-1", held | {"a": "x", "q/n": ""}, before=held),
        candidate("T-2", held | {"a": "y"}, before=held),
    ]

    def adds(base: Tree, ours: Tree, theirs: Tree) -> tuple[Tree, tuple[str, ...]]:
        merged, _ = line_merge(base, ours, theirs)
        return (merged.changed({"q/N": leaf("")}) if base == ours else merged), ()

    assert merge_candidates(tree(held), both, OverlapPolicy.MERGE, line_merge).tree is not None
    merged = merge_candidates(tree(held), both, OverlapPolicy.MERGE, adds)
    why = "T-1 do not merge: q/N and q/n are one name where case or Unicode form is ignored"
    assert blocked(merged) == [("OVERLAP", why)]
    assert merged.findings[0].pack == "T-1"


def test_an_overlap_that_only_the_patch_shows_is_hidden() -> None:
    honest = candidate("T-1", BASE | {"a": "x"})
    liar = candidate("T-2", BASE | {"e": "y"})
    patched = between(tree(BASE), tree(BASE | {"e": "y", "a": "z"}))
    liar = Candidate("T-2", (), liar.base, liar.changes, patched)
    merged = merge_candidates(tree(BASE), [honest, liar], OverlapPolicy.BLOCK, never)
    assert blocked(merged) == [("HIDDEN_OVERLAP", "T-1 and T-2 both change a")]
    assert merged.overlaps[0].hidden


def test_a_hidden_overlap_is_never_merged() -> None:
    honest = candidate("T-1", BASE | {"a": "x"})
    patched = between(tree(BASE), tree(BASE | {"a": "z"}))
    liar = Candidate("T-2", (), tree(BASE), (), patched)
    assert (
        blocked(merge_candidates(tree(BASE), [honest, liar], OverlapPolicy.MERGE, by_lines))[0][0]
        == "HIDDEN_OVERLAP"
    )


def test_identical_changes_and_stacked_ones_are_united() -> None:
    same = [candidate("T-1", BASE | {"a": "x"}), candidate("T-2", BASE | {"a": "x"})]
    assert merge_candidates(tree(BASE), same, OverlapPolicy.BLOCK, never).tree == tree(
        BASE | {"a": "x"}
    )
    above = candidate("T-0", BASE | {"a": "y"}, ("T-1",), BASE | {"a": "x"})
    merged = merge_candidates(tree(BASE), [above, same[0]], OverlapPolicy.BLOCK, never)
    assert (merged.order, merged.tree) == (("T-1", "T-0"), tree(BASE | {"a": "y"}))


def line_merge(base: Tree, ours: Tree, theirs: Tree) -> tuple[Tree, tuple[str, ...]]:
    """Both sides of `a` are kept, whatever they are: clean by definition."""
    merged, conflicts = by_lines(base, ours, theirs)
    for path in conflicts:
        one, other = ours.get(path), theirs.get(path)
        joined = leaf("+".join(sorted(str(entry) for entry in (one, other))))
        merged = merged.changed({path: joined})
    return merged, ()


def test_a_clean_merge_is_recorded_as_settled() -> None:
    both = [candidate("T-1", BASE | {"a": "x"}), candidate("T-2", BASE | {"a": "y", "e": "e"})]
    merged = merge_candidates(tree(BASE), both, OverlapPolicy.MERGE, line_merge)
    assert merged.findings == ()
    assert [(o.first, o.second, o.resolved) for o in merged.overlaps] == [
        ("T-1", "T-2", "three-way merge")
    ]
    assert merged.tree is not None
    assert merged.tree.get("e") == leaf("e")
    assert merged.tree.get("a") not in (leaf("x"), leaf("y"), leaf("1\n"))
    assert merged.selection.largest == ("T-1", "T-2")


def test_a_merge_that_is_not_clean_is_a_conflict_of_that_pair() -> None:
    both = [candidate("T-1", BASE | {"a": "x"}), candidate("T-2", BASE | {"a": "y"})]
    merged = merge_candidates(tree(BASE), both, OverlapPolicy.MERGE, by_lines)
    assert blocked(merged) == [("MERGE_CONFLICT", "T-1 and T-2 do not merge cleanly in a")]


def test_packs_that_merge_in_pairs_and_not_together_are_named() -> None:
    """The third meets what the first two became: each pair was clean."""
    three = [candidate(f"T-{name}", BASE | {"a": name}) for name in "123"]

    def only_pairs(base: Tree, ours: Tree, theirs: Tree) -> tuple[Tree, tuple[str, ...]]:
        known = {
            candidate_tree.get("a")
            for candidate_tree in (tree(BASE), *(tree(BASE | {"a": n}) for n in "123"))
        }
        if ours.get("a") not in known:
            return ours, ("a",)
        return line_merge(base, ours, theirs)

    merged = merge_candidates(tree(BASE), three, OverlapPolicy.MERGE, only_pairs)
    assert blocked(merged) == [
        ("MERGE_CONFLICT", "it does not merge cleanly onto the packs before it in a")
    ]


def test_what_stands_on_two_merged_packs_keeps_both() -> None:
    """T-3 was made on the merge of T-1 and T-2; its own overlap with T-4 is merged from exactly
    there.
    """
    one, two = candidate("T-1", BASE | {"a": "x"}), candidate("T-2", BASE | {"a": "y"})
    below = merge_candidates(tree(BASE), [one, two], OverlapPolicy.MERGE, line_merge).tree
    assert below is not None
    after = below.changed({"b/c": leaf("mine")})
    changes = between(below, after)
    three = Candidate("T-3", ("T-1", "T-2"), below, changes, changes)
    four = candidate("T-4", BASE | {"b/c": "theirs"})
    seen: list[Tree] = []

    def watching(base: Tree, ours: Tree, theirs: Tree) -> tuple[Tree, tuple[str, ...]]:
        seen.append(base)
        return line_merge(base, ours, theirs)

    merged = merge_candidates(
        tree(BASE), [four, three, two, one], OverlapPolicy.MERGE, watching
    ).tree
    assert merged is not None
    assert merged.get("a") == below.get("a")
    assert below in seen


@pytest.mark.parametrize("policy", OverlapPolicy)
def test_no_candidate_merges_to_the_base(policy: OverlapPolicy) -> None:
    assert merge_candidates(tree(BASE), [], policy, never).tree == tree(BASE)


def test_what_a_pack_builds_on_must_merge_without_the_packs_beside_it() -> None:
    """T-5 needs three packs that merge only where T-1 stands as well, and T-1 is none of its
    needs.
    """

    def fits_with_first_only(base: Tree, ours: Tree, theirs: Tree) -> tuple[Tree, tuple[str, ...]]:
        merged, _ = by_lines(base, ours, theirs)
        lonely = (
            all(merged.get(name) is not None for name in ("n2", "n3", "n4"))
            and merged.get("n1") is None
        )
        return merged, ("n4",) if lonely else ()

    needs = ("T-2", "T-3", "T-4")
    candidates = [candidate(f"T-{n}", BASE | {"a": n, f"n{n}": ""}) for n in "1234"]
    built = BASE | {"a": "2", "n2": "", "n3": "", "n4": ""}
    last = candidate("T-5", built | {"a": "5"}, needs, before=built)
    assert (
        merge_candidates(tree(BASE), candidates, OverlapPolicy.MERGE, fits_with_first_only).tree
        is not None
    )
    assert blocked(
        merge_candidates(tree(BASE), [*candidates, last], OverlapPolicy.MERGE, fits_with_first_only)
    ) == [("MERGE_CONFLICT", "it does not merge cleanly onto the packs before it in n4")]
