"""What follows from changed files of the judge, and which tests a log names."""

from __future__ import annotations

import pytest

from factory.judge.judge_set import BUILT_IN
from factory.judge.old_judge import (
    Permits,
    has_inline_tests,
    may_have_inline_tests,
    permits_of,
    touched,
    under_old_judge,
)
from factory.judge.seen_tests import seen_in, with_counting
from factory.model.command_kind import CommandKind
from factory.model.judged import JudgeLock
from factory.model.tree import MODE_FILE, Difference, Leaf, Tree, tree_from_leaves

OLD, NEW = Leaf(MODE_FILE, "1" * 40), Leaf(MODE_FILE, "2" * 40)


def tree(**leaves: Leaf) -> Tree:
    return tree_from_leaves(((path.replace("__", "/"), at) for path, at in leaves.items()), "sha1")


CHANGES = (
    Difference("pytest.ini", None, NEW),
    Difference("src/a", OLD, NEW),
    Difference("tests/a", OLD, NEW),
    Difference("tests/gone", OLD, None),
    Difference("tests/new", None, NEW),
)
RESULT = tree_from_leaves(((c.path, c.after) for c in CHANGES if c.after), "sha1")


def test_the_old_judge_is_put_back_and_the_code_stays() -> None:
    files = touched(BUILT_IN.compiled, Permits(), CHANGES)
    assert [each.path for each in files] == ["pytest.ini", "tests/a", "tests/gone", "tests/new"]
    view = under_old_judge(RESULT, files, CommandKind.TESTS)
    assert dict(view.leaves()) == {"src/a": NEW, "tests/a": OLD, "tests/gone": OLD}


@pytest.mark.parametrize("kind", [CommandKind.FORMAT, CommandKind.LINT])
def test_tests_are_subject_to_formatters_and_linters(kind: CommandKind) -> None:
    files = touched(BUILT_IN.compiled, Permits(), CHANGES)
    assert dict(under_old_judge(RESULT, files, kind).leaves()) == {
        "src/a": NEW,
        "tests/a": NEW,
        "tests/new": NEW,
    }


def test_what_may_change_stays_as_the_pack_left_it() -> None:
    permits = Permits(may_change=("tests/",))
    files = touched(BUILT_IN.compiled, permits, CHANGES)
    assert [each.permitted for each in files] == [False, True, True, True]
    view = under_old_judge(RESULT, files, CommandKind.TESTS)
    assert dict(view.leaves()) == {"src/a": NEW, "tests/a": NEW, "tests/new": NEW}


def test_a_folder_that_became_a_file_is_put_back() -> None:
    changes = (Difference("tests/a", OLD, None), Difference("tests", None, NEW))
    files = touched(BUILT_IN.compiled, Permits(), changes)
    view = under_old_judge(tree(tests=NEW), files, CommandKind.CHECK)
    assert dict(view.leaves()) == {"tests/a": OLD}


def test_every_bound_of_policy_counts() -> None:
    lock = JudgeLock(may_change=("tests/", "ci/"), retires=("tests/a.py::x", "ci/b.py::y", "T.z"))
    permits = permits_of([lock], (("tests/", "ci/"), ("tests/",)))
    assert permits.change("tests/a.py")
    assert not permits.change("ci/a.py")
    assert permits.retire("tests/a.py::x")
    assert not permits.retire("ci/b.py::y")
    assert not permits.retire("T.z")
    assert permits_of([lock], ()).retire("T.z")
    assert not permits_of([lock], ()).retire("tests/a.py::other")
    assert permits_of([JudgeLock(retires=("*",))], ()).retire("any")
    assert not permits_of([JudgeLock(may_change=("**",))], ((),)).change("tests/a.py")


@pytest.mark.parametrize(
    ("log", "ran", "counted"),
    [
        (
            "PASSED tests/a.py::test_x[a b]\nSKIPPED [1] tests/a.py:3: no",
            {"tests/a.py::test_x[a b]"},
            -1,
        ),
        ("FAILED tests/a.py::x - assert 1 == 2\n", {"tests/a.py::x"}, -1),
        ("[gw0] [ 50%] PASSED tests/a.py::x \n1 passed in 0.1s\n", {"tests/a.py::x"}, 1),
        ("tests/a.py::x PASSED   [ 50%]\ntests/a.py::y SKIPPED (no) [100%]", {"tests/a.py::x"}, -1),
        ("==== 1 failed, 2 passed, 4 skipped in 1.2s ====\n", set(), 3),
        (
            "t (a.T.t) ... ok\nu (a.T.u) ... skipped 'no'\nRan 2 tests in 0s\n\nOK (skipped=1)",
            {"a.T.t"},
            1,
        ),
        (
            "--- PASS: TestA (0.00s)\n    --- PASS: TestA/b (0.00s)\n--- SKIP: TestC (0.0s)\n",
            {"TestA", "TestA/b"},
            -1,
        ),
        (
            "test a::b ... ok\ntest c ... ignored\ntest result: ok. 1 passed; 0 failed; 1 ignored;",
            {"a::b"},
            1,
        ),
        (
            "ok 1 - adds\nnot ok 2 - takes\nok 3 - x # SKIP\n# tests 3\n# pass 1\n# skipped 1\n",
            {"adds", "takes"},
            2,
        ),
        ("✔ adds (0.5ms)\n﹣ x (0.1ms) # SKIP\nℹ tests 2\nℹ pass 1\nℹ skipped 1\n", {"adds"}, 1),
        (
            "  \x1b[32m✓\x1b[0m adds (2 ms)\n  ○ skipped x\nTests: 1 skipped, 1 passed, 2 total",
            {"adds"},
            1,
        ),
        ("no word of tests\n", set(), -1),
        ("Ran 99999999999999999999 tests in 0s", set(), 0),
    ],
)
def test_the_tests_that_a_log_names(log: str, ran: set[str], counted: int) -> None:
    seen = seen_in(log.encode())
    assert (set(seen.ran), seen.counted) == (ran, counted)


def test_runners_are_asked_to_name_their_tests() -> None:
    given = (("A", "1"), ("PYTEST_ADDOPTS", "-q"))
    assert with_counting(given) == (("A", "1"), ("GOFLAGS", "-v"), ("PYTEST_ADDOPTS", "-q -rA"))


def test_files_that_hold_tests_inside_code() -> None:
    assert has_inline_tests("src/lib.rs", b"#[test]\nfn x() {}")
    assert has_inline_tests("a.py", b'"""\n>>> f()\n"""')
    assert not has_inline_tests("a.py", b"x = 1")
    assert not may_have_inline_tests("a.txt")
    assert not has_inline_tests("a.txt", b">>> ")
