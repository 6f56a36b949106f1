"""The judge of a change: every refusal with its sentence, and that a layer more never lowers what
is said.
"""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.judge.caches import ignores_itself
from factory.judge.judge import (
    Contents,
    Rules,
    judge_change,
    judge_lines,
    judge_oddities,
    new_files_dropped,
    read_contents,
    rules_of,
    split_artifacts,
)
from factory.judge.path_guard import protected_patterns
from factory.judge.scope import compile_patterns
from factory.model.finding import Finding
from factory.model.pack import Limits, Scope
from factory.model.scanned import Oddity
from factory.model.tree import MODE_LINK, MODE_SUBMODULE, Difference, Leaf, Tree
from tests.pack_values import added, leaf, pack, tree

NOTHING = Contents({}, frozenset())
RULES = rules_of(pack(), protected_patterns("taskpacks"))
EVERYTHING = rules_of(pack(scope=Scope(("**",))), protected_patterns("taskpacks"))
TASK = "taskpacks/T-1-x/task.yml"
NEVER = "Nothing in a contract can allow it."


def judge(
    *changes: Difference,
    rules: Rules = RULES,
    links: dict[str, str] | None = None,
    hidden: frozenset[str] = frozenset(),
    scripts: frozenset[str] = frozenset(),
) -> list[str]:
    result = Tree({}).changed({change.path: change.after for change in changes})
    return [
        sentence(finding)
        for finding in judge_change(rules, changes, result, Contents(links or {}, scripts), hidden)
    ]


def sentence(finding: Finding) -> str:
    assert finding.pack == "T-1"
    return f"{finding.id} {finding.message} @ {finding.location} > {finding.hint}"


def test_a_change_inside_the_scope_is_well() -> None:
    assert judge(added("docs/a"), Difference("docs/b", leaf("x"), None)) == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            added("src/a"),
            (
                f"SCOPE_OUTSIDE_ALLOWED src/a was changed; scope allows docs/** @ {TASK}:3:5 > "
                'If this is intended, add "src/a" to scope.allowed_paths.'
            ),
        ),
        (
            Difference("src/a", leaf("x"), None),
            (
                f"SCOPE_OUTSIDE_ALLOWED src/a was changed; scope allows docs/** @ {TASK}:3:5 > "
                'If this is intended, add "src/a" to scope.allowed_paths.'
            ),
        ),
        (
            added("docs/no/a"),
            (
                "SCOPE_DENIED docs/no/a was changed; scope.denied_paths denies it (docs/no/**) @"
                f" {TASK}:4:5 > Remove that pattern from scope.denied_paths if this is intended."
            ),
        ),
        (
            added("docs/../a"),
            (f"PATH_UNSAFE docs/../a was changed; the path leaves the workspace @ None > {NEVER}"),
        ),
        (
            added("docs/.GIT/x"),
            (
                "PATH_GIT_NAME docs/.GIT/x was changed; its name reads as .git on some platform @"
                f" None > {NEVER}"
            ),
        ),
        (
            added("docs/\x1b[2J"),
            (
                "PATH_NOT_PORTABLE docs/\\u001b[2J cannot exist on every platform: it contains a"
                " control character @ None > Give it another name."
            ),
        ),
        (
            added("dodo.py"),
            (
                "PATH_PROTECTED dodo.py was changed; it is protected from every pack @ None > "
                "Nothing in a contract can allow it; change it by hand, outside a pack."
            ),
        ),
        (
            Difference(f"{TASK}", leaf("x"), None),
            (
                f"PATH_PROTECTED {TASK} was changed; it is protected from every pack @ None > "
                "Nothing in a contract can allow it; change it by hand, outside a pack."
            ),
        ),
        (
            Difference("docs/sub", None, Leaf(MODE_SUBMODULE, "1" * 40)),
            f"SUBMODULE_CHANGED docs/sub is a submodule and was changed @ None > {NEVER}",
        ),
        (
            Difference("docs/sub", Leaf(MODE_SUBMODULE, "1" * 40), leaf("x")),
            f"SUBMODULE_CHANGED docs/sub is a submodule and was changed @ None > {NEVER}",
        ),
    ],
)
def test_each_refusal_has_its_sentence(change: Difference, expected: str) -> None:
    assert judge(change) == [expected]


@pytest.mark.parametrize(
    ("target", "shown"), [("../../x", "../../x"), ("/etc\n", "/etc\\u000a"), ("", "nothing")]
)
def test_a_link_that_leads_outside_is_named_with_its_target(target: str, shown: str) -> None:
    link = Difference("docs/l", None, leaf(target, MODE_LINK))
    (found,) = judge(link, links={"docs/l": target})
    assert found.startswith(
        f"LINK_ESCAPES symbolic link docs/l points at {shown}, which can lead outside the"
        " workspace @"
    )


def test_a_link_whose_target_is_not_told_is_refused() -> None:
    assert judge(Difference("docs/l", None, leaf("a", MODE_LINK)))[0].startswith("LINK_ESCAPES")


def test_a_link_inside_and_a_removed_link_are_well() -> None:
    link = Difference("docs/l", None, leaf("a", MODE_LINK))
    assert judge(link, links={"docs/l": "a"}) == []
    assert judge(Difference("docs/l", leaf("/x", MODE_LINK), None)) == []


def test_removing_a_badly_named_file_is_no_fault() -> None:
    assert judge(Difference("docs/a\n", leaf("x"), None)) == []


@pytest.mark.parametrize("name", ["a\n", "aux.c", "notes.", "con", "x:y", "noxfil~1.py", " x"])
def test_a_badly_named_file_that_was_there_may_be_edited(name: str) -> None:
    assert judge(Difference(f"docs/{name}", leaf("x"), leaf("y"))) == []
    assert [line.split()[0] for line in judge(added(f"docs/{name}"))] == ["PATH_NOT_PORTABLE"]


def test_two_names_that_were_there_are_no_collision() -> None:
    old, new = leaf("x"), leaf("y")
    assert judge(Difference("docs/A", old, new), Difference("docs/a", old, new)) == []
    twin = Tree({}).changed({"docs/Net/x": old, "docs/net/x": old})
    fresh = added("docs/net/y")
    result = twin.changed({"docs/net/y": fresh.after})
    assert judge_change(RULES, (fresh,), result, Contents({}, frozenset())) == ()
    # a third spelling, and one whose twin is new, are collisions
    for more in (added("docs/NET/x"), added("docs/net/X")):
        result = twin.changed({more.path: more.after})
        found = judge_change(RULES, (more,), result, Contents({}, frozenset()))
        assert [finding.id for finding in found] == ["PATH_COLLISION"]


def test_names_that_collide_in_the_result_are_named_once() -> None:
    found = judge(added("docs/A"), added("docs/a"))
    assert [line.split(" @")[0] for line in found] == [
        "PATH_COLLISION docs/A and docs/a are one name where case or Unicode form is ignored",
    ]


def test_what_was_written_unseen_is_named_beside_its_scope() -> None:
    found = judge(added("src/a"), hidden=frozenset({"src/a"}))
    assert [line.split()[0] for line in found] == ["SCOPE_OUTSIDE_ALLOWED", "INPUT_HIDDEN_CHANGED"]
    assert found[1].endswith('> Add "src/a" to inputs, so that the pack sees what it replaces.')


def test_a_scope_that_allows_nothing_says_so() -> None:
    nothing = rules_of(pack(scope=Scope(())), protected_patterns("taskpacks"))
    assert "scope allows nothing" in judge(added("a"), rules=nothing)[0]


HARMFUL = [
    ".git/x",
    "a/.git",
    "dodo.py",
    "../x",
    "/x",
    "a\x00",
    "aux",
    "a.",
    "c:x",
    "a\u202e",
    "taskpacks/T-2-y/spec.md",
]


@pytest.mark.parametrize("path", HARMFUL)
def test_no_scope_allows_what_may_not_exist(path: str) -> None:
    assert judge(added(path), rules=EVERYTHING) != []


@given(
    st.lists(
        st.sampled_from(["docs/a", "src/a", "dodo.py", "docs/no/x", "docs/a\n"]),
        unique=True,
        max_size=4,
    ),
    st.sampled_from(["docs/b", "src/b", ".env"]),
)
def test_one_change_more_takes_no_finding_away(paths: list[str], more: str) -> None:
    before = judge(*(added(path) for path in paths))
    assert set(before) <= set(judge(*(added(path) for path in [*paths, more])))


def test_lines_are_counted_against_their_limit() -> None:
    small = rules_of(pack(limits=Limits(changed_lines=5)), protected_patterns("taskpacks"))
    assert judge_lines(small, 2, 3) == ()
    assert [sentence(finding) for finding in judge_lines(small, 4, 3)] == [
        (
            f"LIMIT_CHANGED_LINES 7 lines were changed; limits.changed_lines allows 5 @ {TASK}:5:5 > "
            "Split the work, or raise limits.changed_lines to 7."
        )
    ]


def grouped(paths: list[str], rules: Rules = RULES) -> list[tuple[object, ...]]:
    """Return folder or path, count and remedy of what is outside the scope."""
    found = judge_change(rules, map(added, paths), Tree({}), NOTHING)
    assert all(finding.id == "SCOPE_OUTSIDE_ALLOWED" for finding in found)
    return [
        (finding.facts.get("folder", finding.facts.get("path")), finding.facts.get("count", 1))
        for finding in found
    ]


def test_a_few_paths_have_a_finding_each_and_many_one_for_each_folder() -> None:
    few = [f"src/{name}" for name in "abcde"]
    assert grouped(few) == [(path, 1) for path in few]
    many = [f"src/a/{name}" for name in "abcdef"]
    assert grouped([*many, "README.md"]) == [("src/a/", 6), ("README.md", 1)]
    assert grouped([*many, "src/b/x", "lib/y"]) == [("src/", 7), ("lib/y", 1)]
    assert grouped(list("abcdef")) == [("the root", 6)]
    assert grouped([f"{name}/x" for name in "abcdef"]) == [("the root", 6)]
    assert grouped([f"a-b/{n}" for n in range(3)] + [f"a/{n}" for n in range(3)]) == [
        ("a-b/", 3),
        ("a/", 3),
    ]


@pytest.mark.parametrize(
    ("paths", "patterns"),
    [
        (["src/a", "lib/b"], ["src/a", "lib/b"]),
        ([f"src/a/{name}" for name in "abcdef"], ["src/a/"]),
        (list("abcdef"), ["*"]),
        ([f"{name}/x" for name in "abcdef"], ["**"]),
    ],
)
def test_the_remedy_covers_all_that_is_outside(paths: list[str], patterns: list[str]) -> None:
    found = judge_change(RULES, map(added, paths), Tree({}), NOTHING)
    listed = ", ".join(json.dumps(each) for each in ("docs/**", *patterns))
    assert {each.remedy for each in found} == {
        f"allow it with: scope: {{allowed_paths: [{listed}]}}"
    }
    wider = rules_of(pack(scope=Scope(("docs/**", *patterns))), protected_patterns("taskpacks"))
    assert judge_change(wider, map(added, paths), Tree({}), NOTHING) == ()


@given(st.lists(st.sampled_from(["a/b/c", "a/b/d", "a/e", "f", "g/h", "i/j/k", "l"]), unique=True))
def test_no_path_is_lost_in_a_group(paths: list[str]) -> None:
    every = [f"{path}{n}" for path in paths for n in range(2)]
    assert sum(int(str(count)) for _, count in grouped(every)) == len(every)


def test_a_cache_is_one_finding_that_names_the_pattern_that_throws_it_away() -> None:
    names = ("src/__pycache__/a.pyc", "src/b/__pycache__/c.pyc", "made/.gitignore", "made/x.o")
    changes = (*map(added, names), added("made.txt"), Difference("src/old.pyc", leaf("x"), None))
    contents = read_contents(RULES, changes, lambda oids: dict.fromkeys(oids, b"# by a tool\n*\n"))
    result = Tree({}).changed({change.path: change.after for change in changes})
    found = [
        (one.facts.get("case"), one.message, one.hint, one.remedy)
        for one in judge_change(RULES, changes, result, contents)
    ]
    allowed, written = "scope allows docs/**", "a cache outside the scope was written"
    assert [row[:2] for row in found] == [
        ("cache", f"{written}, 2 files below src/, such as {', '.join(names[:2])}"),
        ("cache", f"{written}, 2 files below made/, such as {', '.join(names[2:])}"),
        ("file", f"made.txt was changed; {allowed}"),
        ("file", f"src/old.pyc was changed; {allowed}"),
    ]
    assert found[0][2] == 'To throw it away, add to task.yml: discard: ["**/__pycache__/"]'
    assert found[1][3] == 'allow it with: discard: ["made/"]'
    assert "__pycache__" not in found[2][3]


@pytest.mark.parametrize("kept", ["src/lib.py", "src/a/b.py", "src"])
@pytest.mark.parametrize("gone", [False, True])
def test_a_folder_of_the_base_is_no_cache_by_a_gitignore_of_its_own(kept: str, gone: bool) -> None:
    more = (added("src/.gitignore"), added("src/more.py"))
    changes = (*more, Difference(kept, leaf("x"), None)) if gone or kept == "src" else more
    base = Tree({}).changed({kept: leaf("x")})
    result = base.changed({change.path: change.after for change in changes})
    contents = read_contents(RULES, changes, lambda oids: dict.fromkeys(oids, b"*\n"))
    found = judge_change(RULES, changes, result, contents)
    assert [one.facts["path"] for one in found] == [change.path for change in changes]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"*\n", True),
        (b"# x\n\n/*\n!.gitignore\n", True),
        (b"*\n!keep\n", False),
        (b"*.o\n", False),
        (b"", False),
    ],
)
def test_a_folder_ignores_itself_only_where_all_of_it_is_ignored(
    content: bytes, expected: bool
) -> None:
    assert ignores_itself(content) is expected


def test_a_remedy_against_a_denial_keeps_the_other_denials() -> None:
    rules = rules_of(
        pack(scope=Scope(("docs/**",), ("docs/no/**", "docs/never/**"))),
        protected_patterns("taskpacks"),
    )
    (found,) = judge_change(rules, [added("docs/no/x")], Tree({}), NOTHING)
    assert found.remedy == 'allow it with: scope: {denied_paths: ["docs/never/**"]}'


def test_oddities_become_findings() -> None:
    found = judge_oddities("T-1", [Oddity("a\n", "FILE_SPECIAL", "a FIFO")])
    assert [sentence(finding) for finding in found] == [
        (
            "FILE_SPECIAL a\\u000a is a FIFO; expected a plain file, a link or a folder @ None >"
            " Remove it before the last step ends."
        )
    ]


def test_a_new_file_outside_the_scope_that_is_an_artifact_leaves_the_change() -> None:
    artifacts = compile_patterns(("out/**", "docs/**", "dodo.py"))
    old = Difference("out/old", leaf("x"), leaf("y"))
    inside, outside, guarded, denied = (
        added("docs/a"),
        added("out/a"),
        added("dodo.py"),
        added("docs/no/a"),
    )
    other = added("src/a")
    changes = [old, inside, outside, guarded, denied, other]
    proper, only = split_artifacts(RULES, artifacts, changes)
    assert proper == (old, inside, guarded, other)
    assert only == ("out/a", "docs/no/a")


def test_new_files_are_left_out_by_discard_and_outside_the_scope() -> None:
    asked = replace(
        pack(), scope=Scope(("docs/",), ("docs/no/",), "drop"), discard=("**/c/", "*.o")
    )
    paths = ("docs/a", "docs/c/x", "docs/no/x", "x.o", "src/a", "dodo.py", "out/a", ".env/c/x")
    artifacts = compile_patterns(("out/**", "docs/c/**"))
    guard = protected_patterns("taskpacks")
    discarded, outside = new_files_dropped(rules_of(asked, guard), artifacts, paths)
    assert discarded == {"docs/c/x", "x.o"}
    assert outside == {"docs/no/x", "src/a"}
    strict = rules_of(replace(asked, scope=Scope(("docs/",))), guard)
    assert new_files_dropped(strict, artifacts, paths) == (discarded, frozenset())


def test_rules_know_where_they_were_declared() -> None:
    bare = rules_of(replace(pack(), places=()), protected_patterns("taskpacks"))
    assert str(bare.allowed_at) == f"{TASK}:1:1"
    assert str(RULES.limit_at) == f"{TASK}:5:5"


def test_the_base_may_hold_what_a_pack_may_not_add() -> None:
    """Only changed paths are judged: an old collision elsewhere is none of this pack's doing."""
    result = tree({"old/A": "1", "old/a": "2", "docs/x": "3"})
    assert judge_change(RULES, [added("docs/x", "3")], result, NOTHING) == ()
