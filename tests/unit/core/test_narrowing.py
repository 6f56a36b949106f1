"""What a pack sees, against filtering every path; and changes applied, against a dictionary."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from factory.git.narrowing import (
    Visible,
    apply_differences,
    between,
    hidden_paths,
    narrow,
    overlay_folder,
    shared_part,
    view_with,
    visible_part,
    without_packs,
)
from factory.judge.scope import compile_patterns
from factory.model.tree import Tree
from tests.pack_values import leaf, tree

NAMES = st.sampled_from(["a", "b", "c"])
FILES = st.dictionaries(
    st.lists(NAMES, min_size=1, max_size=4).map("/".join), NAMES, max_size=8
).map(
    lambda files: {
        path: text
        for path, text in files.items()
        if not any(p.startswith(path + "/") for p in files)
    }
)
PATTERNS = st.lists(
    st.lists(st.sampled_from(["a", "b", "*", "**"]), min_size=1, max_size=4).map("/".join),
    max_size=3,
)


def paths(of: Tree) -> set[str]:
    return {path for path, _ in of.leaves()}


@given(FILES, PATTERNS)
def test_narrowing_keeps_exactly_what_matches(files: dict[str, str], patterns: list[str]) -> None:
    visible = compile_patterns(tuple(patterns))
    narrowed = narrow(tree(files), Visible(visible, "taskpacks", frozenset()))
    assert narrowed == tree({path: text for path, text in files.items() if visible.matches(path)})


@given(FILES, PATTERNS, FILES)
def test_a_view_with_paths_adds_what_stands_there(
    files: dict[str, str], patterns: list[str], touched: dict[str, str]
) -> None:
    visible = compile_patterns(tuple(patterns))
    view = view_with(tree(files), Visible(visible, "taskpacks", frozenset()), touched)
    assert paths(view) == {path for path in files if visible.matches(path) or path in touched}


def test_without_inputs_all_is_seen_but_the_folders_of_other_packs() -> None:
    files = ["a", "b/c", "taskpacks/README", "taskpacks/_shared/x", "taskpacks/T-1/task.yml"]
    others = ["taskpacks/T-2/task.yml", "taskpacks/T-2/n", "taskpacks/T-3/acceptance.yml"]
    deep = ["more/taskpacks/T-9/task.yml", "taskpacks/_shared/T-8/task.yml", "taskpacks/task.yml"]
    whole = tree(dict.fromkeys((*files, *deep, *others), "1"))
    shown = visible_part(None, "taskpacks/T-1")
    assert paths(narrow(whole, shown)) == {*files, *deep}
    assert narrow(tree({"a": "1"}), shown) == tree({"a": "1"})
    needing = visible_part(None, "taskpacks/T-1", ["taskpacks/T-2"])
    assert paths(narrow(whole, needing)) == {*files, *deep, *others[:2]}
    assert paths(view_with(whole, shown, ["taskpacks/T-2/n"])) == {*files, *deep, others[1]}
    # what packs share of a checkout is the same for all of them
    for folder in ("taskpacks/T-1", "taskpacks/T-2"):
        shared = shared_part(whole, visible_part(None, folder))
        assert paths(shared) == {*files[:-1], *deep}
    assert without_packs(whole, "other") is whole


def test_a_pack_sees_its_inputs_and_its_own_folder() -> None:
    patterns = visible_part(("src/*.py",), "taskpacks/T-1-x")
    whole = tree(
        {
            "src/a.py": "1",
            "src/b/c.py": "2",
            "taskpacks/T-1-x/n": "3",
            "taskpacks/T-2/n": "4",
            "README": "5",
        }
    )
    assert paths(narrow(whole, patterns)) == {"src/a.py", "taskpacks/T-1-x/n"}


@given(FILES, FILES)
def test_the_differences_of_two_trees_lead_from_one_to_the_other(
    before: dict[str, str], after: dict[str, str]
) -> None:
    changes = between(tree(before), tree(after))
    assert apply_differences(tree(before), changes) == tree(after)
    assert {change.path for change in changes} == {
        path for path in before.keys() | after.keys() if before.get(path) != after.get(path)
    }


def test_a_folder_is_laid_over_or_taken_away() -> None:
    base = tree({"p/old": "1", "q": "2"})
    assert overlay_folder(base, "p", tree({"new": "3"})) == tree({"p/new": "3", "q": "2"})
    assert overlay_folder(base, "p", Tree({})) == tree({"q": "2"})


def test_hidden_is_what_existed_and_was_not_shown() -> None:
    base, visible = tree({"seen": "1", "unseen": "2", "f": "3"}), tree({"seen": "1"})
    after = base.changed(
        {"seen": leaf("x"), "unseen": leaf("y"), "new": leaf("z"), "f/below": leaf("w")}
    )
    assert hidden_paths(between(base, after), visible) == {"unseen", "f"}
