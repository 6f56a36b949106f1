"""Finding a repository: every odd place works, every refusal says what was found and the way
out.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from factory.git.checkout import changed_paths
from factory.git.repository import discover, notes, tree_notes
from factory.model.errors import Refusal
from factory.model.finding import Finding
from tests.git_world import World, git


def refused(start: Path, base_ref: str = "HEAD") -> Finding:
    with pytest.raises(Refusal) as caught:
        discover(start, base_ref)
    assert len(caught.value.findings) == 1
    return caught.value.findings[0]


@pytest.fixture
def world(tmp_path: Path) -> World:
    here = World(tmp_path)
    here.commit({"a/f": "one\n"})
    return here


@pytest.mark.parametrize("hash_name", ["sha1", "sha256"])
def test_facts_of_a_plain_repository(tmp_path: Path, hash_name: str) -> None:
    world = World(tmp_path, hash_name)
    commit = world.commit({"f": "x"})
    found = discover(world.root, "main")
    assert (found.root, found.git_dir, found.common_dir) == (
        world.root,
        world.root / ".git",
        world.root / ".git",
    )
    assert (found.hash_name, found.base_ref, found.commit) == (hash_name, "main", commit)
    assert (found.branch, found.shallow) == ("main", False)


@pytest.mark.parametrize("name", ["with space", "naïve-é", "line\nfeed", "\udcff", 'q"uote'])
def test_odd_names_subfolders_and_links(tmp_path: Path, name: str) -> None:
    world = World(tmp_path, name=name)
    world.commit({"a/f": "x"})
    os.symlink(world.root, tmp_path / "way")
    for start in (world.root, world.root / "a", tmp_path / "way", tmp_path / "way/a"):
        assert discover(start, "HEAD").root == world.root
    with world.objects() as objects:
        assert objects.tree_of(world.head()).count == 1


def test_a_linked_worktree(world: World, tmp_path: Path) -> None:
    world.git("worktree", "add", "-q", "-b", "side", str(tmp_path / "linked"))
    found = discover(tmp_path / "linked", "HEAD")
    assert found.root == tmp_path / "linked"
    assert found.git_dir == world.root / ".git/worktrees/linked"
    assert found.common_dir == world.root / ".git"
    assert found.branch == "side"


def test_refs_tags_and_ids_name_a_base(world: World) -> None:
    first = world.head()
    world.git("tag", "-a", "-m", "t", "v1")
    second = world.commit({"b": "x"})
    for ref in ("v1", first, first[:10], "HEAD~1", "main^"):
        assert discover(world.root, ref).commit == first
    assert discover(world.root, "HEAD").commit == second


def test_a_shallow_clone_and_a_detached_head_are_noted(world: World, tmp_path: Path) -> None:
    world.commit({"b": "x"})
    git(tmp_path, "clone", "-q", "--depth=1", world.root.as_uri(), "thin")
    git(tmp_path / "thin", "checkout", "-q", "--detach")
    found = discover(tmp_path / "thin", "HEAD")
    assert found.shallow
    assert found.branch == ""
    assert [(one.id, one.message) for one in notes(found, "taskpacks")] == [
        (
            "REPO_DETACHED",
            f"expected HEAD on a branch, found it detached; the base is {found.commit[:12]}…",
        ),
        ("REPO_SHALLOW", "expected the whole history, found a shallow clone"),
    ]


def test_no_repository(tmp_path: Path) -> None:
    found = refused(tmp_path)
    assert found.id == "REPO_NOT_FOUND"
    assert found.message == f"expected a Git repository at '{tmp_path}' or above, found none"
    assert found.hint == "run it inside one, or start one with: git init"


def test_no_folder(tmp_path: Path) -> None:
    assert (
        refused(tmp_path / "none").message == f"expected a folder at '{tmp_path}/none', found none"
    )


def test_a_folder_that_may_not_be_entered(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may enter everything
    found = refused(world.root)
    assert found.id == "REPO_UNREADABLE"
    assert found.message == f"expected to read '{world.root}', found that it is forbidden"


def test_a_bare_repository(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "--bare", "bare")
    found = refused(tmp_path / "bare")
    assert found.id == "REPO_BARE"
    assert (
        found.message
        == f"expected a repository with a work tree at '{tmp_path}/bare', found a bare one"
    )
    assert found.hint == "clone it, or add a work tree with: git worktree add ../worktree"


def test_the_inside_of_a_git_folder(world: World) -> None:
    found = refused(world.root / ".git/refs")
    assert found.id == "REPO_BARE"
    assert (
        found.message
        == f"expected a work tree at '{world.root}/.git/refs', found the inside of a Git folder"
    )


def test_no_commit(tmp_path: Path) -> None:
    world = World(tmp_path)
    for ref in ("HEAD", "main"):
        found = refused(world.root, ref)
        assert found.id == "REPO_NO_COMMITS"
        assert found.message == f"expected a commit to start from in '{world.root}', found none"
        assert found.hint == 'make one with: git commit --allow-empty -m "first"'


@pytest.mark.parametrize(
    ("ref", "found"),
    [
        ("nowhere", "found no such ref"),
        ("HEAD:a", "found a tree"),
        ("HEAD:a/f", "found a blob"),
        ("--all", "found a word that no ref can be"),
        ("", "found a word that no ref can be"),
        ("a\nb", "found a word that no ref can be"),
    ],
)
def test_a_base_that_is_no_commit(world: World, ref: str, found: str) -> None:
    finding = refused(world.root, ref)
    assert finding.id == "REPO_BASE_UNKNOWN"
    assert finding.message == f"expected base ref {ref!r} to name a commit, {found}"


def test_a_base_whose_object_is_missing(world: World) -> None:
    commit = world.head()
    (world.root / ".git/objects" / commit[:2] / commit[2:]).unlink()
    finding = refused(world.root)
    assert finding.id == "REPO_UNREADABLE"
    assert (
        finding.message
        == f"expected the object {commit} that 'HEAD' names, found that it is missing"
    )


def test_a_damaged_configuration(world: World) -> None:
    (world.root / ".git/config").write_text("[core\n")
    finding = refused(world.root)
    assert finding.id == "REPO_UNREADABLE"
    assert "bad config" in finding.message


def other_owner(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Git's own switch for tests: as if another user owned every repository."""
    monkeypatch.setattr(
        "factory.git.git._FIXED", {**_fixed(), "GIT_TEST_ASSUME_DIFFERENT_OWNER": "1"}
    )


def _fixed() -> dict[str, str]:
    from factory.git import git as door

    return door._FIXED


def test_another_users_repository_is_refused_until_the_user_trusts_it(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GIT_CONFIG_GLOBAL", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    other_owner(world, monkeypatch)
    finding = refused(world.root)
    assert finding.id == "REPO_UNREADABLE"
    assert (
        finding.message
        == f"expected a repository of this user at '{world.root}', found that another user owns it"
    )
    assert finding.hint == f"if you trust it: git config --global --add safe.directory {world.root}"
    assert refused(world.root / "a").hint == finding.hint  # what Git asks for, from a subfolder too
    (tmp_path / ".gitconfig").write_text(f"[safe]\n\tdirectory = {world.root}\n")
    assert discover(world.root, "HEAD").root == world.root
    assert notes(discover(world.root, "HEAD"), "taskpacks") == ()


def test_git_missing(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    finding = refused(world.root)
    assert finding.id == "GIT_TOO_OLD"
    assert (
        finding.message
        == "expected the command git 2.38 or newer, found none ('git' is not on PATH)"
    )


def test_git_too_old(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    old = tmp_path / "git"
    old.write_text("#!/bin/sh\necho git version 2.30.2\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    finding = refused(world.root)
    assert finding.id == "GIT_TOO_OLD"
    assert finding.message == f"expected Git 2.38 or newer, found 'git version 2.30.2' at {old}"


def test_the_callers_git_variables_do_not_lead_elsewhere(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = World(tmp_path, name="other")
    other.commit({"x": "x"})
    monkeypatch.setenv("GIT_DIR", str(other.root / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other.root))
    assert discover(world.root, "HEAD").commit == world.head()


def test_local_changes_outside_the_packs_are_named(world: World) -> None:
    world.write(
        {"a/f": "two\n", "new/x": "", "taskpacks/A-1/task.yml": "", ".factory/state/x": "", "é": ""}
    )
    (finding,) = notes(discover(world.root, "HEAD"), "taskpacks")
    assert finding.id == "REPO_DIRTY"
    assert (
        finding.message
        == "expected no local change outside the task packs, found 3: 'a/f', 'new/', 'é'"
    )
    assert str(finding.location) == "a/f"
    assert not finding.blocks


def test_packs_in_another_folder_are_no_local_change(world: World) -> None:
    world.write({"work/packs/A-1/task.yml": "", "work/other": ""})
    world.git("add", "work/other")
    assert changed_paths(discover(world.root, "HEAD")) == ("work/other", "work/packs/")
    (finding,) = notes(discover(world.root, "HEAD"), "work/packs")
    assert "found 1: 'work/other'" in finding.message


def test_asking_writes_nothing_and_runs_nothing(world: World, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    world.write({".gitattributes": "* filter=evil diff=evil\n", "a/f": "two!\n"})
    os.utime(world.root / "a/f", (1, 1))
    for name, value in (
        ("core.fsmonitor", f"touch {canary}"),
        ("core.hooksPath", str(tmp_path / "hooks")),
        ("filter.evil.clean", f"touch {canary}; cat"),
        ("filter.evil.process", f"touch {canary}"),
        ("filter.evil.required", "true"),
        ("diff.evil.textconv", f"touch {canary}; cat"),
        ("diff.external", f"touch {canary}"),
        ("core.pager", f"touch {canary}"),
    ):
        world.git("config", name, value)
    (tmp_path / "hooks").mkdir()
    hook = tmp_path / "hooks/post-index-change"
    hook.write_text(f"#!/bin/sh\ntouch {canary}\n")
    hook.chmod(0o755)
    before = {path: path.stat().st_mtime_ns for path in (world.root / ".git").rglob("*")}
    assert [one.id for one in notes(discover(world.root / "a", "HEAD"), "taskpacks")] == [
        "REPO_DIRTY"
    ]
    assert {path: path.stat().st_mtime_ns for path in (world.root / ".git").rglob("*")} == before
    assert not canary.exists()


def test_a_submodule_with_its_own_configuration_is_not_entered(
    world: World, tmp_path: Path
) -> None:
    canary = tmp_path / "canary"
    inner = World(tmp_path, name="inner")
    inner.commit({"x": "x"})
    world.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(inner.root), "sub")
    world.git("commit", "-q", "-m", "sub")
    git(world.root / "sub", "config", "core.fsmonitor", f"touch {canary}")
    (world.root / "sub/x").write_text("changed")
    found = discover(world.root, "HEAD")
    assert notes(found, "taskpacks") == ()
    assert not canary.exists()
    with world.objects() as objects:
        (note,) = tree_notes(found.commit, objects.tree_of(found.commit), objects.read)
    assert (note.id, str(note.location)) == ("REPO_SUBMODULE", "sub")
    assert note.message == "expected plain files only, found 1 submodule: sub"


def test_large_file_storage_is_noted(world: World) -> None:
    world.commit(
        {
            "art/.gitattributes": "# *.txt filter=lfs\n*.png filter=lfs diff=lfs -text\n",
            ".gitattributes": "* text\n",
        }
    )
    with world.objects() as objects:
        (note,) = tree_notes(world.head(), objects.tree_of(world.head()), objects.read)
    assert note.id == "REPO_LFS_POINTER"
    assert (
        note.message
        == "expected content in every file, found Git LFS declared in 'art/.gitattributes'"
    )


def test_a_partial_clone_gets_its_objects_by_the_command_that_is_shown(tmp_path: Path) -> None:
    origin = World(tmp_path, name="origin")
    origin.git("config", "uploadpack.allowFilter", "true")
    origin.commit({"big/f": "content\n", "x": "x\n"})
    part = tmp_path / "part"
    words = ("clone", "-q", "--filter=blob:none", "--no-checkout", f"file://{origin.root}")
    git(tmp_path, *words, str(part))
    clone = World.__new__(World)
    clone.root, clone.state, clone.hash_name = part, tmp_path / "state-of-it", "sha1"
    with clone.objects() as objects:
        blob = next(leaf.oid for _, leaf in objects.tree_of(clone.head()).leaves())
        with pytest.raises(Refusal) as caught:
            objects.read([blob])
    hint = caught.value.findings[0].hint
    shown = hint.split("first: ")[1]
    assert shown.startswith("git fetch --refetch")
    git(part, *shown.split()[1:])
    with clone.objects() as objects:
        assert objects.read([blob])
