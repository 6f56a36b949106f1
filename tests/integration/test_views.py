"""Views on disk and under real overlay mounts: exact content, a clean private `.git`, nothing half
built.
"""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from factory.git import index as git_index
from factory.git.derive import apply_layer
from factory.git.objects import GitObjects
from factory.git.scanner import scan
from factory.git.views import ViewStore
from factory.model.errors import Refusal
from factory.model.tree import MODE_EXECUTABLE, MODE_SUBMODULE, Leaf, Tree
from factory.sandbox.values import LayerKind
from tests.git_world import World, files_in, files_of, git, leaf, link
from tests.overlay_mount import KINDS, overlays
from tests.sample import examples

ME = (os.geteuid(), os.getegid())
FILES: dict[str, str | bytes | None] = {
    "a/x": "x\n",
    "a/y": "y\n",
    "a/deep/er/z": "z\n",
    "b": "b",
    "crlf.txt": b"one\r\ntwo\n",
    "run.sh": "#!/bin/sh\n",
    "to": "-> a/x",
    "dangling": "-> /nowhere",
    "empty": "",
    ".gitattributes": "* text=auto eol=crlf ident filter=lfs\n*.txt working-tree-encoding=UTF-16\n",
    ".gitignore": "*.o\n",
    "naïve é/\udcff": "odd",
}


@pytest.fixture(params=["sha1", "sha256"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    return filled(World(tmp_path, request.param))


@pytest.fixture
def plain(tmp_path: Path) -> World:
    return filled(World(tmp_path))


def filled(world: World) -> World:
    world.commit({path: content for path, content in FILES.items() if path != ".gitattributes"})
    rules = (
        world.git("hash-object", "-w", "--stdin", stdin=str(FILES[".gitattributes"]).encode())
        .decode()
        .strip()
    )
    world.git("update-index", "--add", "--cacheinfo", f"100644,{rules},.gitattributes")
    world.git("update-index", "--add", "--cacheinfo", f"160000,{world.head()},sub")
    world.git("commit", "-q", "-m", "attributes and a submodule")
    return world


def without_submodules(tree: Tree) -> Tree:
    return tree.changed(
        {path: None for path, entry in tree.leaves() if entry.mode == MODE_SUBMODULE}
    )


def snapshot(root: Path) -> dict[str, tuple[int, int, int]]:
    return {
        str(path): (s.st_mtime_ns, s.st_ino, s.st_size)
        for path in files_below(root)
        for s in [path.lstat()]
    }


def files_below(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_symlink() or not path.is_dir()]


def test_a_base_holds_exactly_the_tree(world: World, tmp_path: Path) -> None:
    with world.objects() as objects:
        tree = objects.tree_of(world.head())
        base = ViewStore(objects, tmp_path / "cache", ME).base(tree)
        assert files_of(base) == files_in(objects, without_submodules(tree))
    assert list((base / "sub").iterdir()) == []
    for path in [base, *base.rglob("*")]:
        status = path.lstat()
        if path != base / ".git/index" and not path.name.startswith("sharedindex."):
            assert status.st_mtime_ns == 315_532_800 * 10**9, path
        assert (status.st_uid, status.st_gid) == ME
        if not path.is_symlink():
            assert stat.S_IMODE(status.st_mode) in (0o644, 0o755)


def test_git_inside_finds_everything_clean_and_writes_nothing(world: World, tmp_path: Path) -> None:
    with world.objects() as objects:
        tree = objects.tree_of(world.head())
        base = ViewStore(objects, tmp_path / "cache", ME).base(tree)
    before = snapshot(base)
    assert git(base, "status", "--porcelain", "--branch") == b"## main\n"
    assert git(base, "diff-files", "--name-only") == b""
    assert git(base, "rev-parse", "HEAD^{tree}").decode().strip() == tree.oid
    assert git(base, "rev-list", "--all", "--count") == b"1\n"
    assert (
        git(base, "log", "-1", "--format=%an %ad %s", "--date=unix")
        == b"Codex Orchestrator 315532800 the visible tree\n"
    )
    git(base, "fsck", "--strict", "--full")
    assert snapshot(base) == before


def test_history_and_other_objects_are_not_inside(plain: World, tmp_path: Path) -> None:
    plain.commit({"secret": "once there"})
    secret, old = plain.head("HEAD:secret"), plain.head()
    plain.commit({"secret": None})
    with plain.objects() as objects:
        store = ViewStore(objects, tmp_path / "cache", ME)
        base = store.base(objects.tree_of(plain.head()))
    for oid in (secret, old, plain.head()):
        assert git(base, "cat-file", "-t", oid, ok=False) == b""
    assert str(plain.root).encode() not in b"".join(
        path.read_bytes() for path in (base / ".git").rglob("*") if path.is_file()
    )


def test_a_commit_of_a_pack_has_a_name_and_works(plain: World, tmp_path: Path) -> None:
    with plain.objects() as objects:
        ViewStore(objects, tmp_path / "cache", ME).checkout(
            objects.tree_of(plain.head()), tmp_path / "full"
        )
    (tmp_path / "full/b").write_text("changed")
    named = {
        f"GIT_{who}_{what}": "" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    bare = {
        key: value for key, value in os.environ.items() if key not in named and key != "GIT_DIR"
    }
    subprocess.run(
        ["git", "commit", "-qam", "x"],
        cwd=tmp_path / "full",
        env={**bare, "HOME": "/proc/nonexistent"},
        check=True,
    )
    assert git(tmp_path / "full", "log", "--format=%an") == b"Pack\nCodex Orchestrator\n"


def test_a_base_is_built_once_and_shared(plain: World, tmp_path: Path) -> None:
    with plain.objects() as objects:
        tree = objects.tree_of(plain.head())
        first = ViewStore(objects, tmp_path / "cache", ME).base(tree)
        before = snapshot(first)
        assert ViewStore(objects, tmp_path / "cache", ME).base(tree) == first
        assert snapshot(first) == before
        other = tree.changed({"b": None})
        objects.write_tree(other)
        assert ViewStore(objects, tmp_path / "cache", ME).base(other) != first


def test_threads_that_ask_at_once_share_one_base(plain: World, tmp_path: Path) -> None:
    with plain.objects() as objects:
        tree = objects.tree_of(plain.head())
        found: list[Path] = []
        threads = [
            threading.Thread(
                target=lambda: found.append(ViewStore(objects, tmp_path / "cache", ME).base(tree))
            )
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(found) == 4
    assert len(set(found)) == 1
    names = [f".{tree.oid}.seal", tree.oid, f"{tree.oid}.lock"]
    assert sorted(path.name for path in found[0].parent.iterdir()) == names


def test_a_build_that_fails_leaves_nothing_and_the_next_one_works(
    plain: World, tmp_path: Path
) -> None:
    with plain.objects() as objects:
        tree = objects.tree_of(plain.head())
        absent = tree.changed({"zz": Leaf(MODE_EXECUTABLE, "1" * 40)})
        objects.write_tree(absent)
        store = ViewStore(objects, tmp_path / "cache", ME)
        with pytest.raises(Refusal, match="is missing"):
            store.base(absent)
        with pytest.raises(Refusal, match="is missing"):
            store.checkout(absent, tmp_path / "full")
        assert not (tmp_path / "full").exists()
        assert [path for path in (tmp_path / "cache").glob("*/*/*") if path.is_dir()] == []
        assert store.base(tree).is_dir()


def test_a_builder_that_was_killed_leaves_no_half_base(plain: World, tmp_path: Path) -> None:
    script = """
import os, sys
from pathlib import Path
from factory.git import view_files, views
from factory.git.objects import GitObjects
from factory.git.repository import discover
root, state, cache = map(Path, sys.argv[1:])
objects = GitObjects(discover(root, "HEAD"), state)
count = 0
write = view_files.ViewFiles.file
def last(self, path, *more, **named):
    if path == ".git/index":
        os.kill(os.getpid(), 9)
    write(self, path, *more, **named)
view_files.ViewFiles.file = last
views.ViewStore(objects, cache, (os.geteuid(), os.getegid())).base(objects.tree_of(objects.repository.commit))
"""
    words = [
        sys.executable,
        "-c",
        script,
        str(plain.root),
        str(plain.state),
        str(tmp_path / "cache"),
    ]
    assert subprocess.run(words, cwd=Path(__file__).parents[2]).returncode == -9
    assert [path.name for path in (tmp_path / "cache").glob("*/*/*.tmp")] != []
    with plain.objects() as objects:
        tree = objects.tree_of(plain.head())
        base = ViewStore(objects, tmp_path / "cache", ME).base(tree)
        assert files_of(base) == files_in(objects, without_submodules(tree))
    assert [path.name for path in (tmp_path / "cache").glob("*/*/*.tmp")] == []


@pytest.mark.parametrize("path", [".git/config", "a/.GIT/hooks/x", "GIT~1", "a/.g\u200cit"])
def test_a_tree_with_a_name_that_reads_as_git_is_refused(
    plain: World, tmp_path: Path, path: str
) -> None:
    with plain.objects() as objects:
        tree = objects.tree_of(plain.head()).changed({path: leaf(objects, "canary")})
        objects.write_tree(tree)
        with pytest.raises(Refusal) as caught:
            ViewStore(objects, tmp_path / "cache", ME).base(tree)
        assert caught.value.findings[0].id == "PATH_GIT_NAME"
        assert caught.value.findings[0].message.startswith(
            f"expected a tree that can be shown as files, found {path!r}, whose "
        )


def test_a_checkout_goes_to_an_empty_place_only(plain: World, tmp_path: Path) -> None:
    with plain.objects() as objects:
        tree = objects.tree_of(plain.head())
        store = ViewStore(objects, tmp_path / "cache", ME)
        (tmp_path / "full").mkdir()
        store.checkout(tree, tmp_path / "full")
        assert files_of(tmp_path / "full") == files_in(objects, without_submodules(tree))
        assert git(tmp_path / "full", "status", "--porcelain") == b""
        (tmp_path / "full/b").write_text("mine")
        with pytest.raises(Refusal) as caught:
            store.checkout(tree, tmp_path / "full")
        assert (
            caught.value.findings[0].message
            == f"expected an empty folder at '{tmp_path}/full', found '.git' in it"
        )
        assert (tmp_path / "full/b").read_text() == "mine"
        assert (ViewStore(objects, tmp_path / "cache", ME).base(tree) / "b").read_text() == "b"


def test_what_was_not_wanted_for_long_is_pruned(plain: World, tmp_path: Path) -> None:
    with plain.objects() as objects:
        tree = objects.tree_of(plain.head())
        store = ViewStore(objects, tmp_path / "cache", ME)
        base = store.base(tree)
        lock = base.with_name(f"{base.name}.lock")
        os.utime(lock, (1000, 1000))
        store.base(tree)
        now = lock.stat().st_mtime
        assert now > 1000
        assert store.prune(before=now - 60) == 0
        earlier = base.parents[1].with_name("v1-000000000000-0.0") / "bases/old"
        earlier.mkdir(parents=True)
        assert store.prune(before=now - 60) == 1
        assert not earlier.exists()
        assert store.prune(before=now + 60) == 1
        assert not base.exists()
        store.clean()
        assert not (tmp_path / "cache").exists()


def changed(objects: GitObjects, tree: Tree) -> Tree:
    """Every kind of change, file to folder and back, removed folders, submodules."""
    new = tree.changed(
        {
            "a/x": leaf(objects, "new x\n"),
            "a/deep": leaf(objects, "a folder became a file"),
            "b": None,
            "b/in/it": leaf(objects, "a file became a folder"),
            "crlf.txt": None,
            "run.sh": leaf(objects, "#!/bin/sh\n"),
            "empty": leaf(objects, "", MODE_EXECUTABLE),
            "to": link(objects, "b/in"),
            "naïve é": None,
            "n/e/w": leaf(objects, "new"),
            "aa": leaf(objects, "sorts between"),
            "sub": None,
            "sub/file": leaf(objects, "was a submodule"),
            "sub2": Leaf(MODE_SUBMODULE, "3" * len(tree.oid)),
        }
    )
    objects.write_tree(new)
    return new


@pytest.mark.parametrize("kind", KINDS)
def test_a_layer_over_its_base_shows_the_tree(
    world: World, tmp_path: Path, kind: LayerKind
) -> None:
    with world.objects() as objects:
        tree = objects.tree_of(world.head())
        store = ViewStore(objects, tmp_path / "cache", ME)
        assert store.layer(tree, tree) is None
        for number, (old, new) in enumerate(
            [(tree, changed(objects, tree)), (changed(objects, tree), tree)]
        ):
            layer = store.layer(old, new)
            assert layer is not None
            assert all(
                "overlay" not in name
                for path in layer.rglob("*")
                for name in os.listxattr(path, follow_symlinks=False)
            )
            script = (
                "git status --porcelain --branch; git rev-parse HEAD^{tree}; git fsck --full"
                " --strict"
            )
            with overlays(
                kind, tmp_path / f"ns{number}", [layer, store.base(old)], [script, "true"]
            ) as space:
                said = (space / "o0").read_text().splitlines()
                assert said[:2] == ["## main", new.oid]
                assert [line for line in said[2:] if "dangling" not in line] == []
                assert files_of(space / "m1") == files_in(objects, without_submodules(new))
                # the first Git inside renews the shared index's time and may write the small one;
                # nothing else
                written = {
                    str(path.relative_to(space / "u0")).split(".git/")[-1]
                    for path in files_below(space / "u0")
                }
                assert all(name == "index" or name.startswith("sharedindex.") for name in written)


def test_a_layer_costs_what_the_difference_costs(plain: World, tmp_path: Path) -> None:
    plain.commit({f"many/{number // 10}/{number}": str(number) for number in range(200)})
    with plain.objects() as objects:
        tree = objects.tree_of(plain.head())
        new = tree.changed({"many/7/70": leaf(objects, "changed")})
        objects.write_tree(new)
        store = ViewStore(objects, tmp_path / "cache", ME)
        layer = store.layer(tree, new)
        assert layer is not None
        assert files_of(layer) == {"many/7/70": (0o100644, b"changed")}
        assert (
            len([path for path in layer.rglob("*") if path.is_file()]) == 8
        )  # the file, 5 objects, ref, index
        assert (layer / ".git/index").stat().st_size < 250


OPERATIONS = [
    "true",
    "echo more >> a/x",
    "echo new > new; mkdir -p n/e/w; echo f > n/e/w/f",
    "rm a/x",
    "rm -r a",
    "rm -r a; mkdir a",
    "rm -r a; mkdir a; echo q > a/q",
    "rm -r a; mkdir -p a/deep/er; echo 2 > a/deep/er/z",
    "rm -r a; echo file > a",
    "rm b; mkdir b; echo q > b/q",
    "rm b; mkdir b",
    "chmod 755 b; chmod 644 run.sh",
    "chmod 755 b; chmod 644 b",
    "touch b; cat b > b2; cp b2 b; rm b2",
    "mv b c",
    "mv a z",
    "mv a/deep a/x2",
    "mv a/x a/t; mv a/y a/x; mv a/t a/y",
    "ln -sf b to",
    "rm to; echo file > to",
    "rm b; ln -s a b",
    "ln b hard; echo q >> hard",
    "mkdir only/folders -p",
    "rmdir sub",
    "rmdir sub; mkdir sub",
    "echo f > sub/f",
    "rmdir sub; echo f > sub",
    "echo o > a/x.o; mkdir d.o; echo o > d.o/f; echo t > t.o",
    "rm -r a; echo o > a.o; mkdir a; echo o > a/only.o",
    "rm -rf .git; git init -q; git add b 2>&1",
    "echo x > .git/config",
    "find . -path ./.git -prune -o -type f -print | xargs -d '\\n' rm",
    "rm -rf ./* .gitignore .gitattributes .git",
    "printf 'q' > \"$(printf 'l\\nf\\377')\"",
    "chmod 000 a/x; echo q > a/y; chmod 000 a/deep",
    "rm -r a; mkdir a; touch a/x; rm a/x; rmdir a; echo b > a",
    "mkdir -p p/q; echo 1 > p/q/f; mv p a/p; rm a/y; mv a/p p",
    "truncate -s 100000 b",
]


@pytest.mark.parametrize("kind", KINDS)
def test_a_real_overlay_and_a_full_checkout_derive_the_same_tree(
    plain: World, tmp_path: Path, kind: LayerKind
) -> None:
    with plain.objects() as objects:
        tree = objects.tree_of(plain.head())
        store = ViewStore(objects, tmp_path / "cache", ME)
        wrong = []
        with overlays(kind, tmp_path / "ns", [store.base(tree)], OPERATIONS) as space:
            for number, script in enumerate(OPERATIONS):
                full = tmp_path / f"full{number}"
                store.checkout(tree, full)
                subprocess.run(
                    ["sh", "-c", script], cwd=full, capture_output=True, stdin=subprocess.DEVNULL
                )
                thin = derived(objects, tree, space / f"u{number}", kind)
                if thin != derived(objects, tree, full, LayerKind.WORKTREE):
                    wrong.append((script, (space / f"o{number}").read_text()))
                if number and script not in SAME:
                    assert thin[0] != tree, script
        assert wrong == []


# what leaves the tree as it was
SAME = {
    "chmod 755 b; chmod 644 b",
    "touch b; cat b > b2; cp b2 b; rm b2",
    "mkdir only/folders -p",
    "rmdir sub; mkdir sub",
    "echo o > a/x.o; mkdir d.o; echo o > d.o/f; echo t > t.o",
    "rm -rf .git; git init -q; git add b 2>&1",
    "echo x > .git/config",
}


def derived(
    objects: GitObjects, tree: Tree, folder: Path, kind: LayerKind
) -> tuple[Tree, tuple[str, ...]]:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        found = scan(fd, kind, objects.write_blob, tree.hash_name)
    finally:
        os.close(fd)
    assert found.oddities == ()
    ignored = objects.ignored(tree, [file.path for file in found.files])
    result = apply_layer(tree, found, ignored)
    return result.tree, result.dropped


@given(bits=st.sets(st.integers(0, 700)), tail=st.integers(0, 3000))
@examples(15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_git_reads_our_bitmaps(
    tmp_path_factory: pytest.TempPathFactory, bits: set[int], tail: int
) -> None:
    """A split index that removes any set of entries of its base shows exactly the others."""
    place = tmp_path_factory.mktemp("index")
    git(place, "init", "-q")
    names = [f"{number:04}" for number in range(702 + tail)]
    entry = Leaf(0o100644, "1" * 40)
    shared = git_index.format_index(
        [git_index.IndexEntry(name, entry, 0) for name in names], "sha1"
    )
    digest = git_index.digest_of(shared, "sha1")
    (place / ".git" / f"sharedindex.{digest}").write_bytes(shared)
    (place / ".git/index").write_bytes(
        git_index.format_split_index(digest, sorted(bits), [], [], "sha1")
    )
    assert git(place, "ls-files").decode().split() == [
        name for name in names if int(name) not in bits
    ]


def test_a_base_that_was_written_to_is_built_anew(plain: World, tmp_path: Path) -> None:
    base = plain.commit({"seen.txt": "a\n"})
    with plain.objects() as objects:
        tree = objects.tree_of(base)
        place = ViewStore(objects, tmp_path / "cache", ME).base(tree)
        os.chmod(place / "seen.txt", 0o644)
        (place / "seen.txt").write_text("x\n")
        os.utime(place / "seen.txt", (315532800, 315532800))
        assert (
            ViewStore(objects, tmp_path / "cache", ME).base(tree) / "seen.txt"
        ).read_text() == "a\n"
