"""Patches of real Git taken back: the content before comes out, byte for byte, with the counts that
Git counts.
"""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import zlib
from pathlib import Path

import pytest

from factory.verify.binary_patch import BinaryPatchError, with_delta
from factory.verify.patch import Change, PatchError, Undone, undo
from factory.verify.trees import EXECUTABLE, FILE, LINK, TreeEntry

Files = dict[str, tuple[int, bytes]]
NAMES = ("a", "b c", "d/e", "d/f g", "é", 'q"x', "t\tab", "z\\w", "u/v/w", "nl\nx", "é x", 'q" y')
LINES = (
    b"foo(): 1",
    b"  x",
    b"",
    b"\tq",
    "_é ".encode() * 40,
    b"}",
    b"$z\r",
    b"n",
    b"Class  ",
    b"--- a/x",
    b"+++ b",
)
WORDS = ("diff-tree", "-r", "--no-renames")


def git(folder: Path, *words: str, stdin: bytes = b"") -> bytes:
    env = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    return subprocess.run(
        ["git", *words], cwd=folder, input=stdin, capture_output=True, check=True, env=env
    ).stdout


def tree(folder: Path, files: Files) -> str:
    git(folder, "read-tree", "--empty")
    rows = b""
    for path, (mode, content) in files.items():
        raw = b"blob %d\0" % len(content) + content
        oid = hashlib.sha1(raw).hexdigest()
        place = folder / ".git" / "objects" / oid[:2] / oid[2:]
        if not place.exists():
            place.parent.mkdir(exist_ok=True)
            place.write_bytes(zlib.compress(raw))
        rows += b"%06o " % mode + oid.encode() + b"\t" + os.fsencode(path) + b"\0"
    git(folder, "update-index", "-z", "--index-info", stdin=rows)
    return git(folder, "write-tree").decode().strip()


def entry(files: Files, path: str) -> TreeEntry | None:
    if path not in files:
        return None
    mode, content = files[path]
    return TreeEntry(mode, hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest())


def changes(before: Files, after: Files) -> list[Change]:
    paths = sorted({*before, *after}, key=os.fsencode)
    found = [Change(path, entry(before, path), entry(after, path)) for path in paths]
    return [change for change in found if change.before != change.after]


def patch_of(folder: Path, before: Files, after: Files) -> bytes:
    words = (*WORDS, "-p", "--binary", "--full-index")
    return git(folder, *words, tree(folder, before), tree(folder, after))


def undone(patch: bytes, before: Files, after: Files) -> dict[str, Undone]:
    return undo(
        patch, changes(before, after), {path: content for path, (_, content) in after.items()}
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q")
    return tmp_path


def content(choose: random.Random) -> bytes:
    kind = choose.random()
    if kind < 0.1:
        return b""
    if kind < 0.3:
        return b"\0" + choose.randbytes(choose.choice([1, 10, 3000]))
    lines = [choose.choice(LINES) for _ in range(choose.randrange(1, 80))]
    return b"\n".join(lines) + (b"\n" if choose.random() < 0.8 else b"")


def edited(choose: random.Random, old: bytes) -> bytes:
    lines = old.split(b"\n")
    for _ in range(choose.randrange(1, 5)):
        at = choose.randrange(len(lines) + 1)
        lines[at : at + choose.randrange(3)] = [b"new"] * choose.randrange(3)
    return b"\n".join(lines)


def some_files(choose: random.Random) -> tuple[Files, Files]:
    before: Files = {
        name: (choose.choice([FILE, EXECUTABLE]), content(choose))
        for name in NAMES
        if choose.random() < 0.6
    }
    after: Files = {}
    for name in NAMES:
        kind = choose.random()
        if name not in before:
            after |= {name: (FILE, content(choose))} if kind < 0.4 else {}
        elif kind < 0.5:
            after[name] = (before[name][0], edited(choose, before[name][1]))
        elif kind < 0.7:
            after[name] = (
                EXECUTABLE,
                before[name][1] if kind < 0.6 else edited(choose, before[name][1]),
            )
        elif kind < 0.8:
            after[name] = (LINK, b"target")
        elif kind < 0.9:
            after[name] = before[name]
    return before, after


@pytest.mark.parametrize("seed", range(12))
def test_what_git_writes_is_taken_back(folder: Path, seed: int) -> None:
    choose = random.Random(seed)
    for _ in range(4):
        before, after = some_files(choose)
        found = undone(patch_of(folder, before, after), before, after)
        counts = git(folder, *WORDS, "-z", "--numstat", tree(folder, before), tree(folder, after))
        told = {
            os.fsdecode(row.split(b"\t", 2)[2]): row.split(b"\t")[:2]
            for row in counts.split(b"\0")[:-1]
        }
        for change in changes(before, after):
            one = found[change.path]
            old = before.get(change.path)
            if change.before and change.after and change.before.oid == change.after.oid:
                continue  # its mode alone changed: nothing is in the patch
            assert one.before == (old[1] if old else None)
            if (
                change.after is None
                or change.before is None
                or LINK not in (change.before.mode, change.after.mode)
            ):
                due = (
                    [b"-", b"-"]
                    if one.added is None or one.removed is None
                    else [b"%d" % one.added, b"%d" % one.removed]
                )
                assert told[change.path] == due


BEFORE: Files = {
    "a": (FILE, b"def f():\n" + b" x\n" * 20 + b"end\n"),
    "b": (FILE, bytes(range(256)) * 8),
}
AFTER: Files = {
    "a": (FILE, b"def f():\n" + b" x\n" * 19 + b" y\nend\n"),
    "b": (FILE, bytes(range(255)) * 8),
}


def test_no_flipped_bit_leads_to_another_content_unnoticed(folder: Path) -> None:
    patch = patch_of(folder, BEFORE, AFTER)
    for at in range(len(patch)):
        for bit in (0, 6):
            spoilt = bytearray(patch)
            spoilt[at] ^= 1 << bit
            try:
                found = undone(bytes(spoilt), BEFORE, AFTER)
            except PatchError:
                continue
            same = all(found[path].before == BEFORE[path][1] for path in BEFORE)
            assert not same, f"byte {at} of {patch[max(0, at - 20) : at + 20]!r}"


def test_a_change_that_is_not_named_is_hidden(folder: Path) -> None:
    patch = patch_of(folder, BEFORE, AFTER)
    more = (
        b"diff --git a/evil b/evil\nnew file mode 100644\nindex "
        + b"0" * 40
        + b".."
        + b"1" * 40
        + b"\n"
    )
    with pytest.raises(PatchError) as caught:
        undone(patch + more, BEFORE, AFTER)
    assert caught.value.hidden == "evil"
    with pytest.raises(PatchError) as caught:
        undone(more + patch, BEFORE, AFTER)
    assert caught.value.hidden == "evil"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda patch: patch[:-1],
        lambda patch: patch[: len(patch) // 2],
        lambda patch: b"junk\n" + patch,
        lambda patch: patch + b"junk\n",
        lambda patch: patch.replace(b"@@ def f():", b"@@ def g():"),
        lambda patch: patch.replace(b"- x\n", b"- z\n"),
        lambda patch: patch.replace(b"+ y\n", b"+ z\n"),
        lambda patch: patch.replace(b"GIT binary patch\n", b""),
        lambda patch: patch.replace(b"100644\n", b"100755\n"),
        lambda patch: b"",
        lambda patch: patch + patch,
    ],
)
def test_a_spoilt_patch_is_refused_or_leads_elsewhere(folder: Path, spoil) -> None:
    patch = patch_of(folder, BEFORE, AFTER)
    assert spoil(patch) != patch
    try:
        found = undone(spoil(patch), BEFORE, AFTER)
    except PatchError:
        return
    assert any(found[path].before != BEFORE[path][1] for path in BEFORE)


@pytest.mark.parametrize(
    "delta",
    [b"", b"\x80", b"\x01\x01\x00", b"\x02\x01\x91\x01\x09", b"\x02\x05\x01", b"\x02\x01\x02ab"],
)
def test_a_delta_that_does_not_fit_is_refused(delta: bytes) -> None:
    with pytest.raises(BinaryPatchError):
        with_delta(delta, b"ab")
