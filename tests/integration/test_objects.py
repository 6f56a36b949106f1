"""The object store against real Git: every id, difference, patch, merge and ref is one that Git
agrees with.
"""

from __future__ import annotations

import base64
import os
import random
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from factory.git import objects as store
from factory.git.git import Conversation, GitError
from factory.git.index import IndexEntry, format_index, format_split_index, parse_index
from factory.git.known_blobs import LARGE
from factory.git.objects import GitObjects
from factory.git.private_git import all_alternates
from factory.git.repository import discover
from factory.judge.effort import Effort, effort_of, measured
from factory.judge.secrecy import NOTHING, carried
from factory.merge.three_way import three_way_of
from factory.model.errors import InternalError, Overdue, Refusal
from factory.model.tree import (
    MODE_EXECUTABLE,
    MODE_FILE,
    MODE_LINK,
    MODE_SUBMODULE,
    Leaf,
    differences,
    tree_from_leaves,
)
from factory.redact.redaction import Redactor
from tests.git_world import World, git, leaf, link
from tests.sample import examples

HASHES = ["sha1", "sha256"]


@pytest.fixture(params=HASHES)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    here = World(tmp_path, request.param)
    here.commit(
        {
            "a/x": "x\n",
            "a/y": "y\n",
            "b": "b\n",
            "run.sh": "#!/bin/sh\n",
            "to": "-> a/x",
            "d/e/f": "f\n",
        }
    )
    return here


def test_the_tree_of_a_commit_is_gits(world: World) -> None:
    with world.objects() as objects:
        for treeish in (world.head(), world.head("HEAD^{tree}")):
            tree = objects.tree_of(treeish)
            assert tree.oid == objects.tree_id_of(treeish) == world.head("HEAD^{tree}")
            told = world.git("ls-tree", "-r", "-z", treeish).split(b"\0")[:-1]
            ours = [
                f"{entry.mode:06o} blob {entry.oid}\t{path}".encode()
                for path, entry in tree.leaves()
            ]
            assert ours == told
        assert objects.tree_of(world.head()) is objects.tree_of(world.head("HEAD^{tree}"))


def test_trees_and_blobs_written_by_us_are_read_by_git(world: World) -> None:
    with world.objects() as objects:
        new = objects.tree_of(world.head()).changed(
            {"a/x": leaf(objects, "new\n"), "n/e/w": leaf(objects, "n")}
        )
        assert objects.write_tree(new) == new.oid
        store = {"GIT_ALTERNATE_OBJECT_DIRECTORIES": str(objects.folder)}
        assert world.git("cat-file", "blob", f"{new.oid}:n/e/w", variables=store) == b"n"
        world.git("fsck", "--strict", "--full", new.oid, variables=store)
    with world.objects() as again:
        assert again.tree_of(new.oid) == new


def test_writing_twice_is_writing_once(world: World) -> None:
    with world.objects() as objects:
        oid = objects.write_blob(b"same")
        path = objects.folder / oid[:2] / oid[2:]
        before = path.stat()
        assert objects.write_blob(b"same") == oid
        assert path.stat() == before
        assert [entry.name for entry in path.parent.iterdir()] == [path.name]
        objects.settle()


def test_what_is_known_of_a_blob_is_asked_once_and_is_that_of_its_bytes(world: World) -> None:
    token = b"glpat-" + b"aB3dE6gH9" * 4
    contents = (b"small\n", b"line\n" * (1 << 18), random.Random(3).randbytes(3 << 20), b"")
    with world.objects() as objects:
        held = objects.write_blob(token)
        oids = {objects.write_blob(content): content for content in contents}
        for _ in range(2):  # the second time from memory
            assert objects.measured(oids) == {oid: measured(c) for oid, c in oids.items()}
            assert objects.credentials([*oids, held]) == {
                **dict.fromkeys(oids, NOTHING),
                held: carried(Redactor(), token),
            }
        assert objects.sizes(oids) == {oid: len(content) for oid, content in oids.items()}
        assert objects.withheld([*oids, held]) == {held}
    with world.objects() as again:  # read from the store
        assert again.measured(oids) == {oid: measured(c) for oid, c in oids.items()}
        assert again.credentials(oids) == dict.fromkeys(oids, NOTHING)
        absent = "1" * len(world.head())
        assert again.sizes([absent]) == {}
        for ask in (again.measured, again.credentials):
            with pytest.raises(Refusal, match="expected the object 1111"):
                ask([absent, *oids])


def test_commits_are_constant_and_gits(world: World) -> None:
    with world.objects() as objects:
        tree, parent = world.head("HEAD^{tree}"), world.head()
        oid = objects.write_commit(tree, (parent,), "message é\n")
        who = "Codex Orchestrator <orchestrator@localhost> 315532800 +0000"
        store = {"GIT_ALTERNATE_OBJECT_DIRECTORIES": str(objects.folder)}
        assert (
            world.git("cat-file", "commit", oid, variables=store).decode()
            == f"tree {tree}\nparent {parent}\nauthor {who}\ncommitter {who}\n\nmessage é\n"
        )
        assert objects.tree_id_of(oid) == tree
        assert objects.time_of(oid) == 315532800


def test_a_missing_object_is_a_refusal(world: World) -> None:
    absent = "1" * len(world.head())
    with world.objects() as objects:
        for ask in (lambda: objects.tree_of(absent), lambda: objects.read([absent])):
            with pytest.raises(Refusal) as caught:
                ask()
            assert caught.value.findings[0].id == "REPO_UNREADABLE"
            assert (
                caught.value.findings[0].message
                == f"expected the object {absent}, found that it is missing (repository"
                f" '{world.root}')"
            )
        # and the conversation is still in step
        assert objects.tree_of(world.head()).oid == world.head("HEAD^{tree}")


def test_an_object_of_another_kind_is_a_refusal(world: World) -> None:
    blob = world.head("HEAD:b")
    with world.objects() as objects:
        with pytest.raises(Refusal, match=f"expected a commit or a tree at {blob}, found a blob"):
            objects.tree_of(blob)
        with pytest.raises(Refusal, match=r"expected a blob at .*, found a tree"):
            objects.read([world.head("HEAD^{tree}")])


@pytest.mark.parametrize("word", ["HEAD", "--all", "", "a" * 41, "A" * 40, "1" * 40 + "\n"])
def test_only_full_ids_are_asked_for(world: World, word: str) -> None:
    with world.objects() as objects, pytest.raises(InternalError, match="object id, found"):
        objects.tree_of(word)


@pytest.mark.parametrize("name", [b"..", b".", b"a/b"])
def test_a_tree_that_no_file_system_can_show_is_refused(tmp_path: Path, name: bytes) -> None:
    world = World(tmp_path)
    world.commit({"b": "b"})
    raw = b"100644 " + name + b"\0" + bytes.fromhex(world.head("HEAD:b"))
    oid = (
        world.git("hash-object", "-t", "tree", "--literally", "-w", "--stdin", stdin=raw)
        .decode()
        .strip()
    )
    with world.objects() as objects, pytest.raises(Refusal, match="which no file system can show"):
        objects.tree_of(oid)


def all_kinds(objects: GitObjects, commit: str) -> tuple[str, str]:
    """Two stored trees with every kind of change between them."""
    before = objects.tree_of(commit)
    run = before.get("run.sh")
    assert isinstance(run, Leaf)
    after = before.changed(
        {
            "a/x": leaf(objects, "x\nmore\n"),
            "a/y": None,
            "b": None,
            "b/c": leaf(objects, "now a folder"),
            "d": leaf(objects, "now a file\n"),
            "run.sh": Leaf(MODE_FILE, run.oid),
            "to": link(objects, "a/y"),
            "bin": leaf(objects, "\0\1"),
            "made": leaf(objects, "", MODE_EXECUTABLE),
            'space and\ttab\nand é \udcff"': leaf(objects, "odd\n"),
            "-- a/x": leaf(objects, "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-no\n+header\n"),
            "sub": Leaf(MODE_SUBMODULE, commit),
        }
    )
    return before.oid, objects.write_tree(after)


def test_all_views_of_a_difference_agree(world: World) -> None:
    with world.objects() as objects:
        before, after = all_kinds(objects, world.head())
        raw = objects.raw_differences(before, after)
        assert raw == tuple(differences(objects.tree_of(before), objects.tree_of(after)))
        counts = objects.numstat(before, after)
        assert counts.keys() == {one.path for one in raw}
        assert counts["a/x"] == (1, 0)
        assert counts["bin"] is None
        assert counts["d/e/f"] == (0, 1)
        patch = objects.patch(before, after)
        assert objects.apply_patch(before, patch) == after
        assert objects.patch(before, before) == b""
        assert objects.raw_differences(after, after) == ()
        assert objects.apply_patch(before, b"") == before


@pytest.mark.parametrize("most", [1_000, 0], ids=["one process", "three processes"])
def test_an_index_that_is_read_here_yields_what_git_makes_of_it(
    world: World, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(store, "MOST_ENTRIES", most)
    with world.objects() as objects:
        before, after = all_kinds(objects, world.head())
        assert objects.apply_patch(before, objects.patch(before, after)) == after
        assert objects.apply_patch(after, objects.patch(after, before)) == before
        with pytest.raises(Refusal, match="expected the patch to apply"):
            objects.apply_patch(before, b"nonsense\n")


def test_an_index_in_another_form_is_not_guessed_at() -> None:
    one = IndexEntry("a", Leaf(MODE_FILE, "1" * 40), 0)
    plain = format_index([one], "sha1")
    assert parse_index(plain, "sha1") == [("a", one.leaf)]
    staged = plain[:72] + bytes([plain[72] | 0x10]) + plain[73:]
    for other, what in (
        (plain.replace(b"DIRC\0\0\0\2", b"DIRC\0\0\0\4"), "version 2"),
        (staged, "merged entries"),
        (format_split_index("1" * 40, [], [], [one], "sha1"), "split"),
    ):
        with pytest.raises(ValueError, match=what):
            parse_index(other, "sha1")


def test_git_counts_no_fewer_lines_than_a_change_has_at_least(world: World) -> None:
    made = random.Random(4)
    parts = ("a\n", "b\n", "\n", "a", "\r\n", "\0", "é\n")
    texts = [
        ["".join(made.choices(parts, (9, 9, 3, 1, 1, 0.1, 2), k=made.randrange(40))) for _ in "ab"]
        for _ in range(200)
    ]
    with world.objects() as objects:
        old, new = (
            tree_from_leaves(
                {
                    f"f{n}": leaf(objects, pair[side]) for n, pair in enumerate(texts) if pair[side]
                }.items(),
                objects.hash_name,
            )
            for side in (0, 1)
        )
        before, after = objects.write_tree(old), objects.write_tree(new)
        counts = objects.numstat(before, after)
        for change in differences(old, new):
            oids = [one.oid for one in (change.before, change.after) if one is not None]
            effort = effort_of([change], objects.measured(oids))
            counted = counts[change.path]
            assert effort.least <= sum(counted or (0, 0)) <= effort.lines
            assert counted is not None or effort == Effort()
        assert len(counts) > 150


def test_aside_the_answers_are_the_same_and_bounded_in_time(world: World) -> None:
    with world.objects() as objects:
        before, after = all_kinds(objects, world.head())
        assert objects.patch(before, after, 60.0) == objects.patch(before, after)
        assert objects.numstat(before, after, 60.0) == objects.numstat(before, after)
        rows = ["\n".join(random.Random(seed).choices("ab", k=300_000)) for seed in (1, 2)]
        old, new = (
            objects.write_tree(tree_from_leaves([("f", leaf(objects, text))], objects.hash_name))
            for text in rows
        )
        with pytest.raises(Overdue, match="expected git diff-tree to end within 0 s, found no end"):
            objects.numstat(old, new, 0.02)
        assert objects.raw_differences(old, new)[0].path == "f"


def test_a_patch_that_does_not_apply_is_a_refusal(world: World) -> None:
    with world.objects() as objects:
        before, after = all_kinds(objects, world.head())
        for patch in (objects.patch(after, before), b"nonsense\n"):
            with pytest.raises(Refusal) as caught:
                objects.apply_patch(before, patch)
            assert caught.value.findings[0].id == "BUNDLE_DISAGREES"
            assert caught.value.findings[0].message.startswith(
                f"expected the patch to apply to the tree {before}, found"
            )


@pytest.mark.parametrize("path", ["../x", ".git/config", ".GIT/config", "to/x"])
def test_a_patch_that_leaves_the_tree_is_a_refusal(tmp_path: Path, path: str) -> None:
    world = World(tmp_path)
    world.commit({"to": "-> a"})
    patch = (
        f"diff --git a/{path} b/{path}\nnew file mode 100644\n--- /dev/null\n+++ b/{path}\n@@ -0,0"
        " +1 @@\n+x\n"
    )
    with world.objects() as objects, pytest.raises(Refusal, match="expected the patch to apply"):
        objects.apply_patch(world.head("HEAD^{tree}"), patch.encode())


def test_nothing_configured_shows_in_a_difference_or_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    canary = tmp_path / "canary"
    world = World(tmp_path)
    world.commit({"f.txt": "one\ntwo\n", ".gitignore": "*.o\n"})
    with world.objects() as clean:
        plain = clean.tree_of(world.head()).changed({"f.txt": leaf(clean, "one\n2\n")})
        expected = clean.patch(world.head("HEAD^{tree}"), clean.write_tree(plain))
    rules = "* text eol=crlf ident diff=evil filter=evil merge=evil\n*.txt binary\n"
    world.commit({".gitattributes": rules})
    evil = f"touch {canary}; false"
    settings = {
        "core.fsmonitor": evil, "core.hooksPath": str(tmp_path), "core.pager": evil,
        "core.attributesFile": str(tmp_path / "at"),
        "diff.external": evil, "diff.evil.textconv": evil, "diff.evil.command": evil, "filter.evil.clean": evil,
        "merge.evil.driver": evil, "diff.noprefix": "true", "diff.context": "0", "diff.algorithm": "patience",
        "core.excludesFile": str(tmp_path / "at"), "color.ui": "always", "diff.renames": "copies",
    }  # fmt: skip
    for name, value in settings.items():
        world.git("config", name, value)
        (tmp_path / "global").write_text((world.root / ".git/config").read_text())
    (tmp_path / "at").write_text("* diff=evil\n")
    (world.root / ".git/info/attributes").write_text("* diff=evil merge=evil\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "global"))
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", evil)
    monkeypatch.setenv("GIT_DIFF_OPTS", "-u0")
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "diff.external")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", evil)
    with world.objects() as objects:
        base = objects.tree_of(world.head())
        changed = base.changed({"f.txt": leaf(objects, "one\n2\n")})
        other = base.changed({"f.txt": leaf(objects, "1\ntwo\n")})
        assert objects.patch(base.oid, objects.write_tree(changed)) == expected
        assert objects.numstat(base.oid, changed.oid) == {"f.txt": (1, 1)}
        assert objects.apply_patch(base.oid, expected) == changed.oid
        objects.write_tree(other)
        assert three_way_of(objects)(base, changed, other)[1] == ("f.txt",)
        assert objects.ignored(base, ["a.o", "a"]) == {"a.o"}
    assert not canary.exists()


@pytest.mark.parametrize(
    ("content", "stored"),
    [
        (random.Random(1).randbytes(LARGE), True),
        (random.Random(1).randbytes(LARGE - 1), False),  # too small to be asked of
        (bytes(LARGE), False),
    ],
    ids=["large and dense", "less large", "large and empty"],
)
def test_a_large_file_that_does_not_shrink_is_stored_in_a_patch(
    world: World, content: bytes, stored: bool
) -> None:
    with world.objects() as objects:
        base = objects.tree_of(world.head())
        tree = base.changed({"big": Leaf(MODE_FILE, objects.write_blob(content))})
        objects.write_tree(tree)
        patch = objects.patch(base.oid, tree.oid)
        assert patch == objects.patch(base.oid, tree.oid, within=30.0)
    start = patch.index(b"literal %d\n" % len(content)) + len(b"literal %d\n" % len(content))
    # zlib stores the longest blocks there can be only where it is not to compress at all.
    begun = base64.b85decode(patch[start + 1 : start + 11])
    whole = begun[2] & 6 == 0 and int.from_bytes(begun[3:5], "little") > 0xFF00
    assert whole is stored
    world.git("read-tree", base.oid)
    world.git("apply", "--cached", "--binary", "-", stdin=patch)
    assert world.git("write-tree").decode().strip() == tree.oid


def test_what_does_not_shrink_is_not_compressed(world: World) -> None:
    with world.objects() as objects:
        for content, shrinks in (
            (random.Random(1).randbytes(1 << 17), False),
            (bytes(1 << 17), True),
        ):
            oid = objects.write_blob(content)
            path = objects.folder / oid[:2] / oid[2:]
            assert (path.stat().st_size < len(content)) is shrinks
            assert (
                world.git(
                    "cat-file", "blob", oid, variables={"GIT_OBJECT_DIRECTORY": str(objects.folder)}
                )
                == content
            )


def test_the_users_repository_is_not_written_to(world: World) -> None:
    def state() -> dict[Path, tuple[int, int]]:
        # Git renews the time of an object that it would have written and finds there, so that gc
        # spares it
        loose_objects = world.root / ".git/objects"
        return {
            path: (status.st_size, 0 if path.is_relative_to(loose_objects) else status.st_mtime_ns)
            for path in world.root.rglob("*")
            for status in [path.lstat()]
        }

    before = state()
    with world.objects() as objects:
        old, new = all_kinds(objects, world.head())
        other = objects.tree_of(old).changed({"a/x": leaf(objects, "x\nother\n")})
        objects.write_tree(other)
        assert three_way_of(objects)(objects.tree_of(old), objects.tree_of(new), other)[1] == (
            "a/x",
        )
        objects.ignored(objects.tree_of(old), ["x"])
        objects.apply_patch(old, objects.patch(old, new))
    assert state() == before
    assert list((world.state / "scratch").iterdir()) == []


def test_replacements_are_not_believed(tmp_path: Path) -> None:
    world = World(tmp_path)
    first, second = world.commit({"f": "1"}), world.commit({"f": "2"})
    world.git("replace", second, first)
    with world.objects() as objects:
        (entry,) = objects.tree_of(second).leaves()
        assert objects.read([entry[1].oid]) == {entry[1].oid: b"2"}


def test_ignore_rules_are_gits(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.commit(
        {
            ".gitignore": "*.o\n!keep.o\nbuild/\n/top\n# c\nfoo/**/bar\n",
            "a/.gitignore": "!x.o\nlocal\n",
            "linked/.gitignore": "-> ../rules",
            "rules": "*\n",
        }
    )
    asked = [
        "f.o", "keep.o", "a/x.o", "a/y.o", "build/x", "a/build/y", "build", "top", "a/top", "a/local", "b/local",
        "foo/1/2/bar", "linked/q", ":x", ":(glob)x.o", "*.o", "-x.o", "é.o", "\udcff.o", "new\nline.o", "a/b/c/d.o",
    ]  # fmt: skip
    with world.objects() as objects:
        told = objects.ignored(objects.tree_of(world.head()), asked)
        assert told == {
            "f.o", "a/y.o", "build/x", "a/build/y", "top", "a/local", "foo/1/2/bar", ":(glob)x.o", "*.o", "-x.o", "é.o",
            "\udcff.o", "new\nline.o", "a/b/c/d.o",
        }  # fmt: skip
        assert objects.ignored(objects.tree_of(world.head()), []) == frozenset()


def test_merges_are_clean_or_name_their_conflicts(world: World) -> None:
    with world.objects() as objects:
        base = objects.tree_of(world.head())
        ours = base.changed({"a/x": leaf(objects, "ours\n"), "a/y": leaf(objects, "same\n")})
        theirs = base.changed({"b": leaf(objects, "theirs\n"), "a/y": leaf(objects, "same\n")})
        clash = base.changed({"a/x": leaf(objects, "other\n"), "b": None})
        for tree in (ours, theirs, clash):
            objects.write_tree(tree)
        united = ours.changed({"b": theirs.get("b")})
        assert three_way_of(objects)(base, ours, theirs) == (united, ())
        assert three_way_of(objects)(base, ours, clash)[1] == ("a/x",)
        assert three_way_of(objects)(base, theirs, clash)[1] == ("b",)


def test_a_moved_folder_does_not_move_anothers_new_file(world: World) -> None:
    with world.objects() as objects:
        base = objects.tree_of(world.head())
        moved = base.changed({"a": None, "z": base.get("a")})
        added = base.changed({"a/new": leaf(objects, "new\n")})
        objects.write_tree(moved)
        objects.write_tree(added)
        united = moved.changed({"a/new": leaf(objects, "new\n")})
        assert three_way_of(objects)(base, moved, added) == (united, ())


def test_a_ref_moves_only_from_where_it_was_expected(world: World) -> None:
    first, second = world.head(), world.commit({"q": "q"})
    with world.objects() as objects:
        objects.update_ref("refs/heads/codex/1", first)
        objects.update_ref("refs/heads/codex/1", second, first)
        assert world.head("codex/1") == second
        for old in ("", first):
            with pytest.raises(Refusal) as caught:
                objects.update_ref("refs/heads/codex/1", first, old)
            assert caught.value.findings[0].id == "REF_MOVED"
            assert caught.value.findings[0].message.startswith(
                f"expected refs/heads/codex/1 at {old or 'no commit'}, found: "
            )
    assert world.head("codex/1") == second


def test_a_reference_transaction_hook_is_not_run(world: World, tmp_path: Path) -> None:
    hook = world.root / ".git/hooks/reference-transaction"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/canary\n")
    hook.chmod(0o755)
    with world.objects() as objects:
        objects.update_ref("refs/heads/codex/1", world.head())
    assert not (tmp_path / "canary").exists()


def test_objects_behind_chained_and_relative_alternates_are_found(tmp_path: Path) -> None:
    far = World(tmp_path, name='far "q"')
    commit = far.commit({"f": "far"})
    git(tmp_path, "clone", "-q", "--shared", str(far.root), "near")
    git(tmp_path, "clone", "-q", "--shared", "near", "here")
    (tmp_path / "here/.git/objects/info/alternates").write_text(
        "../../../near/.git/objects\n# comment\n\n"
    )
    with GitObjects(discover(tmp_path / "here", "HEAD"), tmp_path / "state") as objects:
        assert objects.tree_of(commit).count == 1
    folders = all_alternates([tmp_path / "here/.git/objects"])
    assert folders == (
        tmp_path / "here/.git/objects",
        tmp_path / "near/.git/objects",
        far.root / ".git/objects",
    )


def test_a_packed_repository_and_objects_that_appear_later(world: World) -> None:
    with world.objects() as objects:
        assert objects.tree_of(world.head()).count == 6
        later = world.commit({"later": "x"})
        world.git("gc", "-q")
        assert objects.tree_of(later).count == 7


def test_a_private_store_that_was_tampered_with_is_put_right(world: World, tmp_path: Path) -> None:
    with world.objects():
        pass
    (world.state / "config").write_text(
        f"[core]\n\tbare = true\n\tfsmonitor = touch {tmp_path}/canary\n"
    )
    (world.state / "info/attributes").unlink()
    with world.objects() as objects:
        assert objects.tree_of(world.head()).count == 6
    assert "fsmonitor" not in (world.state / "config").read_text()
    assert (world.state / "info/attributes").exists()


def test_many_threads_get_each_their_own_answer(world: World) -> None:
    with world.objects() as objects:
        base = objects.tree_of(world.head())
        wrong: list[int] = []

        def work(number: int) -> None:
            for round_ in range(8):
                content = f"{number} {round_}\n"
                new = base.changed({f"n{number}": leaf(objects, content)})
                patch = objects.patch(base.oid, objects.write_tree(new))
                raw = objects.raw_differences(base.oid, new.oid)
                if f"+{content}".encode() not in patch or [one.path for one in raw] != [
                    f"n{number}"
                ]:
                    wrong.append(number)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []


def test_a_conversation_that_dies_is_an_error_and_then_starts_anew(world: World) -> None:
    with world.objects() as objects:
        before, after = all_kinds(objects, world.head())
        assert objects.patch(before, after)
        assert objects._patch.process is not None
        objects._patch.process.kill()
        objects._patch.process.wait()
        with pytest.raises(
            GitError, match="expected git diff-tree --stdin to end with 0, found -9"
        ):
            objects.patch(before, after)
        assert objects.patch(before, after)


def test_a_conversation_with_a_refusing_git_tells_what_it_said(world: World) -> None:
    with world.objects() as objects:
        talk = Conversation(objects.git, "diff-tree", "--stdin", "--no-such-option")
        with pytest.raises(GitError, match="usage: git diff-tree"):
            talk.ask_until_marker(b"")


def test_nothing_stays_running(world: World) -> None:
    objects = world.objects()
    objects.tree_of(world.head())
    process = objects._contents.process
    assert process is not None
    objects.close()
    assert process.returncode == 0
    objects.close()


contents = st.binary(max_size=40)
modes = st.sampled_from([MODE_FILE, MODE_EXECUTABLE, MODE_LINK])
safe = st.sampled_from(["a", "b", "a.b", "é", "x y", "\udcfe", "-"])
trees = st.dictionaries(
    st.lists(safe, min_size=1, max_size=3).map("/".join), st.tuples(modes, contents), max_size=6
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> World:
    world = World(tmp_path_factory.mktemp("shared"))
    world.commit({"f": "f"})
    return world


@given(one=trees, two=trees)
@examples(15, suppress_health_check=[HealthCheck.too_slow])
def test_any_two_trees_patch_into_each_other_and_equal_fast_import(
    shared: World, one: dict[str, tuple[int, bytes]], two: dict[str, tuple[int, bytes]]
) -> None:
    with shared.objects() as objects:
        stored = []
        for flat in (one, two):
            kept = {
                p: e
                for p, e in flat.items()
                if not any(p.startswith(f"{other}/") for other in flat)
            }
            leaves = [
                (path, Leaf(mode, objects.write_blob(content)))
                for path, (mode, content) in kept.items()
            ]
            tree = tree_from_leaves(leaves, "sha1")
            assert objects.write_tree(tree) == imported(shared, kept)
            stored.append(tree.oid)
        assert objects.apply_patch(stored[0], objects.patch(stored[0], stored[1])) == stored[1]


def imported(world: World, flat: dict[str, tuple[int, bytes]]) -> str:
    """The tree that fast-import makes, in a repository of its own."""
    out = [b"commit refs/heads/import\ncommitter A <a@b> 1 +0000\ndata 0\ndeleteall\n"]
    for path, (mode, content) in flat.items():
        quoted = b'"' + b"".join(b"\\%03o" % byte for byte in os.fsencode(path)) + b'"'
        out.append(b"M %06o inline %s\ndata %d\n%s\n" % (mode, quoted, len(content), content))
    world.git("fast-import", "--quiet", "--force", stdin=b"".join(out) + b"\n")
    return world.head("refs/heads/import^{tree}")
