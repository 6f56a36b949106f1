"""The judge of [tool.doit], and the checker's own: every way to touch the table, and what is none.

Both are asked the same, so that a change which one lets through is never refused by the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pytest
from doit.doit_cmd import DoitConfig, DoitMain
from hypothesis import given
from hypothesis import strategies as st

from factory.judge.doit_table import judge_doit_table, names_read
from factory.model.tree import MODE_FILE, MODE_LINK, MODE_SUBMODULE, Leaf, Tree, object_id
from factory.run.doit_table import judge_configuration
from factory.verify import trees
from factory.verify.change import DerivedChange
from factory.verify.doit_table import tables_touched

OTHER = "[project]\nname = 'x'\n"
TABLE = "[tool.doit]\nverbosity = 1\n"
KEPT = {
    "nothing": (OTHER, OTHER),
    "another table": (OTHER + TABLE, "[project]\nname = 'y'\n[tool.ruff]\nx = 1\n" + TABLE),
    "another spelling": (TABLE, "tool.doit.verbosity = 0x1\n"),
    "a new file": (None, OTHER),
    "a file that is gone": (OTHER, None),
    "a table of another tool": (OTHER, OTHER + "[tool.doit-like]\nx = 1\n"),
    "a table of its name elsewhere": (OTHER, OTHER + "[doit]\nx = 1\n"),
    "its header in a string": (OTHER, OTHER + 'text = """\n[tool.doit]\n"""\n'),
    "a date beside it": (TABLE, TABLE + "[project]\nsince = 2024-01-01\n"),
    "the same bytes that nobody can read": ("[", "["),
    "Windows lines": (TABLE, TABLE.replace("\n", "\r\n")),
}
TOUCHED = {
    "added": (OTHER, OTHER + TABLE),
    "added, empty": (OTHER, "[tool.doit]\n"),
    "added with the file": (None, TABLE),
    "removed": (OTHER + TABLE, OTHER),
    "removed with the file": (TABLE, None),
    "changed": (TABLE, TABLE.replace("1", "2")),
    "another type of the same value": (TABLE, TABLE.replace("1", "true")),
    "a key more": (TABLE, TABLE + "dodoFile = 'x.py'\n"),
    "a table below it": (TABLE, TABLE + "[tool.doit.plugins.command]\nrun = 'x:Run'\n"),
    "dotted": (OTHER, "tool.doit.dodoFile = 'x.py'\n"),
    "quoted": (OTHER, '["to\\u006fl"."d\\u006fit"]\ndodoFile = "x.py"\n'),
    "inline": (OTHER, "tool = {doit = {dodoFile = 'x.py'}}\n"),
    "tool that is no table": (TABLE, "tool = 1\n"),
    "unreadable after": (OTHER, OTHER + "["),
    "unreadable before": ("[", OTHER),
    "a carriage return that doit reads as a new line": (OTHER, OTHER + "#\r[tool.doit]\r#\n"),
    "no UTF-8": (OTHER, OTHER + "# \udcff\n"),
    "too long": (OTHER, OTHER + "#" * 1024 * 1024),
    "nested beyond all bounds": (OTHER, f"a = {'[' * 5000}{']' * 5000}\n"),
    "a key beyond all bounds": (OTHER, f"{'a.' * 5000}a = 1\n"),
    "a number beyond all bounds": (OTHER, f"a = {'1' * 5000}\n"),
}


def raw(text: str | None) -> bytes | None:
    return None if text is None else text.encode("utf-8", "surrogateescape")


def checked(
    before: bytes | None, after: bytes | None, name: str = "pyproject.toml", mode: int = MODE_FILE
) -> list:
    """What the checker says of the same change."""
    contents = {
        object_id("blob", text, "sha1"): text for text in (before, after) if text is not None
    }
    sides = [
        trees.TreeEntry(MODE_FILE, object_id("blob", text, "sha1")) if text is not None else None
        for text in (before, after)
    ]
    if sides[1] is not None:
        sides[1] = trees.TreeEntry(mode, sides[1].oid)
    return list(tables_touched(DerivedChange({trees.parts(name): (sides[0], sides[1])}, contents)))


@pytest.mark.parametrize("case", KEPT)
def test_what_leaves_the_table_as_it_was_passes(case: str) -> None:
    before, after = map(raw, KEPT[case])
    assert judge_doit_table("T-1", "pyproject.toml", before, after) == ()
    assert checked(before, after) == []


@pytest.mark.parametrize("case", TOUCHED)
def test_what_touches_the_table_or_cannot_be_compared_is_refused(case: str) -> None:
    before, after = map(raw, TOUCHED[case])
    (finding,) = judge_doit_table("T-1", "pyproject.toml", before, after)
    assert (finding.id, finding.pack, finding.blocks) == ("PATH_PROTECTED", "T-1", True)
    assert len(checked(before, after)) == 1


@pytest.mark.parametrize(
    ("case", "clause"),
    [
        ("added", "and [tool.doit] in it was added"),
        ("removed", "and [tool.doit] in it was removed"),
        ("changed", "and [tool.doit] in it was changed"),
        ("unreadable after", "and cannot be compared: after the change, it is not valid TOML"),
        ("unreadable before", "and cannot be compared: before the change, it is not valid TOML"),
    ],
)
def test_the_sentence_says_what_was_done(case: str, clause: str) -> None:
    (finding,) = judge_doit_table("T-1", "pyproject.toml", *map(raw, TOUCHED[case]))
    assert (
        finding.message
        == f"pyproject.toml was changed, {clause}; what doit loads on the host is protected from"
        " every pack"
    )
    assert finding.hint.endswith("change that table by hand, outside a pack.")


def test_names_are_those_that_some_platform_opens_for_doit() -> None:
    names = (
        "pyproject.toml",
        "PyProject.TOML",
        "pyproject\u200c.toml",
        "pyproject.tom",
        "xpyproject.toml",
    )
    assert names_read(names) == set(names[:3])
    assert len(checked(None, raw(TABLE), "PyProject.TOML")) == 1
    assert checked(None, raw(TABLE), "sub/pyproject.toml") == []


def test_stock_doit_reads_no_other_file_by_itself() -> None:
    """What is judged and what is protected by name: a release of doit that reads more has to be
    looked at.
    """
    assert DoitMain.__init__.__defaults__ == (None, ("pyproject.toml", "doit.cfg"), None)


@given(st.text(st.sampled_from("[]tol.di\"'=1\n {}#\\,"), max_size=40))
def test_a_text_from_which_doit_takes_something_never_passes(text: str) -> None:
    if judge_doit_table("T-1", "pyproject.toml", raw(OTHER), raw(text)) == ():
        tool = DoitConfig().toml.loads(text).get("tool", {})
        assert "doit" not in tool
        assert checked(raw(OTHER), raw(text)) == []


class Blobs:
    """Blobs by id, as the rule reads them of a store."""

    def __init__(self, *contents: str) -> None:
        self.known = {object_id("blob", text.encode(), "sha1"): text.encode() for text in contents}

    def read(self, oids: Iterable[str]) -> Mapping[str, bytes]:
        return {oid: self.known[oid] for oid in oids}


def whole(files: Mapping[str, tuple[int, str]]) -> Tree:
    entries = {
        path: Leaf(mode, object_id("blob", text.encode(), "sha1"))
        for path, (mode, text) in files.items()
    }
    return Tree({}).changed(entries)


FILE = (MODE_FILE, OTHER)
WITH = (MODE_FILE, TABLE)
PYPROJECT = "pyproject.toml"


def link(target: str) -> tuple[int, str]:
    return MODE_LINK, target


@pytest.mark.parametrize(
    ("before", "after", "refused"),
    [
        ({PYPROJECT: FILE}, {PYPROJECT: link("x"), "x": FILE}, True),
        ({}, {PYPROJECT: link("x")}, True),
        ({PYPROJECT: link("x"), "x": FILE}, {PYPROJECT: link("x"), "x": WITH}, True),
        ({PYPROJECT: link("x")}, {PYPROJECT: link("x"), "x": WITH}, True),
        (
            {PYPROJECT: link("a/x"), "a/x": FILE},
            {PYPROJECT: link("a/x"), "a": link("b"), "b/x": WITH},
            True,
        ),
        (
            {PYPROJECT: link("a/x"), "a/x": link("../y"), "y": FILE},
            {PYPROJECT: link("a/x"), "a/x": link("../y"), "y": WITH},
            True,
        ),
        ({PYPROJECT: link("x"), "x": FILE}, {PYPROJECT: link("x"), "x": FILE, "y": WITH}, False),
        ({PYPROJECT: link("x"), "x": WITH}, {PYPROJECT: WITH}, False),
        ({PYPROJECT: link("x"), "x": WITH}, {PYPROJECT: FILE}, True),
        ({PYPROJECT: link("/x")}, {PYPROJECT: link("/x"), "x": WITH}, False),
        ({PYPROJECT: link("../x")}, {PYPROJECT: link("../x"), "x": WITH}, False),
        ({PYPROJECT: link(PYPROJECT)}, {PYPROJECT: link(PYPROJECT), "x": WITH}, False),
        ({PYPROJECT: WITH}, {f"{PYPROJECT}/x": FILE}, True),
        ({PYPROJECT: WITH}, {"PyProject.toml": WITH}, True),
        ({}, {"PyProject.toml": WITH}, True),
        ({}, {"sub/pyproject.toml": WITH, "x": FILE}, False),
    ],
)
def test_links_are_followed_and_none_may_be_made(
    before: Mapping[str, tuple[int, str]], after: Mapping[str, tuple[int, str]], refused: bool
) -> None:
    blobs = Blobs(*(text for files in (before, after) for _, text in files.values()))
    found = judge_configuration(blobs, "T-1", whole(before), whole(after))  # type: ignore[arg-type]
    assert {finding.id for finding in found} == ({"PATH_PROTECTED"} if refused else set())


def test_a_submodule_in_its_place_is_no_file() -> None:
    after = Tree({PYPROJECT: Leaf(MODE_SUBMODULE, "1" * 40)})
    assert judge_configuration(Blobs(), "T-1", Tree({}), after) == ()  # type: ignore[arg-type]


def test_the_checker_refuses_a_link() -> None:
    assert "symbolic link" in checked(raw(OTHER), b"x", mode=MODE_LINK)[0][1]


def test_a_mode_alone_needs_no_content() -> None:
    oid = object_id("blob", b"x", "sha1")
    sides = (trees.TreeEntry(MODE_FILE, oid), trees.TreeEntry(0o100755, oid))
    assert list(tables_touched(DerivedChange({trees.parts(PYPROJECT): sides}, {}))) == []
