"""The judge of names: a corpus of paths that mean harm, and properties over every text."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.judge import path_guard
from factory.judge.path_guard import (
    RUN_BY_THEMSELVES,
    collisions,
    display,
    fold,
    fold_all,
    git_name,
    is_protected,
    link_escapes,
    protected_patterns,
    reads_as_git,
    unportable,
    unsafe,
)
from factory.model.tree import Leaf, Tree, tree_from_leaves

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=30)
LEAF = Leaf(0o100644, "a" * 40)

UNSAFE = {
    "": "is empty",
    "/etc/passwd": "is absolute",
    "//server/share": "is absolute",
    "\\\\server\\share": "is a UNC path",
    "C:/x": "starts with a drive",
    "c:x": "starts with a drive",
    "..": "leaves the workspace",
    "a/../../b": "leaves the workspace",
    "a/..": "leaves the workspace",
    "a//b": "is not in its shortest form",
    "./a": "is not in its shortest form",
    "a/.": "is not in its shortest form",
    "a/": "is not in its shortest form",
}

UNPORTABLE = [
    ("a\udcff", "is not valid UTF-8"),
    ("a\ud800", "is not valid UTF-8"),
    ("a\x00b", "contains a control character"),
    ("a\nb", "contains a control character"),
    ("a\x1b[31m", "contains a control character"),
    ("a\x7f", "contains a control character"),
    ("a\x9b", "contains a control character"),
    ("a\u202egpj.exe", "contains an invisible or direction-changing character"),
    ("a\u2066b", "contains an invisible or direction-changing character"),
    ("a\u200bb", "contains an invisible or direction-changing character"),
    ("a\ufeff", "contains an invisible or direction-changing character"),
    ("a\u2028b", "contains an invisible or direction-changing character"),
    ("a\u2029b", "contains an invisible or direction-changing character"),
    ("a\u3164", "contains an invisible or direction-changing character"),
    ("a\u00adb", "contains an invisible or direction-changing character"),
    ("a\U000e0041", "contains an invisible or direction-changing character"),
    ("dir\\file", "contains a backslash"),
    ("a:b", "contains a character that Windows reserves"),
    ("a?", "contains a character that Windows reserves"),
    ("dodo.py::$DATA", "contains a character that Windows reserves"),
    ("a.", "starts with a space or ends with a dot or space"),
    ("a ", "starts with a space or ends with a dot or space"),
    (" a", "starts with a space or ends with a dot or space"),
    ("d./a", "starts with a space or ends with a dot or space"),
    ("CON", "is a Windows device name"),
    ("aux.c", "is a Windows device name"),
    ("x/Nul .txt", "is a Windows device name"),
    ("com1", "is a Windows device name"),
    ("LPT¹.log", "is a Windows device name"),
    ("conout$", "is a Windows device name"),
    ("noxfil~1.py", "reads as the short name of another file on Windows"),
    ("GIT~1", "reads as the short name of another file on Windows"),
    ("n" * 256, "has a name longer than 255 bytes"),
    ("é" * 128, "has a name longer than 255 bytes"),
    ("/".join(["n" * 200] * 6), "is longer than 1024 bytes"),
]

PLAIN = [
    "a",
    "a/b.c",
    "Ünïcode/日本.txt",
    ".hidden",
    "console.log",
    "com",
    "com10",
    "a~b",
    "draft~1~",
    "a b",
    "-x",
    "é",
]


@pytest.mark.parametrize(("path", "clause"), UNSAFE.items())
def test_a_path_that_could_leave_is_named(path: str, clause: str) -> None:
    assert unsafe(path) == clause


@pytest.mark.parametrize(("path", "clause"), UNPORTABLE)
def test_a_name_that_cannot_stand_everywhere_is_named(path: str, clause: str) -> None:
    assert unportable(path) == clause


@pytest.mark.parametrize("path", PLAIN)
def test_a_plain_name_is_neither(path: str) -> None:
    assert (unsafe(path), unportable(path), git_name(path)) == ("", "", "")


GIT = [".git", ".GIT", ".Git", ".git.", ".git ", ".git. .", ".g\u200cit", "\ufeff.git", ".git:x",
       ".git::$INDEX_ALLOCATION", "git~1", "GIT~2", ".gi\u200dt", ".\u206agit",
       ".GIt\\", ".git\\config", "a\\git~1\\b"]  # fmt: skip
NOT_GIT = [".gitignore", ".github", "git", "x.git", ".git2", "git~x", ".gitt"]


@pytest.mark.parametrize("name", GIT)
def test_every_way_to_write_git_is_seen_at_any_depth(name: str) -> None:
    assert reads_as_git(name)
    assert git_name(f"a/{name}/config") == name


@pytest.mark.parametrize("name", NOT_GIT)
def test_what_only_looks_like_git_is_left_alone(name: str) -> None:
    assert not reads_as_git(name)


@given(ANY_TEXT)
def test_display_shows_no_character_that_acts(text: str) -> None:
    shown = display(text)
    assert all(unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Zl", "Zp") for char in shown)
    shown.encode("utf-8")


@given(ANY_TEXT, ANY_TEXT)
def test_display_is_injective(one: str, other: str) -> None:
    assert (display(one) == display(other)) is (one == other)


_ESCAPED = st.text(st.sampled_from("\\xu08f\x08\udc88\u200e\U000e0041"), max_size=8)


@given(_ESCAPED, _ESCAPED)
def test_display_is_injective_among_texts_that_look_like_escapes(one: str, other: str) -> None:
    assert (display(one) == display(other)) is (one == other)


@given(ANY_TEXT)
def test_folding_twice_is_folding_once(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@given(st.text(max_size=12))
def test_forms_that_platforms_take_for_one_fold_alike(text: str) -> None:
    for other in (
        unicodedata.normalize("NFC", text),
        unicodedata.normalize("NFD", text),
        text.casefold(),
    ):
        assert fold(other) == fold(text)


@given(ANY_TEXT)
def test_judging_a_name_never_raises(text: str) -> None:
    path_guard.unsafe(text)
    path_guard.unportable(text)
    path_guard.git_name(text)


PROTECTED = [
    ".git/config",
    "a/.git",
    "a/.git/hooks/x",
    ".env",
    ".env.local",
    "a/.env",
    ".env.d/x",
    "a/.env.d/x",
    "dodo.py",
    "DODO.PY",
    "Dodo.py",
    "dodo.cpython-311-x86_64-linux-gnu.so",
    "Dodo/__init__.py",
    "dodo/sub/x",
    "dodo",
    "__pycache__/dodo.cpython-311.pyc",
    "__PyCache__/noxfile.cpython-311.pyc",
    "noxfile.py",
    "doit.cfg",
    "DOIT.CFG",
    "Doit\u200c.cfg",
    "factory.toml",
    ".factory/ledger.jsonl",
    ".github/workflows/x.yml",
    ".GitHub/Workflows/x.yml",
    "Packs/T-1/task.yml",
    "packs/t-1/TASK.YML",
    "Packs/T-1/risk.md",
    "Licence",
    "LICENCE",
]


@pytest.mark.parametrize("path", PROTECTED)
def test_the_protected_list_holds_in_every_case(path: str) -> None:
    assert is_protected(path, protected_patterns("Packs", ("LICENCE",)))


@pytest.mark.parametrize(
    "pattern", [each for patterns in RUN_BY_THEMSELVES.values() for each in patterns]
)
def test_what_others_run_by_themselves_is_protected(pattern: str) -> None:
    protected = protected_patterns("taskpacks")
    path = pattern.replace("**/", "app/").replace("*", "x")
    for each in (path, path.removeprefix("app/"), path.upper()):
        assert is_protected(f"{each}a/b.yml" if each.endswith("/") else each, protected)
        assert is_protected(each.rstrip("/"), protected)  # a link by that name


def test_the_trust_page_lists_them_all() -> None:
    page = (Path(__file__).parents[3] / "docs/factory/TRUST.md").read_text("utf-8")
    for subject, patterns in RUN_BY_THEMSELVES.items():
        assert f"| {subject} | {', '.join(f'`{each}`' for each in patterns)} |" in page


@pytest.mark.parametrize(
    "path", ["a/dodo.py", "Packs/T-1/notes.md", "Packs/T-1/sub/task.yml", "env", "github/x"]
)
def test_what_the_list_does_not_name_is_not_protected(path: str) -> None:
    assert not is_protected(path, protected_patterns("Packs"))


LINKS = [
    ("l", "x", False),
    ("l", "./x/y", False),
    ("l", ".", False),
    ("a/l", "../x", False),
    ("a/b/l", "../../x", False),
    ("a/l", "..", False),
    ("l", "..", True),
    ("l", "../x", True),
    ("a/l", "../../x", True),
    ("l", "a/../b", True),  # `a` may be a link to somewhere shallower
    ("a/b/l", "c/../../../../x", True),
    ("l", "/etc/passwd", True),
    ("l", "\\\\server\\x", True),
    ("l", "C:/x", True),
    ("l", "..\\x", True),
    ("l", "", True),
    ("l", ".git/config", True),
    ("a/l", "../.GIT", True),
]


@pytest.mark.parametrize(("path", "target", "escapes"), LINKS)
def test_a_link_may_only_go_up_at_its_start(path: str, target: str, escapes: bool) -> None:
    assert link_escapes(path, target) is escapes


def test_names_that_fold_to_one_are_collisions_at_every_depth() -> None:
    tree = tree_from_leaves(
        [(p, LEAF) for p in ("a/x", "A/y", "d/ß", "d/SS", "one", "é", "e\u0301")], "sha1"
    )
    found = {"A/y": "a", "d/ß": "d/SS", "é": "e\u0301"}
    asked = ["A/y", "d/ß", "one", "é"]
    assert collisions(tree, asked, Tree({})) == found
    assert collisions(tree, asked, tree) == {}
    for gone in ("a/x", "A/y"):  # one of the two names is new
        assert collisions(tree, asked, tree.changed({gone: None})) == {"A/y": "a"}
    assert collisions(tree, ["A/new"], tree.changed({"d/SS": None})) == {}


def test_a_path_below_what_is_no_folder_collides_with_nothing() -> None:
    assert collisions(tree_from_leaves([("a", LEAF)], "sha1"), ["a/b/c"], Tree({})) == {}


@given(st.lists(st.text(st.characters(max_codepoint=127)) | st.text(), max_size=4))
def test_many_names_fold_as_each_does_and_ascii_as_everything(names: list[str]) -> None:
    assert fold_all(names) == [fold(name) for name in names]
    for name in names:
        composed = unicodedata.normalize(
            "NFC", "".join(char for char in name if char not in path_guard._IGNORABLE)
        )
        assert fold(name) == unicodedata.normalize(
            "NFC", unicodedata.normalize("NFD", composed).casefold()
        )
