"""What a pack sees, against filtering every path; and changes applied, against a dictionary."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from factory.git.narrowing import (
    apply_differences,
    between,
    hidden_paths,
    narrow,
    overlay_folder,
    view_with,
    visible_patterns,
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
    narrowed = narrow(tree(files), visible)
    assert narrowed == tree({path: text for path, text in files.items() if visible.matches(path)})


@given(FILES, PATTERNS, FILES)
def test_a_view_with_paths_adds_what_stands_there(
    files: dict[str, str], patterns: list[str], touched: dict[str, str]
) -> None:
    visible = compile_patterns(tuple(patterns))
    view = view_with(tree(files), visible, touched)
    assert paths(view) == {path for path in files if visible.matches(path) or path in touched}


def test_no_patterns_show_everything() -> None:
    whole = tree({"a": "1", "b/c": "2"})
    assert narrow(whole, None) is whole
    assert view_with(whole, None, ["a"]) is whole
    assert visible_patterns(None, "taskpacks/T-1") is None


def test_a_pack_sees_its_inputs_and_its_own_folder() -> None:
    patterns = visible_patterns(("src/*.py",), "taskpacks/T-1-x")
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
