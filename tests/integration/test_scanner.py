"""The scanner over layers made by hand, as hostile as a pack could leave them."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from factory.git.derive import apply_layer
from factory.git.scanner import scan
from factory.model.errors import InternalError
from factory.model.scanned import Oddity, ScannedLayer
from factory.model.tree import (
    MODE_EXECUTABLE,
    MODE_FILE,
    MODE_LINK,
    Leaf,
    object_id,
    tree_from_leaves,
)
from factory.sandbox.values import LayerKind

ROOT = os.geteuid() == 0
NAMESPACES = {LayerKind.USER: "user.overlay."} | (
    {LayerKind.TRUSTED: "trusted.overlay."} if ROOT else {}
)
OVERLAYS = list(NAMESPACES)


@pytest.fixture
def layer(tmp_path: Path) -> Path:
    folder = tmp_path / "upper"
    folder.mkdir()
    return folder


def scanned(folder: Path, kind: LayerKind = LayerKind.USER, **limits: Any) -> ScannedLayer:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return scan(fd, kind, lambda content: object_id("blob", content, "sha1"), "sha1", **limits)
    finally:
        os.close(fd)


def found(result: ScannedLayer) -> list[tuple[str, str]]:
    return [(oddity.path, oddity.finding) for oddity in result.oddities]


def test_files_links_and_folders_with_their_git_modes(layer: Path) -> None:
    (layer / "a/b").mkdir(parents=True)
    (layer / "a/plain").write_bytes(b"one\n")
    (layer / "run").write_bytes(b"")
    (layer / "run").chmod(0o711)
    (layer / "group").write_bytes(b"g")
    (layer / "group").chmod(0o676)  # only the owner's bit counts, as in Git
    os.symlink("../out", layer / "to")
    result = scanned(layer)
    assert [(file.path, file.leaf.mode, file.size, file.link) for file in result.files] == [
        ("a/plain", MODE_FILE, 4, ""),
        ("group", MODE_FILE, 1, ""),
        ("run", MODE_EXECUTABLE, 0, ""),
        ("to", MODE_LINK, 6, "../out"),
    ]
    assert result.files[0].leaf.oid == "5626abf0f72e58d7a153368ba57db4c673c0e171"  # git hash-object
    assert result.folders == ("a", "a/b")
    assert result == ScannedLayer(result.files, result.folders)


def test_names_that_are_not_utf8_survive(layer: Path) -> None:
    with open(os.fsencode(layer) + b"/\xff\n\xc3", "wb"):
        pass
    assert [os.fsencode(file.path) for file in scanned(layer).files] == [b"\xff\n\xc3"]


def test_the_bytes_go_to_the_store_once_and_its_answer_is_checked(layer: Path) -> None:
    (layer / "f").write_bytes(b"\0" * 3_000_000 + b"end")
    os.symlink("f", layer / "l")
    stored: list[bytes] = []

    def keep(content: bytes) -> str:
        stored.append(content)
        return object_id("blob", content, "sha256")

    fd = os.open(layer, os.O_RDONLY)
    try:
        scan(fd, LayerKind.USER, keep, "sha256")
        assert sorted(stored) == [b"\0" * 3_000_000 + b"end", b"f"]
        with pytest.raises(InternalError, match="the object store answered"):
            scan(fd, LayerKind.USER, lambda content: "0" * 64, "sha256")
    finally:
        os.close(fd)


@pytest.mark.parametrize("kind", OVERLAYS)
def test_whiteouts_and_opaque_folders(layer: Path, kind: LayerKind) -> None:
    (layer / "d").mkdir()
    os.mknod(layer / "d/gone", stat.S_IFCHR, 0)
    os.mknod(layer / "top", stat.S_IFCHR, 0)
    (layer / "new").mkdir()
    os.setxattr(layer / "new", NAMESPACES[kind] + "opaque", b"y")
    result = scanned(layer, kind)
    assert result.removed == ("d/gone", "top")
    assert result.opaque == ("new",)
    assert result.oddities == ()


@pytest.mark.parametrize("kind", OVERLAYS)
def test_whiteouts_by_attribute_count_only_where_their_folder_says_so(
    layer: Path, kind: LayerKind
) -> None:
    for folder in ("x", "plain"):
        (layer / folder).mkdir()
        (layer / folder / "gone").write_bytes(b"")
        os.setxattr(layer / folder / "gone", NAMESPACES[kind] + "whiteout", b"")
    os.setxattr(layer / "x", NAMESPACES[kind] + "opaque", b"x")
    result = scanned(layer, kind)
    assert result.removed == ("x/gone",)
    assert result.opaque == ()
    assert found(result) == [("plain/gone", "FILE_SPECIAL")]


@pytest.mark.parametrize("kind", [*OVERLAYS, LayerKind.WORKTREE])
def test_a_pack_cannot_forge_a_deletion_in_the_other_namespace(
    layer: Path, kind: LayerKind
) -> None:
    (layer / "d").mkdir()
    (layer / "d/empty").write_bytes(b"")
    for other, prefix in NAMESPACES.items():
        if other is not kind:
            os.setxattr(layer / "d", prefix + "opaque", b"y")
            os.setxattr(layer / "d/empty", prefix + "whiteout", b"")
    result = scanned(layer, kind)
    assert result.removed == ()
    assert result.opaque == (("",) if kind is LayerKind.WORKTREE else ())
    assert [file.path for file in result.files] == ["d/empty"]


@pytest.mark.parametrize("kind", OVERLAYS)
@pytest.mark.parametrize("mark", ["redirect", "metacopy"])
def test_content_that_an_overlay_keeps_elsewhere_is_refused(
    layer: Path, kind: LayerKind, mark: str
) -> None:
    where = layer / "it"
    if mark == "redirect":
        where.mkdir()
    else:
        where.write_bytes(b"")
    os.setxattr(where, NAMESPACES[kind] + mark, b"/other")
    assert found(scanned(layer, kind)) == [("it", "FILE_SPECIAL")]


def test_a_full_worktree_knows_no_marks(layer: Path) -> None:
    os.mknod(layer / "white", stat.S_IFCHR, 0)
    result = scanned(layer, LayerKind.WORKTREE)
    assert result.removed == ()
    assert result.opaque == ("",)
    assert result.oddities == (Oddity("white", "FILE_SPECIAL", "a character device"),)


def test_fifos_and_sockets_are_named_and_never_opened(layer: Path) -> None:
    os.mkfifo(layer / "fifo")
    here = os.getcwd()
    os.chdir(layer)  # the address of a socket is short
    try:
        with socket.socket(socket.AF_UNIX) as unix:
            unix.bind("sock")
    finally:
        os.chdir(here)
    assert scanned(layer).oddities == (
        Oddity("fifo", "FILE_SPECIAL", "a FIFO"),
        Oddity("sock", "FILE_SPECIAL", "a socket"),
    )


@pytest.mark.parametrize("mode", [0o4755, 0o2644, 0o1644])
def test_set_id_and_sticky_files_are_named(layer: Path, mode: int) -> None:
    (layer / "f").write_bytes(b"x")
    (layer / "f").chmod(mode)
    assert scanned(layer).oddities == (Oddity("f", "FILE_SETID", f"a file with mode {mode:04o}"),)


def test_a_sticky_folder_is_no_matter(layer: Path) -> None:
    (layer / "d").mkdir()
    (layer / "d").chmod(0o3777)
    assert scanned(layer).oddities == ()


def test_one_top_level_git_is_left_out_whatever_it_is(layer: Path) -> None:
    (layer / ".git").mkdir()
    (layer / ".git/config").write_text("[core]\n\tfsmonitor = touch canary\n")
    os.mkfifo(layer / ".git/fifo")
    assert scanned(layer) == ScannedLayer(())


@pytest.mark.parametrize(
    "name",
    [
        ".GIT",
        ".Git",
        "git~1",
        "GIT~1",
        ".git ",
        ".git.",
        ".git::$INDEX_ALLOCATION",
        ".g\u200cit",
        "d/.git",
    ],
)
def test_every_other_name_that_reads_as_git_is_a_finding(layer: Path, name: str) -> None:
    where = layer / name
    where.mkdir(parents=True)
    (where / "config").write_text("[core]\n\tfsmonitor = touch canary\n")
    result = scanned(layer)
    assert found(result) == [(name, "PATH_GIT_NAME")]
    assert result.files == ()


def test_depth_is_bounded(layer: Path) -> None:
    (layer / "a/b/c").mkdir(parents=True)
    (layer / "a/b/f").write_bytes(b"")
    (layer / "a/b/c/g").write_bytes(b"")
    result = scanned(layer, max_depth=2)
    assert [file.path for file in result.files] == ["a/b/f"]
    assert found(result) == [("a/b/c", "TREE_TOO_DEEP")]


def test_a_chain_of_folders_longer_than_any_path_is_survived(layer: Path) -> None:
    here = os.getcwd()
    os.chdir(layer)
    try:
        for _ in range(400):
            os.mkdir("d" * 100)
            os.chdir("d" * 100)
    finally:
        os.chdir(here)
    assert [finding for _, finding in found(scanned(layer))] == ["TREE_TOO_DEEP"]


def test_the_number_of_entries_is_bounded(layer: Path) -> None:
    for number in range(6):
        (layer / str(number)).write_bytes(b"")
    assert scanned(layer, max_entries=6).oddities == ()
    assert found(scanned(layer, max_entries=5)) == [("", "TREE_TOO_LARGE")]


def test_a_sparse_file_is_refused_by_its_size_before_it_is_read(layer: Path) -> None:
    with open(layer / "sparse", "wb") as stream:
        stream.truncate(1 << 40)
    (layer / "z").write_bytes(b"after")
    result = scanned(layer)
    assert found(result) == [("sparse", "TREE_TOO_LARGE")]
    assert result.files == ()


@contextmanager
def as_ordinary_user(*owned: Path) -> Iterator[None]:
    """Without root's power over mode bits; the paths belong to that user."""
    if not ROOT:
        yield
        return
    for path in owned:
        os.chown(path, 65534, 65534, follow_symlinks=False)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_modes_that_forbid_reading_hide_nothing_and_stay_known(layer: Path) -> None:
    (layer / "d/e").mkdir(parents=True)
    (layer / "d/e/f").write_bytes(b"hidden")
    (layer / "d/e/f").chmod(0o100)
    (layer / "d/e").chmod(0o000)
    (layer / "d").chmod(0o400)
    fd = os.open(layer, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with as_ordinary_user(layer / "d/e/f", layer / "d/e", layer / "d", layer):
            result = scan(
                fd, LayerKind.USER, lambda content: object_id("blob", content, "sha1"), "sha1"
            )
    finally:
        os.close(fd)
    assert [(file.path, file.leaf.mode, file.size) for file in result.files] == [
        ("d/e/f", MODE_EXECUTABLE, 6)
    ]


def test_a_link_to_a_folder_is_not_entered(layer: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/key").write_text("canary")
    os.symlink(tmp_path / "secret", layer / "way")
    os.symlink("/dev/zero", layer / "zero")
    result = scanned(layer)
    assert [(file.path, file.link) for file in result.files] == [
        ("way", str(tmp_path / "secret")),
        ("zero", "/dev/zero"),
    ]


def test_a_file_that_grows_while_it_is_read_is_a_defect_and_not_a_change(
    layer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (layer / "f").write_bytes(b"one")
    real = os.open

    def meddle(path: str, flags: int, *more: int, dir_fd: int | None = None) -> int:
        fd = real(path, flags, *more, dir_fd=dir_fd)
        if path == "f":
            with open(layer / "f", "ab") as stream:
                stream.write(b"two")
        return fd

    monkeypatch.setattr(os, "open", meddle)
    with pytest.raises(InternalError, match="had 3 bytes and yielded 4"):
        scanned(layer)


def test_a_file_that_is_exchanged_while_it_is_looked_at_is_a_defect(
    layer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (layer / "f").write_bytes(b"one")
    (layer / "g").write_bytes(b"two")
    real = os.open

    def meddle(path: str, flags: int, *more: int, dir_fd: int | None = None) -> int:
        if path == "f":
            os.replace(layer / "g", layer / "f")
        return real(path, flags, *more, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", meddle)
    with pytest.raises(InternalError, match="was exchanged"):
        scanned(layer)


def test_a_file_of_holes_is_not_read(layer: Path) -> None:
    (layer / "small").write_bytes(b"x")
    os.truncate(layer / "small", 1000)
    (layer / "holes").touch()
    os.truncate(layer / "holes", 3 << 30)
    read: list[int] = []

    def keep(content: bytes) -> str:
        read.append(len(content))
        return object_id("blob", content, "sha1")

    fd = os.open(layer, os.O_RDONLY)
    try:
        result = scan(fd, LayerKind.USER, keep, "sha1")
    finally:
        os.close(fd)
    assert read == [1000]
    assert result.unread == ("holes",)
    assert [(odd.path, odd.finding, odd.what) for odd in result.oddities] == [
        ("holes", "FILE_TOO_LARGE", "3221225472 bytes; expected at most 268435456")
    ]
    assert result.without(frozenset({"holes", "small"})) == ()


def test_of_a_whole_worktree_a_large_file_is_the_bases_or_odd(layer: Path) -> None:
    (layer / "same").write_bytes(b"x" * 3_000_000)
    (layer / "other").write_bytes(b"y" * 3_000_000)
    (layer / "small").write_bytes(b"z")
    result = scanned(layer, LayerKind.WORKTREE, max_file=2_999_999)
    assert result.unread == ("other", "same")
    same = Leaf(MODE_FILE, object_id("blob", b"x" * 3_000_000, "sha1"))
    base = tree_from_leaves([("same", same), ("other", same)], "sha1")
    seen = result.against(base)
    assert [file.path for file in seen.files] == ["same", "small"]
    assert found(seen) == [("other", "FILE_TOO_LARGE")]
    assert apply_layer(base, seen, frozenset()).tree.get("same") == same
    over = scanned(layer, LayerKind.USER, max_file=2_999_999).against(base)
    assert [file.path for file in over.files] == ["small"]
    assert found(over) == [("other", "FILE_TOO_LARGE"), ("same", "FILE_TOO_LARGE")]
