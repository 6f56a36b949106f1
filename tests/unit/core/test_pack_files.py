"""Which existing files of task packs' folders a pack may change: outputs that are no program."""

from __future__ import annotations

import pytest

from factory.judge.judge import Contents, judge_change, read_contents, rules_of
from factory.judge.pack_files import PROGRAMS, is_pack_file, may_run
from factory.judge.path_guard import protected_patterns
from factory.model.pack import Artifacts, Scope
from factory.model.tree import MODE_EXECUTABLE, MODE_FILE, MODE_LINK, Difference, Leaf, Tree
from factory.verify.pack_files import _READ_BY_TOOLS, _read_by_tools
from tests.pack_values import added, leaf, pack

OUTPUTS = Artifacts(optional=("taskpacks/T-1-x/out/",))
RULES = rules_of(pack(scope=Scope(("**",)), artifacts=OUTPUTS), protected_patterns("taskpacks"))


def ids(change: Difference, scripts: frozenset[str] = frozenset()) -> list[str]:
    found = judge_change(RULES, [change], Tree({}), Contents({}, scripts))
    return [finding.id for finding in found]


def changed(path: str, before: int = MODE_FILE, after: int = MODE_FILE) -> Difference:
    return Difference(path, leaf("old", before), leaf("new", after))


@pytest.mark.parametrize(
    "path",
    [
        "taskpacks/T-1-x/check.sh",
        "taskpacks/T-1-x/expected.json",
        "taskpacks/T-2-y/notes.txt",
        "taskpacks/T-2-y/deep/er/data.csv",
        "taskpacks/T-1-x/out/run.py",
        "taskpacks/T-1-x/out/SETTINGS.TOML",
        "taskpacks/T-1-x/out/Makefile",
        "taskpacks/T-1-x/out/.hidden",
        "taskpacks/T-2-y/out/index.json",
    ],
)
def test_an_existing_file_of_a_packs_folder_is_protected(path: str) -> None:
    assert ids(changed(path)) == ["PACK_FILE_CHANGED"]
    assert ids(Difference(path, leaf("old"), None)) == ["PACK_FILE_CHANGED"]
    own = path.startswith("taskpacks/T-1-x/")
    assert ids(added(path)) == ([] if own else ["PACK_FILE_CHANGED"]), "new ones in its own only"


def test_an_output_that_is_no_program_may_be_rewritten() -> None:
    path = "taskpacks/T-1-x/out/index.json"
    assert ids(changed(path)) == []
    assert ids(changed(path, after=MODE_EXECUTABLE)) == ["PACK_FILE_CHANGED"]
    assert ids(changed(path, before=MODE_EXECUTABLE)) == ["PACK_FILE_CHANGED"]
    assert ids(changed(path), frozenset((path,))) == ["PACK_FILE_CHANGED"]
    assert ids(Difference(path, leaf("old"), None)) == ["PACK_FILE_CHANGED"]


@pytest.mark.parametrize("path", ["src/taskpacks/T-1-x/a", "taskpacks/README.md", "src/a.py"])
def test_other_files_are_not_packs(path: str) -> None:
    assert ids(changed(path)) == []
    assert not is_pack_file(path, "taskpacks")


def test_scripts_are_found_on_either_side() -> None:
    blobs = {"1" * 40: b"#!/bin/sh", "2" * 40: b"text", "3" * 40: b"#!x", "4" * 40: b"target"}

    def side(digit: str, mode: int = MODE_FILE) -> Leaf:
        return Leaf(mode, digit * 40)

    here = "taskpacks/T-1-x/"
    changes = [
        Difference(f"{here}before", side("1"), side("2")),
        Difference(f"{here}after", side("2"), side("3")),
        Difference(f"{here}gone", side("3"), None),
        Difference(f"{here}plain", side("2"), side("2", MODE_EXECUTABLE)),
        Difference(f"{here}new", None, side("3")),
        Difference("src/elsewhere", side("1"), side("3")),
        Difference("src/link", None, side("4", MODE_LINK)),
    ]
    found = read_contents(RULES, changes, lambda wanted: {oid: blobs[oid] for oid in wanted})
    assert found.scripts == {f"{here}before", f"{here}after", f"{here}gone"}
    assert found.links == {"src/link": "target"}


def test_the_checker_has_the_same_table_in_its_own_words() -> None:
    assert PROGRAMS == _READ_BY_TOOLS
    for name in ("a.py", "A.PY", "Makefile", ".x", "a.json", "a.tar.gz", "a.b.sh", "a.", "x.csv"):
        assert may_run(f"d/{name}") == _read_by_tools(f"d/{name}"), name
