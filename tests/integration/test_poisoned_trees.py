"""Trees as poisoned as a pack can leave them, dead or merged: nothing of them runs on the host, and
nothing is hidden.

Each poison is laid out as an overlay's upper layer and as a full worktree, read by the scanner,
made a tree, and compared by the same plumbing as a run's. A canary shows what was executed; the
change set must tell every file.
"""

from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from factory.git.checkout import changed_paths, ignored_below, not_ignored_below
from factory.git.derive import Derived, apply_layer, new_paths
from factory.git.objects import GitObjects
from factory.git.repository import discover, notes, tree_notes
from factory.git.scanner import scan
from factory.judge.path_guard import unportable
from factory.merge.three_way import three_way_of
from factory.model.errors import InternalError, Refusal
from factory.model.scanned import ScannedLayer
from factory.model.tree import MODE_LINK, differences
from factory.sandbox.values import LayerKind
from tests import racing_writer
from tests.git_world import ENVIRONMENT, World, git, leaf

pytestmark = pytest.mark.linux

ROOT = os.geteuid() == 0
BASE = {"a/x": "x\n", "a/y": "y\n", "b": "b\n", ".gitignore": "*.log\n", "run.sh": "#!/bin/sh\n"}
KINDS = [LayerKind.USER, LayerKind.WORKTREE]
SECRET = b"the host's own secret\n"


@dataclass(frozen=True)
class Place:
    """One repository for all poisons, which none of them may change, and the store that reads
    them.
    """

    world: World
    objects: GitObjects
    canary: Path
    secret: Path

    @property
    def evil(self) -> str:
        """A command that shows that it ran."""
        return f"touch {self.canary}"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    root = tmp_path_factory.mktemp("poison")
    world = World(root)
    world.commit(BASE)
    (root / "secret").write_bytes(SECRET)
    with world.objects() as objects:
        yield Place(world, objects, root / "canary", root / "secret")


@dataclass(frozen=True)
class Read:
    """What the host made of a poisoned tree."""

    layer: ScannedLayer
    derived: Derived

    @property
    def findings(self) -> set[tuple[str, str]]:
        return {(odd.path, odd.finding) for odd in self.layer.oddities}


def read(place: Place, upper: Path, kind: LayerKind, **limits: Any) -> Read:
    """Scan, derive, store and compare, as a run does; the plumbing must tell the very change that
    was derived.
    """
    objects = place.objects
    base = objects.tree_of(place.world.head())
    fd = os.open(upper, os.O_RDONLY | os.O_DIRECTORY)
    try:
        layer = scan(fd, kind, objects.write_blob, objects.hash_name, **limits)
    finally:
        os.close(fd)
    ignored = objects.ignored(base, new_paths(base, layer))
    derived = apply_layer(base, layer, ignored)
    objects.write_tree(derived.tree)
    told = tuple(differences(base, derived.tree))
    assert objects.raw_differences(base.oid, derived.tree.oid) == told
    patch = objects.patch(base.oid, derived.tree.oid)
    assert set(objects.numstat(base.oid, derived.tree.oid)) == {
        difference.path for difference in told
    }
    if told:
        assert objects.tree_of(objects.apply_patch(base.oid, patch)) == derived.tree
    assert not place.canary.exists()
    return Read(layer, derived)


def laid(upper: Path, kind: LayerKind) -> Path:
    """An empty upper layer, or a worktree that holds the base."""
    upper.mkdir()
    if kind is LayerKind.WORKTREE:
        for path, content in BASE.items():
            where = upper / path
            where.parent.mkdir(exist_ok=True)
            where.write_text(content)
        (upper / "run.sh").chmod(0o755)
    return upper


def put(upper: Path, path: str, content: str | bytes) -> None:
    where = upper / path
    where.parent.mkdir(parents=True, exist_ok=True)
    where.write_bytes(content if isinstance(content, bytes) else content.encode())


def config(place: Place) -> str:
    """Git configuration in which everything that names a program names the canary."""
    evil = place.evil
    return (
        f"[core]\n\tbare = false\n\tfsmonitor = {evil}\n\thooksPath ="
        f" {place.canary.parent}\n\tpager = {evil}\n"
        f"\tsshCommand = {evil}\n\teditor = {evil}\n\tattributesFile = /dev/null\n\tfileMode ="
        " false\n"
        f'[filter "evil"]\n\tclean = {evil}\n\tsmudge = {evil}\n\tprocess = {evil}\n\trequired ='
        " true\n"
        f'[diff "evil"]\n\ttextconv = {evil}\n\tcommand = {evil}\n[diff]\n\texternal = {evil}\n'
        f'[merge "evil"]\n\tdriver = {evil}\n[alias]\n\tdiff-tree = !{evil}\n\tcat-file = !{evil}\n'
        f"[credential]\n\thelper = !{evil}\n[include]\n\tpath ="
        " ../more\n[extensions]\n\tworktreeConfig = true\n"
    )


def repository(place: Place, upper: Path, where: str) -> None:
    """A whole Git folder, poisoned through and through, at `where`."""
    put(upper, f"{where}/HEAD", "ref: refs/heads/main\n")
    put(upper, f"{where}/config", config(place))
    put(upper, f"{where}/config.worktree", config(place))
    put(upper, f"{where}/commondir", "../elsewhere\n")
    put(upper, f"{where}/packed-refs", f"{'1' * 40} refs/replace/{place.world.head()}\n")
    put(upper, f"{where}/refs/replace/{place.world.head()}", f"{'1' * 40}\n")
    put(upper, f"{where}/objects/info/alternates", f"{place.secret.parent}\n")
    put(upper, f"{where}/info/exclude", "*\n")
    put(upper, f"{where}/info/attributes", "* filter=evil diff=evil merge=evil\n")
    put(upper, f"{where}/info/grafts", f"{place.world.head()}\n")
    put(upper, f"{where}/info/sparse-checkout", "/nothing\n")
    for hook in ("post-index-change", "pre-commit", "reference-transaction", "fsmonitor-watchman"):
        put(upper, f"{where}/hooks/{hook}", f"#!/bin/sh\n{place.evil}\n")
        (upper / f"{where}/hooks/{hook}").chmod(0o755)


# ── poisons of Git: (name, how it is laid, findings, paths of the change) ────


def pointer(place: Place, upper: Path) -> None:
    put(upper, ".git", f"gitdir: {place.secret.parent}/repo/.git\n")
    put(upper, "new", "n\n")


def own_repository(place: Place, upper: Path) -> None:
    repository(place, upper, ".git")
    put(upper, "more", config(place))
    put(upper, "b", "changed\n")


def lying_index(place: Place, upper: Path) -> None:
    """An index of the pack's own in which what changed is assumed unchanged, skipped, or intended
    only.
    """
    shutil.copytree(place.world.root / ".git", upper / ".git")
    for path, content in BASE.items():
        put(upper, path, content)
    (upper / "run.sh").chmod(0o755)
    told = {**ENVIRONMENT, "GIT_DIR": str(upper / ".git"), "GIT_WORK_TREE": str(upper)}
    for words in (
        ("update-index", "--assume-unchanged", "a/x"),
        ("update-index", "--skip-worktree", "a/y", "b"),
        ("config", "core.ignoreStat", "true"),
    ):
        subprocess.run(["git", *words], cwd=upper, env=told, check=True)
    for path in ("a/x", "a/y", "b"):
        put(upper, path, "changed\n")
    put(upper, "new", "n\n")
    subprocess.run(["git", "add", "--intent-to-add", "new"], cwd=upper, env=told, check=True)
    assert (
        git(upper, "status", "--porcelain", "a", "b", variables=told) == b""
    )  # what a naive host would see


def committed(place: Place, upper: Path) -> None:
    """A commit of the pack's own, so that its HEAD knows no change."""
    shutil.copytree(place.world.root / ".git", upper / ".git")
    put(upper, "b", "changed\n")
    told = {**ENVIRONMENT, "GIT_DIR": str(upper / ".git"), "GIT_WORK_TREE": str(upper)}
    subprocess.run(["git", "add", "b"], cwd=upper, env=told, check=True)
    subprocess.run(["git", "commit", "-q", "-m", "hidden"], cwd=upper, env=told, check=True)


def attributes(place: Place, upper: Path) -> None:
    rules = (
        "* filter=evil diff=evil merge=evil text eol=crlf ident working-tree-encoding=UTF-16 -diff"
        " export-ignore\n"
    )
    put(upper, ".gitattributes", rules)
    put(upper, "a/.gitattributes", "* binary\n")
    put(upper, "a/x", b"one\r\n$Id$\r\n")


def ignore_rules(_: Place, upper: Path) -> None:
    put(upper, ".gitignore", "*\n")
    put(upper, "new", "n\n")
    put(upper, "out.log", "dropped by the base's own rule\n")


def submodules(place: Place, upper: Path) -> None:
    put(
        upper,
        ".gitmodules",
        f'[submodule "s"]\n\tpath = s\n\turl = ext::{place.evil}\n\tupdate = !{place.evil}\n',
    )
    put(upper, "s/.git", "gitdir: ../.git/modules/s\n")
    put(upper, "s/file", "f\n")


def nested(place: Place, upper: Path) -> None:
    repository(place, upper, "sub/.git")
    put(upper, "sub/file", "f\n")


def embedded(place: Place, upper: Path) -> None:
    repository(place, upper, "sub")


def alternates(place: Place, upper: Path) -> None:
    put(upper, "objects/info/alternates", f"{place.secret.parent}\n")
    put(upper, "objects/info/http-alternates", "http://127.0.0.1:9/\n")


REPOSITORY_FILES = (
    "HEAD config config.worktree commondir packed-refs objects/info/alternates info/exclude"
    " info/attributes info/grafts info/sparse-checkout hooks/post-index-change hooks/pre-commit"
    " hooks/reference-transaction hooks/fsmonitor-watchman"
).split()

Poison = tuple[Callable[[Place, Path], None], set[tuple[str, str]], set[str]]
GIT_POISONS: dict[str, Poison] = {
    "a pointer": (pointer, set(), {"new"}),
    "a repository of its own": (own_repository, set(), {"more", "b"}),
    "an index that lies": (lying_index, set(), {"a/x", "a/y", "b", "new"}),
    "a commit that hides": (committed, set(), {"b"}),
    "attributes": (attributes, set(), {".gitattributes", "a/.gitattributes", "a/x"}),
    "ignore rules": (ignore_rules, set(), {".gitignore", "new"}),
    "submodules": (submodules, {("s/.git", "PATH_GIT_NAME")}, {".gitmodules", "s/file"}),
    "a nested repository": (nested, {("sub/.git", "PATH_GIT_NAME")}, {"sub/file"}),
    "an embedded bare repository": (
        embedded,
        set(),
        {"REPLACE", *(f"sub/{name}" for name in REPOSITORY_FILES)},
    ),
    "alternates": (alternates, set(), {"objects/info/alternates", "objects/info/http-alternates"}),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", GIT_POISONS)
def test_poison_for_git_runs_nothing_and_hides_nothing(
    place: Place, tmp_path: Path, name: str, kind: LayerKind
) -> None:
    lay, findings, paths = GIT_POISONS[name]
    upper = laid(tmp_path / "upper", kind)
    lay(place, upper)
    before = git(place.world.root, "for-each-ref"), (place.world.root / ".git/config").read_bytes()
    found = read(place, upper, kind)
    base = place.objects.tree_of(place.world.head())
    due = {
        f"sub/refs/replace/{place.world.head()}" if path == "REPLACE" else path for path in paths
    }
    assert {difference.path for difference in differences(base, found.derived.tree)} == due
    assert found.findings == findings
    assert (
        git(place.world.root, "for-each-ref"),
        (place.world.root / ".git/config").read_bytes(),
    ) == before
    assert (found.derived.dropped == ("out.log",)) is (name == "ignore rules")


def test_a_host_that_asks_git_about_such_a_tree_runs_what_is_in_it(
    place: Place, tmp_path: Path
) -> None:
    """The canary sings where Git is run the plain way; that it is silent above says something."""
    upper = laid(tmp_path / "upper", LayerKind.WORKTREE)
    shutil.copytree(place.world.root / ".git", upper / ".git")
    put(upper, "b", "changed\n")
    for setting in (f"core.fsmonitor={place.evil}", f"filter.evil.clean={place.evil}; cat"):
        git(upper, "config", *setting.split("=", 1))
        put(upper, ".gitattributes", "* filter=evil\n")
        git(upper, "status", ok=False)
        git(upper, "add", "-A", ok=False)
        assert place.canary.exists()
        place.canary.unlink()
        git(upper, "config", "--unset", "core.fsmonitor", ok=False)


def test_attributes_of_a_pack_change_no_byte_and_no_line_of_its_patch(
    place: Place, tmp_path: Path
) -> None:
    upper = laid(tmp_path / "upper", LayerKind.USER)
    attributes(place, upper)
    found = read(place, upper, LayerKind.USER)
    base = place.objects.tree_of(place.world.head())
    patch = place.objects.patch(base.oid, found.derived.tree.oid)
    assert b"-x\n+one\r\n+$Id$\r\n" in patch
    assert b"GIT binary patch" not in patch
    entry = found.derived.tree.get("a/x")
    assert place.objects.read([entry.oid])[entry.oid] == b"one\r\n$Id$\r\n"  # type: ignore[union-attr]


# ── poisons of the file system ───────────────────────────────────────────────


def links(place: Place, upper: Path) -> None:
    for name, target in (
        ("out", str(place.secret)),
        ("up", "../" * 40 + str(place.secret)),
        ("loop", "loop"),
        ("nowhere", "no/such/file"),
        ("proc", "/proc/self/environ"),
        (".gitattributes", str(place.secret)),
        ("long", "d/" * 2000),
    ):
        os.symlink(target, upper / name)


def hard_links(_: Place, upper: Path) -> None:
    put(upper, "one", "same\n")
    os.link(upper / "one", upper / "two")


def specials(_: Place, upper: Path) -> None:
    os.mkfifo(upper / "fifo")
    here = os.getcwd()
    os.chdir(upper)
    try:
        with socket.socket(socket.AF_UNIX) as unix:
            unix.bind("sock")
    finally:
        os.chdir(here)
    if ROOT:
        os.mknod(upper / "block", stat.S_IFBLK | 0o600, os.makedev(7, 0))
        os.mknod(upper / "zero", stat.S_IFCHR | 0o600, os.makedev(1, 5))


def set_id(_: Place, upper: Path) -> None:
    for name, mode in (("suid", 0o4755), ("sgid", 0o2755), ("sticky", 0o1644)):
        put(upper, name, "#!/bin/sh\n")
        (upper / name).chmod(mode)


SPECIAL_PATHS = {"fifo", "sock", *(("block", "zero") if ROOT else ())}
FILE_POISONS: dict[str, Poison] = {
    "links": (links, set(), {"out", "up", "loop", "nowhere", "proc", ".gitattributes", "long"}),
    "hard links": (hard_links, set(), {"one", "two"}),
    "special files": (specials, {(path, "FILE_SPECIAL") for path in SPECIAL_PATHS}, set()),
    "set-id files": (
        set_id,
        {(name, "FILE_SETID") for name in ("suid", "sgid", "sticky")},
        {"suid", "sgid", "sticky"},
    ),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", FILE_POISONS)
def test_poison_of_files_is_named_and_nothing_is_followed(
    place: Place, tmp_path: Path, name: str, kind: LayerKind
) -> None:
    lay, findings, paths = FILE_POISONS[name]
    upper = laid(tmp_path / "upper", kind)
    lay(place, upper)
    found = read(place, upper, kind)
    base = place.objects.tree_of(place.world.head())
    assert {difference.path for difference in differences(base, found.derived.tree)} == paths
    assert found.findings == findings
    contents = place.objects.read({file.leaf.oid for file in found.layer.files}).values()
    assert SECRET not in contents
    if name == "links":
        assert {file.path for file in found.layer.files if file.leaf.mode == MODE_LINK} == paths


@pytest.mark.parametrize("kind", KINDS)
def test_sparse_giants_are_refused_by_size_and_many_small_ones_by_their_sum(
    place: Place, tmp_path: Path, kind: LayerKind
) -> None:
    upper = laid(tmp_path / "upper", kind)
    for number in range(5):
        with open(upper / f"sparse-{number}", "wb") as stream:
            stream.truncate(1 << 20)
    found = read(place, upper, kind, max_bytes=3 << 20)
    assert {finding for _, finding in found.findings} == {"TREE_TOO_LARGE"}
    assert len(found.layer.files) < 5 + len(BASE)
    with open(upper / "giant", "wb") as stream:
        stream.truncate(1 << 43)
    assert {finding for _, finding in read(place, upper, kind).findings} == {"TREE_TOO_LARGE"}


@pytest.mark.parametrize("kind", KINDS)
def test_deep_and_wide_trees_are_bounded(place: Place, tmp_path: Path, kind: LayerKind) -> None:
    upper = laid(tmp_path / "upper", kind)
    here = os.getcwd()
    os.chdir(upper)
    try:
        for _ in range(300):
            os.mkdir("d")
            os.chdir("d")
        put(Path(), "bottom", "never read\n")
    finally:
        os.chdir(here)
    found = read(place, upper, kind)
    assert {finding for _, finding in found.findings} == {"TREE_TOO_DEEP"}
    assert not any(file.path.endswith("bottom") for file in found.layer.files)
    wide = laid(tmp_path / "wide", kind)
    for number in range(300):
        put(wide, f"0/{number}", "")
    found = read(place, wide, kind, max_entries=250)
    assert {finding for _, finding in found.findings} == {"TREE_TOO_LARGE"}
    # What was not reached is not called removed: nobody is told of a change that nobody made.
    assert found.derived.tree == place.objects.tree_of(place.world.head())


EVIL_NAMES = [
    b"new\nline", b"tab\there", b"car\rriage", b"esc\x1b[31m", b"del\x7f", b"quote\"", b"back\\slash", b"..\\up",
    b"\xff\xfe", b"\xed\xa0\x80", "rtl\u202etxt.exe".encode(), "zero\u200bwidth".encode(), "joined\u200d".encode(),
    "picked\ufe0f".encode(), "tag\U000e0041".encode(), "blank\u3164".encode(), "line\u2028".encode(), b"con",
    b"NUL.txt", b"aux ", b"trailing.", b"trailing ", b" leading", b"a:b", b"a|b", b"a<b>", b"a*?", b"prog~1.py",
    b"::error::x", b"stream::$DATA", "\ufffe".encode(), "soft\u00adhyphen".encode(), b"com\xc2\xb9",
]  # fmt: skip
FINE_NAMES = [
    b"-rf", b"--exec=touch canary", b"$(touch canary)", b"`touch canary`", b";touch canary",
    b"~root", b"%2e%2e", b"{0}", b"@octocat", b"#1", b"git", b"gitmodules", "é".encode(), "字".encode(),
    b"n" * 255, b"quote'`",
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_names_of_every_evil_kind_arrive_as_they_are_and_are_refused(
    place: Place, tmp_path: Path, kind: LayerKind
) -> None:
    upper = laid(tmp_path / "upper", kind)
    raw = os.fsencode(upper)
    for name in (*EVIL_NAMES, *FINE_NAMES):
        with open(raw + b"/" + name, "wb") as stream:
            stream.write(name)
    found = read(place, upper, kind)
    names = {os.fsencode(file.path) for file in found.layer.files} - {
        os.fsencode(path) for path in BASE
    }
    assert names == {*EVIL_NAMES, *FINE_NAMES}
    assert {name for name in names if unportable(os.fsdecode(name))} == set(EVIL_NAMES)


# ── somebody still writes ────────────────────────────────────────────────────


def test_a_racing_writer_gets_nothing_followed_and_nothing_half_told(
    place: Place, tmp_path: Path
) -> None:
    """A name that is a file, a link to a secret, a FIFO and a folder in turn, while it is read."""
    upper = laid(tmp_path / "upper", LayerKind.USER)
    own = {b"1" * 5000, b"2" * 9000, b"inside\n"}
    stored: list[bytes] = []

    def keep(content: bytes) -> str:
        stored.append(content)
        return place.objects.write_blob(content)

    words = [sys.executable, "-I", "-S", racing_writer.__file__, str(upper), str(place.secret)]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"racing\n"
        try:
            for _ in range(100_000):
                if len(stored) >= 50:  # most looks find nothing that stands still
                    break
                fd = os.open(upper, os.O_RDONLY | os.O_DIRECTORY)
                try:
                    scan(fd, LayerKind.USER, keep, place.objects.hash_name)
                except (InternalError, OSError):
                    continue  # a layer that changes is a defect, told as one
                finally:
                    os.close(fd)
            assert writer.poll() is None
        finally:
            writer.kill()
    assert len(stored) >= 50
    assert set(stored) <= {
        *own,
        os.fsencode(place.secret),
    }  # the link's own target is what a link holds


# ── what was merged, and is the repository's own now ─────────────────────────


@pytest.fixture
def merged(tmp_path: Path) -> Place:
    """A repository whose newest commit holds what packs left in it, and whose own configuration has
    drivers by name.
    """
    world = World(tmp_path)
    world.commit(BASE)
    first = world.head()
    place = Place(world, world.objects(), tmp_path / "canary", tmp_path / "secret")
    place.secret.write_bytes(SECRET)
    for key, value in (
        ("filter.evil.clean", place.evil),
        ("filter.evil.process", place.evil),
        ("filter.evil.required", "true"),
        ("diff.evil.textconv", place.evil),
        ("diff.evil.command", place.evil),
        ("merge.evil.driver", place.evil),
    ):
        world.git("config", key, value)
    rules = "* filter=evil diff=evil merge=evil -text\nb binary\n"
    world.write(
        {
            ".gitattributes": rules,
            "a/.gitattributes": "* -diff\n",
            ".mailmap": "A <x> <a@localhost>\n",
        }
    )
    world.write(
        {
            ".gitmodules": (
                f'[submodule "s"]\n\tpath = s\n\turl = ext::{place.evil}\n\tupdate ='
                f" !{place.evil}\n"
            )
        }
    )
    repository(place, world.root, "embedded")
    plumb = {"GIT_INDEX_FILE": str(tmp_path / "index")}
    world.git("read-tree", "HEAD", variables=plumb)
    listed = [path for path in world.root.rglob("*") if path.is_file() and ".git" not in path.parts]
    rows = "".join(
        f"100644 {world.git('hash-object', '-w', '--no-filters', str(path)).decode().strip()}\t"
        f"{path.relative_to(world.root)}\n"
        for path in listed
    )
    world.git(
        "update-index",
        "--add",
        "--index-info",
        stdin=f"{rows}160000 {first}\ts\n".encode(),
        variables=plumb,
    )
    tree = world.git("write-tree", variables=plumb).decode().strip()
    commit = world.git("commit-tree", "-p", first, "-m", "merged", tree).decode().strip()
    world.git("update-ref", "refs/heads/main", commit)
    world.git("read-tree", "HEAD")
    assert not place.canary.exists()
    return place


def test_what_was_merged_cannot_make_the_orchestrators_own_git_run_anything(merged: Place) -> None:
    world, objects = merged.world, merged.objects
    with objects:
        world.write({"b": "dirty\n", "a/x": "dirty\n"})
        repository_ = discover(world.root, "HEAD")
        assert {"b", "a/x"} <= set(changed_paths(repository_))
        assert any(note.id == "REPO_DIRTY" for note in notes(repository_, "taskpacks"))
        head = objects.tree_of(world.head())
        assert {note.id for note in tree_notes("", head, objects.read)} == {"REPO_SUBMODULE"}
        assert ignored_below(repository_, "a") == frozenset()
        assert "a/x" in not_ignored_below(repository_, "a")
        first = objects.tree_of(world.head("HEAD~1"))
        assert objects.raw_differences(first.oid, head.oid) == tuple(differences(first, head))
        one = head.changed({"b": leaf(objects, "one\n")})
        two = head.changed({"b": leaf(objects, "two\n")})
        for tree in (one, two):
            objects.write_tree(tree)
        assert b"-b\n+one\n" in objects.patch(head.oid, one.oid)
        assert three_way_of(objects)(head, one, two)[1] == ("b",)
    assert not merged.canary.exists()


@pytest.mark.parametrize("setting", ["bare = true", "bare = false", "worktree = .."])
def test_standing_in_a_merged_folder_that_reads_as_a_repository_is_refused(
    merged: Place, setting: str
) -> None:
    """`embedded/` has everything that Git takes a bare repository by; its configuration is a
    pack's.
    """
    folder = merged.world.root / "embedded"
    shutil.rmtree(folder / "refs/replace")
    for name in ("commondir", "config.worktree"):
        (folder / name).unlink()
    text = config(merged).replace("bare = false", setting)
    (folder / "config").write_text(text.replace("worktreeConfig = true", ""))
    with pytest.raises(Refusal) as caught:
        discover(folder, "HEAD")
    assert caught.value.findings[0].id in ("REPO_BARE", "REPO_UNREADABLE")
    assert not merged.canary.exists()


@pytest.mark.parametrize("how", ["replace", "grafts", "alternates", "include"])
def test_what_is_beside_the_objects_changes_no_answer(merged: Place, how: str) -> None:
    """Replaced objects and grafts are not honoured, and a repository's own alternates and includes
    run nothing.
    """
    world = merged.world
    first, head = world.head("HEAD~1"), world.head()
    before = merged.objects.tree_of(head)
    merged.objects.close()
    if how == "replace":
        world.git("replace", head, first)
    elif how == "grafts":
        put(world.root, ".git/info/grafts", f"{head}\n")
    elif how == "alternates":
        put(world.root, ".git/objects/info/alternates", f"{merged.secret.parent}/nothing\n")
    else:
        put(world.root, "more", config(merged))
        world.git("config", "include.path", "../more")
    with world.objects() as objects:
        assert objects.tree_of(head) == before
        assert discover(world.root, "HEAD").commit == head
        changed_paths(discover(world.root, "HEAD"))
    assert not merged.canary.exists()
