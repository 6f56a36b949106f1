"""Writing: atomic, durable, confined; a full or read-only disk is a verdict."""

from __future__ import annotations

import errno
import hashlib
import os
import random
import threading
from pathlib import Path

import pytest

from factory.files.fs_guard import (
    Writer,
    append_durable,
    free_space,
    inside,
    make_folder,
    remove_tree,
    sha256_file,
    write_atomic,
    write_new,
)
from factory.model.errors import Refusal

ROOT = os.geteuid() == 0


def refused(caught: pytest.ExceptionInfo[Refusal]) -> tuple[str, str]:
    finding = caught.value.findings[0]
    return finding.id, finding.message


@pytest.mark.parametrize("durable", [True, False])
def test_a_write_replaces_the_whole_file_and_leaves_nothing_beside_it(
    tmp_path: Path, durable: bool
) -> None:
    path = tmp_path / "f"
    write_atomic(path, b"a longer first content", durable)
    write_atomic(path, b"short", durable)
    assert path.read_bytes() == b"short"
    assert path.stat().st_mode & 0o777 == 0o644
    assert [entry.name for entry in tmp_path.iterdir()] == ["f"]


def test_a_reader_never_sees_a_part(tmp_path: Path) -> None:
    path = tmp_path / "f"
    contents = [bytes([65 + number]) * 100_000 for number in range(2)]
    write_atomic(path, contents[0], durable=False)
    seen: set[bytes] = set()
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            seen.add(path.read_bytes())

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(50):
        write_atomic(path, contents[number % 2], durable=False)
    stop.set()
    reader.join()
    assert seen <= set(contents)


def test_a_write_through_a_link_replaces_the_link(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("safe")
    os.symlink("target", tmp_path / "f")
    write_atomic(tmp_path / "f", b"new")
    assert (tmp_path / "target").read_text() == "safe"
    assert not (tmp_path / "f").is_symlink()


@pytest.mark.parametrize("name", ["write", "fsync", "replace"])
def test_a_write_that_fails_is_a_refusal_and_leaves_the_old_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    path = tmp_path / "f"
    write_atomic(path, b"old")

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, name, fail)
    with pytest.raises(Refusal) as caught:
        write_atomic(path, b"new")
    monkeypatch.undo()
    assert refused(caught) == (
        "DISK_UNWRITABLE",
        f"expected to write '{path}', found: No space left on device",
    )
    assert (
        caught.value.findings[0].hint
        == "free some space or make that folder writable, then run again"
    )
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["f"]


def test_a_really_full_disk(tmp_path: Path) -> None:
    with pytest.raises(Refusal) as caught:
        append_durable(Path("/dev/full"), b"x")
    assert refused(caught)[0] == "DISK_UNWRITABLE"


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 4097, 3 << 20])
@pytest.mark.parametrize("kind", ["holes", "data", "mixed", "dotted"])
def test_a_new_file_has_its_bytes_and_holes_where_they_are_zeros(
    tmp_path: Path, size: int, kind: str
) -> None:
    made = random.Random(f"{size} {kind}")
    content = {
        "holes": lambda: bytes(size),
        "data": lambda: made.randbytes(size),
        "mixed": lambda: b"".join(
            bytes(n) if made.random() < 0.5 else made.randbytes(n)
            for n in (made.randrange(1, 9000) for _ in range(size // 4096 + 1))
        ),
        # one byte in each 64 KiB, as the blocks of a bundle have
        "dotted": lambda: (b"x" + bytes(65539)) * (size // 65540) + bytes(size % 65540),
    }[kind]()
    path = tmp_path / "f"
    with open(path, "w+b", buffering=0) as stream:
        write_new(stream.fileno(), content)
    assert path.read_bytes() == content
    if kind in ("holes", "dotted") and len(content) >= 1 << 20:
        assert path.stat().st_blocks * 512 <= len(content) // 8


def test_appending_tells_where_it_began(tmp_path: Path) -> None:
    path = tmp_path / "log"
    assert append_durable(path, b"one\n") == 0
    assert append_durable(path, b"two\n") == 4
    assert path.read_bytes() == b"one\ntwo\n"


def test_a_short_append_is_cut_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log"
    append_durable(path, b"one\n")
    real = os.write
    calls: list[int] = []

    def short(fd: int, content: bytes) -> int:
        calls.append(len(content))
        if len(calls) > 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(fd, bytes(content[:2]))

    monkeypatch.setattr(os, "write", short)
    with pytest.raises(Refusal):
        append_durable(path, b"two\n")
    monkeypatch.undo()
    assert calls == [4, 2]
    assert path.read_bytes() == b"one\n"


def test_an_append_does_not_follow_a_link(tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"safe")
    os.symlink("other", tmp_path / "log")
    with pytest.raises(Refusal):
        append_durable(tmp_path / "log", b"x")
    assert (tmp_path / "other").read_bytes() == b"safe"


def test_a_folder_where_a_file_stands_is_a_refusal(tmp_path: Path) -> None:
    assert make_folder(tmp_path / "a/b") == make_folder(tmp_path / "a/b")
    (tmp_path / "f").write_text("")
    with pytest.raises(Refusal) as caught:
        make_folder(tmp_path / "f/b")
    assert refused(caught) == (
        "DISK_UNWRITABLE",
        f"expected to write '{tmp_path}/f/b', found: Not a directory",
    )


def test_removing_does_not_follow_links(tmp_path: Path) -> None:
    (tmp_path / "safe/deep").mkdir(parents=True)
    (tmp_path / "safe/deep/f").write_text("keep")
    (tmp_path / "gone/in").mkdir(parents=True)
    os.symlink(tmp_path / "safe", tmp_path / "gone/in/way")
    os.symlink(tmp_path / "safe", tmp_path / "link")
    remove_tree(tmp_path / "gone")
    remove_tree(tmp_path / "link")
    remove_tree(tmp_path / "nothing")
    assert not (tmp_path / "gone").exists()
    assert not (tmp_path / "link").is_symlink()
    assert (tmp_path / "safe/deep/f").read_text() == "keep"


def test_removing_takes_files_and_very_deep_folders(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("")
    remove_tree(tmp_path / "f")
    here = os.getcwd()
    (tmp_path / "deep").mkdir()
    os.chdir(tmp_path / "deep")
    try:
        for _ in range(3000):
            os.mkdir("d" * 50)
            os.chdir("d" * 50)
            os.close(os.open("f", os.O_CREAT))
    finally:
        os.chdir(here)
    remove_tree(tmp_path / "deep")
    assert list(tmp_path.iterdir()) == []


def test_removing_opens_up_folders_without_permissions(tmp_path: Path) -> None:
    top = tmp_path / "top"
    (top / "work/work").mkdir(parents=True)
    (top / "work/work/f").write_text("")
    (top / "work/work").chmod(0)
    (top / "work").chmod(0o500)
    if not ROOT:
        remove_tree(top)
    else:
        for path in (tmp_path, top, top / "work", top / "work/work", top / "work/work/f"):
            os.chown(path, 65534, 65534)
        fd = os.open(tmp_path, os.O_RDONLY)
        here = os.open(".", os.O_RDONLY)
        try:
            os.fchdir(fd)
            os.seteuid(65534)
            remove_tree(Path("top"))
        finally:
            os.seteuid(0)
            os.fchdir(here)
            os.close(here)
            os.close(fd)
    assert not top.exists()


@pytest.mark.parametrize(
    "path", ["..", "../x", "a/../../x", "/etc/passwd", "", ".", "a/../b", "x\0y"]
)
def test_a_path_that_leaves_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(Refusal) as caught:
        inside(tmp_path, path)
    assert refused(caught) == (
        "PATH_UNSAFE",
        f"expected a path below {str(tmp_path)!r}, found {path!r}: it leaves that folder",
    )


def test_paths_below_are_made_absolute(tmp_path: Path) -> None:
    assert inside(tmp_path, "a/b") == tmp_path / "a/b"
    assert inside(tmp_path, tmp_path / "a") == tmp_path / "a"
    with pytest.raises(Refusal):
        inside(tmp_path, f"{tmp_path}-beside/a")


def test_a_writer_stays_below_its_root(tmp_path: Path) -> None:
    root = make_folder(tmp_path / "run")
    (tmp_path / "outside").mkdir()
    os.symlink("../outside", root / "way")
    os.symlink("../outside/file", root / "link")
    writer = Writer(root)
    assert writer.write("a/b/c", b"x").read_bytes() == b"x"
    assert writer.folder("a/d").is_dir()
    for path in ("way/f", "link", "../outside/f", str(tmp_path / "outside/f")):
        with pytest.raises(Refusal) as caught:
            writer.write(path, b"x")
        assert refused(caught)[0] == "PATH_UNSAFE"
    for path in ("way", "way/sub", "../outside/sub"):
        with pytest.raises(Refusal):
            writer.folder(path)
    assert list((tmp_path / "outside").iterdir()) == []
    writer.remove("way")
    writer.remove("a")
    with pytest.raises(Refusal):
        writer.remove("../outside")
    assert (tmp_path / "outside").is_dir()
    assert [entry.name for entry in root.iterdir()] == ["link"]


def test_free_space_of_a_place_that_does_not_exist_yet(tmp_path: Path) -> None:
    assert free_space(tmp_path / "not/yet") > 0


def test_digest_of_a_plain_file_and_of_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x" * 3_000_000)
    assert sha256_file(tmp_path / "f") == hashlib.sha256(b"x" * 3_000_000).hexdigest()
    os.symlink("f", tmp_path / "l")
    os.mkfifo(tmp_path / "fifo")
    for name in ("l", "fifo", "none"):
        with pytest.raises(OSError, match=r"."):
            sha256_file(tmp_path / name)


def test_every_verb_syncs_what_it_promises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    real = os.fsync

    def note(fd: int) -> None:
        synced.append(os.path.basename(os.readlink(f"/proc/self/fd/{fd}")))
        real(fd)

    monkeypatch.setattr(os, "fsync", note)
    write_atomic(tmp_path / "f", b"x")
    assert len(synced) == 2
    assert synced[0].startswith(".f.")
    assert synced[1] == tmp_path.name
    synced.clear()
    write_atomic(tmp_path / "f", b"x", durable=False)
    assert synced == []
