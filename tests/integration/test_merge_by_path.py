"""A three-way merge follows no rename that Git guesses, whatever version of Git merges the lines."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from random import Random

import pytest

from factory.git.git import find_git
from factory.git.objects import GitObjects
from factory.merge.three_way import three_way_of
from factory.model.tree import MODE_EXECUTABLE, MODE_FILE, MODE_LINK, Leaf, Tree
from factory.verify import three_way as checker
from factory.verify.repository import RepositoryObjects
from factory.verify.trees import Clash, Trees
from tests.git_world import World, git

TEXT = "".join(f"line {number}\n" for number in range(30))
FIRST = TEXT.replace("line 2\n", "second\n")
LAST = TEXT.replace("line 29\n", "end\n")
MORE = TEXT + "one more\n"
Files = Mapping[str, str | tuple[int, str]]


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    made.commit({"README": "x\n"})
    return made


def tree(objects: GitObjects, files: Files) -> Tree:
    """Store a tree of these files: text, or (mode, text)."""
    leaves: dict[str, Leaf | Tree | None] = {}
    for path, file in files.items():
        mode, text = (MODE_FILE, file) if isinstance(file, str) else file
        leaves[path] = Leaf(mode, objects.write_blob(text.encode()))
    made = Tree({}, objects.hash_name).changed(leaves)
    objects.write_tree(made)
    return made


def checked(objects: GitObjects, base: Tree, ours: Tree, theirs: Tree) -> str:
    """Return the id of the tree that the checker's own merge makes, "" for a conflict."""
    payloads = {one.oid: one.payload for top in (base, ours, theirs) for one in top.trees()}
    trees = Trees(objects.hash_name, payloads)
    leaves = [leaf for top in (base, ours, theirs) for _, leaf in top.leaves()]
    contents = objects.read({leaf.oid for leaf in leaves})
    with RepositoryObjects(objects.repository.common_dir / "objects", objects.hash_name) as asked:
        try:
            return checker.merged(trees, base.oid, ours.oid, theirs.oid, asked, contents)
        except Clash:
            return ""


CONFLICTS: dict[str, tuple[Files, Files, Files, tuple[str, ...]]] = {
    "an edit against a removal, beside a new file much like the removed one": (
        {"old": TEXT, "other": "o\n"},
        {"old": FIRST, "other": "o\n"},
        {"new": MORE, "other": "o\n"},
        ("old",),
    ),
    "one file, moved to two places": (
        {"old": TEXT, "k": "k\n"},
        {"one": TEXT, "old": FIRST},
        {"two": TEXT, "k": "k\n"},
        ("old",),
    ),
    "a moved folder, of which a file was edited": (
        {"d/a": TEXT, "d/b": MORE},
        {"e/a": TEXT, "e/b": MORE},
        {"d/a": TEXT, "d/b": MORE + "x\n"},
        ("d/b",),
    ),
    "a folder where the other side has a file": (
        {"x": "x\n"}, {"x": "x\n", "d": "file\n"}, {"x": "x\n", "d/e/f": "below\n"}, ("d/e/f",),
    ),
    "a file where the other side has a folder": (
        {"x": "x\n"}, {"x": "x\n", "d/e/f": "below\n"}, {"x": "x\n", "d": "file\n"}, ("d",),
    ),
    "a new file on both sides": ({"x": "x\n"}, {"x": "x\n", "n": "a\n"}, {"x": "x\n", "n": "b\n"}, ("n",)),
    "a link on one side and lines on the other": (
        {"x": TEXT}, {"x": (MODE_LINK, "y")}, {"x": FIRST}, ("x",),
    ),
    "the same line": ({"x": TEXT}, {"x": FIRST}, {"x": TEXT.replace("line 2\n", "2\n")}, ("x",)),
    "bytes that are no text": ({"x": "\0a"}, {"x": "\0b"}, {"x": "\0c"}, ("x",)),
}  # fmt: skip


@pytest.mark.parametrize("case", CONFLICTS)
def test_what_cannot_be_merged_by_path_is_a_conflict_there(world: World, case: str) -> None:
    *files, paths = CONFLICTS[case]
    with world.objects() as objects:
        base, ours, theirs = (tree(objects, one) for one in files)
        merge = three_way_of(objects)
        assert merge(base, ours, theirs)[1] == paths
        assert checked(objects, base, ours, theirs) == ""
        assert merge(base, theirs, ours)[1] != ()
        assert checked(objects, base, theirs, ours) == ""


CLEAN: dict[str, tuple[Files, Files, Files, Files]] = {
    "a new file in a folder that was moved stays where it was put": (
        {"d/a": TEXT, "d/b": MORE}, {"e/a": TEXT, "e/b": MORE},
        {"d/a": TEXT, "d/b": MORE, "d/new": "n\n"}, {"e/a": TEXT, "e/b": MORE, "d/new": "n\n"},
    ),
    "two moves of one file with nothing else": (
        {"old": TEXT, "k": "k\n"}, {"one": TEXT, "k": "k\n"}, {"two": TEXT, "k": "k\n"},
        {"one": TEXT, "two": TEXT, "k": "k\n"},
    ),
    "both ends of a file": (
        {"x": TEXT}, {"x": FIRST}, {"x": LAST}, {"x": FIRST.replace("line 29\n", "end\n")},
    ),
    "a mode and a line": (
        {"x": TEXT}, {"x": (MODE_EXECUTABLE, TEXT)}, {"x": LAST}, {"x": (MODE_EXECUTABLE, LAST)},
    ),
    "a folder that both emptied, and a file in its place": (
        {"d/a": "a\n", "k": "k\n"}, {"d": "file\n", "k": "k\n"}, {"k": "k\n"}, {"d": "file\n", "k": "k\n"},
    ),
    "one change on both sides": ({"x": TEXT, "y": "y"}, {"x": FIRST}, {"x": FIRST, "z": "z"}, {"x": FIRST, "z": "z"}),
}  # fmt: skip


@pytest.mark.parametrize("hash_name", ["sha1", "sha256"])
@pytest.mark.parametrize("case", CLEAN)
def test_a_merge_by_path_loses_nothing(tmp_path: Path, case: str, hash_name: str) -> None:
    world = World(tmp_path, hash_name)
    world.commit({"README": "x\n"})
    with world.objects() as objects:
        base, ours, theirs, due = (tree(objects, files) for files in CLEAN[case])
        for one, other in ((ours, theirs), (theirs, ours)):
            assert three_way_of(objects)(base, one, other) == (due, ())
            assert checked(objects, base, one, other) == due.oid


def test_the_merge_is_what_git_makes_when_it_is_kept_from_renames(world: World) -> None:
    """Git is asked about random changes by its strategy `recursive`, which heeds `no-renames` also
    in 2.39; `ort` does not there.
    """
    names = ("a", "b", "c/d", "c/e", "f/g/h", "f/g/i", "f/j")
    texts = (TEXT, FIRST, LAST, MORE, FIRST + "tail\n", "short\n")
    seen = set()
    with world.objects() as objects:
        for seed in range(24):
            random = Random(seed)
            base: Files = dict.fromkeys(names, TEXT)
            sides: list[Files] = []
            for _ in range(2):
                side = dict(base)
                for name in random.sample(names, 3):
                    del side[name]
                    what = random.choice(["edit", "edit", "remove", "move", "mode"])
                    if what != "remove":
                        mode = MODE_EXECUTABLE if what == "mode" else MODE_FILE
                        place = f"{name}.moved" if what == "move" else name
                        side[place] = (mode, random.choice(texts))
                sides.append(side)
            trees = [tree(objects, files) for files in (base, *sides)]
            merged, conflicts = three_way_of(objects)(*trees)
            due = merged_by_git(world, objects, [one.oid for one in trees])
            found = "" if conflicts else objects.write_tree(merged)
            assert found == due, (seed, sides, conflicts)
            assert checked(objects, *trees) == due, seed
            seen.add(bool(conflicts))
    assert seen == {True, False}


def merged_by_git(world: World, objects: GitObjects, trees: list[str]) -> str:
    """Return the tree that stock Git makes of base, ours and theirs; "" for a conflict."""
    variables = {"GIT_ALTERNATE_OBJECT_DIRECTORIES": str(objects.folder)}

    def asked(*words: str, ok: bool = True) -> str:
        return git(world.root, *words, ok=ok, variables=variables).decode().strip()

    root = asked("commit-tree", trees[0], "-m", "base")
    ours, theirs = (asked("commit-tree", one, "-p", root, "-m", "side") for one in trees[1:])
    asked("checkout", "-q", "--force", "--detach", ours)
    words = ("-q", "--no-commit", "-s", "recursive", "-X", "no-renames")
    asked("merge", *words, theirs, ok=False)
    clean = not asked("ls-files", "--unmerged")
    merged = asked("write-tree") if clean else ""
    asked("reset", "-q", "--hard", ours)
    return merged


def test_a_git_that_is_bent_on_renames_gives_the_same_answer(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if a later setting won: a Git that is configured to follow renames and copies."""
    folder = world.root.parent / "bin"
    folder.mkdir()
    real = find_git(world.root)
    words = "-c merge.renames=copies -c merge.directoryRenames=true -c merge.renameLimit=9999"
    wrapper = folder / "git"
    wrapper.write_text(
        "#!/usr/bin/env python3\nimport os, sys\n"
        "words = sys.argv[1:]\n"
        "at = words.index('merge-tree') if 'merge-tree' in words else 0\n"
        f"words[at:at] = {words.split()!r}\n"
        f"os.execv({real!r}, [{real!r}, *words])\n"
    )
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    with world.objects() as objects:
        assert objects.git.program == str(wrapper)
        base, ours, theirs = (
            tree(objects, files)
            for files in (
                {"b": TEXT, "z": TEXT},
                {"b": FIRST, "z": FIRST},
                {"all": MORE, "z": LAST},
            )
        )
        assert three_way_of(objects)(base, ours, theirs)[1] == ("b",)
