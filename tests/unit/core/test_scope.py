"""The pattern language against a reference that tries everything, and its two shortcuts against the
language.
"""

from __future__ import annotations

import itertools
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.judge.scope import compile_patterns, problem_with_pattern, union

SEGMENT = st.text("ab*?.", min_size=1, max_size=4).filter(
    lambda text: "**" not in text and text not in (".", "..")
)
PATTERN = st.builds(
    lambda segments, tail: "/".join(segments) + tail,
    st.lists(SEGMENT | st.just("**"), min_size=1, max_size=5),
    st.sampled_from(["", "", "/"]),
)
NAME = st.text("ab.\n", min_size=1, max_size=3).filter(lambda text: text not in (".", ".."))
PATH = st.lists(NAME, min_size=1, max_size=5).map("/".join)
FOLDER = st.just("") | PATH


def segment_fits(pattern: str, name: str) -> bool:
    """Character by character, trying every length of every `*`."""
    if not pattern:
        return not name
    if pattern[0] == "*":
        return any(segment_fits(pattern[1:], name[skipped:]) for skipped in range(len(name) + 1))
    return bool(name) and pattern[0] in ("?", name[0]) and segment_fits(pattern[1:], name[1:])


def fits(pattern: list[str], path: list[str]) -> bool:
    """Segment by segment: `**` takes any number of them, at its end at least one."""
    if not pattern:
        return not path
    if pattern[0] == "**":
        if pattern[1:] == []:
            return bool(path)
        return any(fits(pattern[1:], path[skipped:]) for skipped in range(len(path) + 1))
    return bool(path) and segment_fits(pattern[0], path[0]) and fits(pattern[1:], path[1:])


def reference(pattern: str, path: str) -> bool:
    spelled = pattern + "**" if pattern.endswith("/") else pattern
    return fits(spelled.split("/"), path.split("/"))


@given(st.lists(PATTERN, max_size=3), PATH)
def test_a_path_matches_exactly_where_the_reference_says_so(patterns: list[str], path: str) -> None:
    expected = any(reference(pattern, path) for pattern in patterns)
    assert compile_patterns(tuple(patterns)).matches(path) is expected


@given(st.lists(PATTERN, min_size=1, max_size=3), FOLDER, PATH)
def test_what_matches_below_a_folder_begins_with_a_name_that_was_told(
    patterns: list[str], folder: str, rest: str
) -> None:
    compiled = compile_patterns(tuple(patterns))
    names = compiled.names_in(folder)
    if names is not None and compiled.matches(f"{folder}/{rest}" if folder else rest):
        assert rest.partition("/")[0] in names


def test_names_are_told_where_they_are_spelled_out() -> None:
    compiled = compile_patterns(("docs/guide/*.md", "README.md", "src/deep/"))
    assert compiled.names_in("") == frozenset({"docs", "README.md", "src"})
    assert compiled.names_in("docs") == frozenset({"guide"})
    assert compiled.names_in("docs/guide") is None
    assert compiled.names_in("src/deep") is None
    assert compiled.names_in("elsewhere") == frozenset()


@given(st.lists(PATTERN, min_size=1, max_size=3), FOLDER, PATH)
def test_what_matches_below_a_folder_was_possible_there(
    patterns: list[str], folder: str, rest: str
) -> None:
    compiled = compile_patterns(tuple(patterns))
    path = f"{folder}/{rest}" if folder else rest
    if compiled.matches(path):
        assert compiled.may_match_below(folder)
    else:
        assert not compiled.matches_all_below(folder)


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("b", ["b"], ["q/b", "b/c", "B", "bb", ""]),
        ("src/**", ["src/a", "src/a/b"], ["src", "srcs/a", "a/src/b"]),
        ("src/", ["src/a", "src/a/b"], ["src"]),
        ("**/x", ["x", "a/x", "a/b/x"], ["xx", "a/xx", "x/a"]),
        ("a/**/b", ["a/b", "a/x/b", "a/x/y/b"], ["ab", "a/xb", "a/b/x"]),
        ("a/**/**", ["a/b", "a/b/c"], ["a", "b/a"]),
        ("**/**", ["a", "a/b"], []),
        ("**", ["a", "a/b", "a\nb"], []),
        ("*.md", ["a.md", ".md"], ["a/b.md", "a.mdx"]),
        ("d?c*", ["doc", "docs", "d\nc"], ["d/c", "dc"]),
        ("[ab]{1}+(x)^$.", ["[ab]{1}+(x)^$."], ["a"]),
        ("a*b*c", ["abc", "aXbYbc", "abbc"], ["ab", "a/b/c", "abcx"]),
    ],
)
def test_examples(pattern: str, yes: list[str], no: list[str]) -> None:
    compiled = compile_patterns((pattern,))
    assert [path for path in yes if not compiled.matches(path)] == []
    assert [path for path in no if compiled.matches(path)] == []


def test_nothing_matches_an_empty_set() -> None:
    nothing = compile_patterns(())
    assert not nothing.matches("a")
    assert not nothing.may_match_below("")
    assert not nothing.matches_all_below("")


def test_one_star_is_a_folder_and_never_the_root() -> None:
    compiled = compile_patterns(("*/**",))
    assert not compiled.matches_all_below("")
    assert compiled.matches_all_below("a")


def test_two_stars_twice_do_not_take_more_than_once() -> None:
    compiled = compile_patterns(("a/**/**",))
    assert not compiled.matches_all_below("")
    assert compiled.matches_all_below("a")
    assert compiled.matches_all_below("a/b")


@pytest.mark.parametrize(
    ("folder", "expected"),
    [("", False), ("a", False), ("a/b", True), ("a/b/c", True), ("b", False)],
)
def test_a_folder_is_taken_whole_only_below_the_pattern(folder: str, expected: bool) -> None:
    assert compile_patterns(("a/*/**",)).matches_all_below(folder) is expected


def test_no_pattern_makes_matching_slow() -> None:
    """Each would try for longer than the universe lasts if a repetition gave back what it took."""
    started = time.process_time()
    for pattern in ("*a" * 40 + "b", "**/a*/" * 12 + "b", "/".join(["**", "*a*a*a*"] * 8) + "/x"):
        compiled = compile_patterns((pattern,))
        assert not compiled.matches("a" * 250)
        assert not compiled.matches("/".join(["aaaaaaaa"] * 60))
    assert time.process_time() - started < 5


REFUSED = {
    "": "is empty; name a path below the repository's root",
    "a\tb": "contains a control character; use printable names",
    "a\x7f": "contains a control character; use printable names",
    "a\\b": "contains a backslash; separate folders with /",
    "/a": "is absolute; use a path below the repository's root",
    "c:/a": "is absolute; use a path below the repository's root",
    "!a": "starts with !, and there is no negation; put it under denied_paths",
    "../a": "leaves the repository; use a path below its root",
    "a/../b": "leaves the repository; use a path below its root",
    "a//b": "contains an empty or . segment; write the path in its shortest form",
    "./a": "contains an empty or . segment; write the path in its shortest form",
    "a**/b": "uses ** inside a segment; ** means whole segments only",
    "***": "uses ** inside a segment; ** means whole segments only",
}


@pytest.mark.parametrize(("pattern", "clause"), REFUSED.items())
def test_a_pattern_that_cannot_be_used_is_told_why(pattern: str, clause: str) -> None:
    assert problem_with_pattern(pattern) == clause
    with pytest.raises(ValueError, match="scope pattern"):
        compile_patterns((pattern,))


def test_a_union_drops_duplicates_and_keeps_the_order() -> None:
    both = union(("a", "b/"), ("b/", "c"))
    assert both.sources == ("a", "b/", "c")
    assert [path for path in ("a", "b/x", "c", "d") if both.matches(path)] == ["a", "b/x", "c"]


def test_every_short_pattern_over_every_short_path() -> None:
    """Exhaustive where it is small: four segments to choose from, up to three long."""
    names = ["a", "b", "ab"]
    paths = ["/".join(path) for size in (1, 2, 3) for path in itertools.product(names, repeat=size)]
    pieces = ["a", "*", "**", "a*"]
    for size in (1, 2, 3):
        for segments in itertools.product(pieces, repeat=size):
            pattern = "/".join(segments)
            compiled = compile_patterns((pattern,))
            assert [p for p in paths if compiled.matches(p)] == [
                p for p in paths if reference(pattern, p)
            ], pattern
