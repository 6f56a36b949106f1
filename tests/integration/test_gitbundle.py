"""Bundles of ours, held against real Git and against their own determinism."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.git.bundle_file import (
    BundleError,
    format_bundle,
    format_index,
    format_pack,
    parse_bundle,
    stored_blocks,
)
from factory.git.objects import GitObjects
from factory.git.repository import discover
from factory.model.tree import object_id
from tests.git_world import World, git, leaf


@given(content=st.binary(max_size=300))
def test_stored_blocks_are_a_zlib_stream(content: bytes) -> None:
    assert zlib.decompress(b"".join(stored_blocks(content))) == content


@pytest.mark.parametrize("size", [0, 1, 65_534, 65_535, 65_536, 131_070, 131_071, 200_000])
def test_stored_blocks_at_their_borders(size: int) -> None:
    content = bytes(range(256)) * (size // 256 + 1)
    told = b"".join(stored_blocks(content[:size]))
    assert zlib.decompress(told) == content[:size]
    assert len(told) == size + 6 + 5 * max(1, -(-size // 65_535))


@pytest.mark.parametrize("hash_name", ["sha1", "sha256"])
@pytest.mark.parametrize(
    "sizes", [(), (0,), (1, 15, 16, 2047, 65_535, 65_536, 200_000), range(300)]
)
def test_the_index_of_a_pack_is_the_one_that_git_makes(
    tmp_path: Path, hash_name: str, sizes: Iterable[int]
) -> None:
    World(tmp_path, hash_name)
    contents = [b"%d" % size * (size // 3) + b"x" * (size % 3) for size in sizes]
    objects = {object_id("blob", one, hash_name): ("blob", one) for one in contents}
    pack = format_pack(objects, hash_name)
    (tmp_path / "ours.pack").write_bytes(pack)
    form = f"--object-format={hash_name}"
    git(tmp_path, "index-pack", form, "-o", "theirs.idx", "ours.pack")
    assert format_index(objects, pack, hash_name) == (tmp_path / "theirs.idx").read_bytes()


@pytest.mark.parametrize("hash_name", ["sha1", "sha256"])
def test_git_verifies_and_fetches_a_bundle(tmp_path: Path, hash_name: str) -> None:
    world = World(tmp_path, hash_name)
    base = world.commit({"a": "a\n", "keep/k": "k"})
    with world.objects() as objects:
        old = objects.tree_of(base)
        new = old.changed(
            {
                "a": leaf(objects, "b\n" * 50_000),
                "n/m": leaf(objects, ""),
                "n/o": leaf(objects, "o"),
            }
        )
        objects.write_tree(new)
        commit = objects.write_commit(new.oid, (base,), "change")
        told = objects.bundle((commit,), objects.new_objects(new, old), "refs/codex/T-1", base)
        held = {**objects.new_objects(new, old), commit: objects._objects([commit])[0]}
        assert told == format_bundle(
            commit, "refs/codex/T-1", base, dict(reversed(held.items())), hash_name
        )
    with GitObjects(discover(world.root, "HEAD"), tmp_path / "fresh") as fresh:
        assert fresh.take_in(told) == (base, commit)
        assert fresh.tree_of(commit) == new
        fresh.take_in_all({hashlib.sha256(told).hexdigest(): told})
    with GitObjects(discover(world.root, "HEAD"), tmp_path / "fresh") as again:
        again.take_in_all({hashlib.sha256(told).hexdigest(): told})
        assert again.take_in(told) == (base, commit)
    assert list((tmp_path / "fresh" / "objects" / "pack").iterdir()) == [], "it was all there"
    with GitObjects(discover(world.root, "HEAD"), tmp_path / "packed") as packed:
        assert packed.tree_of(base) == old  # Git has looked which packs there are
        packed.take_in_all({hashlib.sha256(told).hexdigest(): told})
        assert packed.take_in(told) == (base, commit)
        assert packed.tree_of(commit) == new
        assert {path.suffix for path in packed.take_unsettled()} == {".idx", ".pack"}
        stored = sorted(path.suffix for path in packed.folder.rglob("*") if path.is_file())
        assert stored in ([".idx", ".pack"], ["", ".idx", ".pack"])  # "": info/alternates
    (tmp_path / "b.bundle").write_bytes(told)
    git(tmp_path, "clone", "-q", "--no-hardlinks", "repo", "other")
    other = tmp_path / "other"
    git(other, "bundle", "verify", "-q", "../b.bundle")
    git(
        other,
        "-c",
        "transfer.fsckObjects=true",
        "fetch",
        "-q",
        "../b.bundle",
        "refs/codex/T-1:refs/heads/got",
    )
    assert git(other, "rev-parse", "got", "got^{tree}").decode().split() == [commit, new.oid]
    assert git(other, "show", "got:a") == b"b\n" * 50_000
    git(other, "fsck", "--strict", "--full")


@pytest.mark.parametrize("hash_name", ["sha1", "sha256"])
def test_a_bundle_without_prerequisite_can_be_cloned(tmp_path: Path, hash_name: str) -> None:
    world = World(tmp_path, hash_name)
    base = world.commit({"a": "a\n"})
    with world.objects() as objects:
        tree = objects.tree_of(base)
        commit = objects.write_commit(tree.oid, (), "all")
        held = {**objects.new_objects(tree, None), commit: objects._objects([commit])[0]}
        (tmp_path / "all.bundle").write_bytes(
            format_bundle(commit, "refs/heads/main", "", held, hash_name)
        )
    git(tmp_path, "clone", "-q", "-b", "main", "all.bundle", "copy")
    assert (tmp_path / "copy/a").read_text() == "a\n"


def test_bytes_are_fixed() -> None:
    oid = object_id("blob", b"hello", "sha1")
    told = format_bundle("1" * 40, "refs/codex/x", "2" * 40, {oid: ("blob", b"hello")}, "sha1")
    head = b"# v2 git bundle\n-" + b"2" * 40 + b" \n" + b"1" * 40 + b" refs/codex/x\n\n"
    pack = (
        b"PACK"
        + bytes.fromhex("00000002 00000001 35 7801 01 0500 faff")
        + b"hello"
        + bytes.fromhex("062c0215")
    )
    assert told == head + pack + hashlib.sha1(pack).digest()


HELD = {
    object_id(kind, content, "sha1"): (kind, content)
    for kind, content in (("blob", b""), ("blob", b"x" * 70_000), ("tree", b""), ("commit", b"c"))
}
WHOLE = format_bundle(object_id("commit", b"c", "sha1"), "refs/codex/x", "2" * 40, HELD, "sha1")


@given(at=st.integers(0, len(WHOLE) - 1), new=st.binary(max_size=3), removed=st.integers(0, 3))
def test_what_would_not_be_written_so_is_not_read(at: int, new: bytes, removed: int) -> None:
    """An altered bundle is refused, also where its digest was made to fit."""
    body = WHOLE[:at] + new + WHOLE[at + removed :]
    start = body.find(b"PACK")
    for told in (body, body[:-20] + hashlib.sha1(body[max(start, 0) : -20]).digest()):
        try:
            read = parse_bundle(told, "sha1")
        except BundleError:
            continue
        again = format_bundle(read.tip, read.ref, read.prerequisite, read.objects, "sha1")
        assert again == told


def test_an_object_of_no_sound_size_is_refused() -> None:
    head = WHOLE[: WHOLE.index(b"PACK")]
    for size in (b"\xbf\xff\xff\xff\xff\xff\xff\xff\xff\x7f", b"\xbf\xff\x7f"):
        pack = b"PACK" + bytes.fromhex("0000000200000001") + size + bytes(40)
        with pytest.raises(BundleError):
            parse_bundle(head + pack + hashlib.sha1(pack).digest(), "sha1")
