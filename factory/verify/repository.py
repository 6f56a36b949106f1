"""Read objects of the repository that a run was made in, if available, and merge by Git.

Rule: Git runs in a throw-away repository of ours that only borrows the other's objects, with no
configuration, hook or filter of anybody's; every object that it gives is hashed again here. Absent
means not available, never "as expected". Sources: git-cat-file, git-merge-tree,
gitrepository-layout.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from factory.verify.objects import Commit, ObjectError, commit_payload, object_id
from factory.verify.trees import Clash, TreeEntry, format_tree, parse_tree

_COMMITTER = re.compile(rb"^committer .*> ([0-9]{1,11}) [+-][0-9]{4}$", re.MULTILINE)
_SECONDS = 300  # a hanging Git must not hang the check
_FIXED = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ALLOW_PROTOCOL": "none",
    "HOME": os.devnull,
    "LC_ALL": "C",
    "TZ": "UTC",
}


def find_objects(start: Path) -> Path | None:
    """Return the objects folder of the repository whose work tree is `start`; None if there is
    none.
    """
    place = start / ".git"
    try:
        if place.is_file():
            text = place.read_text("utf-8").strip()
            if not text.startswith("gitdir: "):
                return None
            place = start / text.removeprefix("gitdir: ")
            common = place / "commondir"
            if common.is_file():
                place = place / common.read_text("utf-8").strip()
        return place / "objects" if (place / "objects").is_dir() else None
    except (OSError, UnicodeDecodeError):
        return None


def _path_outside(objects: Path) -> str:
    """Return PATH without relative folders and without those of the work trees that contain
    `objects` and the current folder: a repository could put a program named git there.
    """
    here = Path(os.getcwd())
    places = (*objects.absolute().parents, here, *here.parents)
    trees = [each.resolve() for each in places if (each / ".git").exists()]
    entries = os.environ.get("PATH", os.defpath).split(os.pathsep)
    own = (entry for entry in entries if os.path.isabs(entry))
    return os.pathsep.join(
        entry
        for entry in own
        if not any(Path(entry).resolve().is_relative_to(tree) for tree in trees)
    )


class RepositoryObjects:
    """Read objects of another repository. A context manager; must be closed."""

    def __init__(self, objects: Path, hash_name: str) -> None:
        self._path = _path_outside(objects)
        program = shutil.which("git", path=self._path)
        if program is None:
            raise FileNotFoundError("git")
        self._program = program
        self._hash_name = hash_name
        self._folder = Path(tempfile.mkdtemp(prefix="factory-verify-"))
        self._reader: subprocess.Popen[bytes] | None = None
        extension = f"[extensions]\n\tobjectformat = {hash_name}\n" if hash_name != "sha1" else ""
        version = 1 if extension else 0
        for folder in ("objects/info", "refs"):
            (self._folder / folder).mkdir(parents=True)
        (self._folder / "HEAD").write_text("ref: refs/heads/none\n", "ascii")
        (self._folder / "config").write_text(
            f"[core]\n\trepositoryformatversion = {version}\n\tbare = true\n{extension}", "ascii"
        )
        shallow = objects.parent / "shallow"
        if shallow.is_file():
            shutil.copyfile(shallow, self._folder / "shallow")
        alternate = os.fsencode(objects.absolute())
        quoted = (
            b'"'
            + alternate.replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n")
            + b'"'
        )
        (self._folder / "objects/info/alternates").write_bytes(quoted + b"\n")

    def object(self, oid: str) -> tuple[str, bytes] | None:
        """Return (kind, payload), hashed here; None if it is not available.

        Raise ObjectError if its content does not have its id.
        """
        reader = self._reading()
        if reader.stdin is None or reader.stdout is None:
            raise ObjectError("expected to ask Git for objects, found no way to")
        try:
            reader.stdin.write(oid.encode("ascii") + b"\n")
            reader.stdin.flush()
            head = reader.stdout.readline().split()
            if len(head) != 3:
                return None
            payload = reader.stdout.read(int(head[2]))
            reader.stdout.read(1)
        except OSError:
            return None
        kind = head[1].decode("ascii")
        if object_id(kind, payload, self._hash_name) != oid:
            raise ObjectError(
                f"the repository's object {oid}: expected its content to have that id, found"
                " another"
            )
        return kind, payload

    def tree(self, oid: str) -> bytes | None:
        """Return the payload of a tree; None if it is not available."""
        found = self.object(oid)
        return found[1] if found is not None and found[0] == "tree" else None

    def blob(self, oid: str) -> bytes | None:
        """Return the content of a blob; None if it is not available."""
        found = self.object(oid)
        return found[1] if found is not None and found[0] == "blob" else None

    def tree_of_commit(self, oid: str) -> str:
        """Return the tree that a commit names; "" if the commit is not available."""
        found = self.object(oid)
        if found is None or found[0] != "commit" or not found[1].startswith(b"tree "):
            return ""
        return found[1][5:].split(b"\n", 1)[0].decode("ascii", "replace")

    def time_of_commit(self, oid: str) -> int:
        """Return when a commit was made, in seconds; 0 if it is not available or does not say."""
        try:
            found = self.object(oid)
        except ObjectError:
            return 0  # another check names it
        row = _COMMITTER.search(found[1]) if found is not None and found[0] == "commit" else None
        return int(row[1]) if row is not None else 0

    def merged(
        self, files: Sequence[tuple[TreeEntry, ...]], contents: Mapping[str, bytes]
    ) -> tuple[TreeEntry, ...]:
        """Merge the lines of plain files, each given as base, ours and theirs; `contents` are blobs
        that the repository may lack.

        Git is given three trees with the same names, so that it finds nothing to take for a rename.
        Raise Clash for a conflict, ObjectError if Git fails.
        """
        for oid, content in contents.items():
            self._write(oid, "blob", content)
        made = [{b"%d" % at: row[side] for at, row in enumerate(files)} for side in range(3)]
        base, *sides = (self._write_tree(entries) for entries in made)
        root = self._commit(base, ())
        commits = [self._commit(side, (root,)) for side in sides]
        done = self._git("merge-tree", "--write-tree", "-z", "--no-messages", *commits)
        if done.returncode == 1:
            raise Clash("lines that both sides changed do not merge cleanly")
        if done.returncode != 0:
            raise ObjectError(f"git merge-tree: expected 0 or 1, found {done.returncode}")
        oid = done.stdout.split(b"\0")[0].decode("ascii").strip()
        listed = self._git("cat-file", "tree", oid).stdout
        if object_id("tree", listed, self._hash_name) != oid:
            raise ObjectError(f"git merge-tree: expected the tree {oid}, found another or none")
        entries = parse_tree(listed, len(oid) // 2)
        return tuple(entries[b"%d" % at] for at in range(len(files)))

    def _write_tree(self, entries: Mapping[bytes, TreeEntry]) -> str:
        payload = format_tree(entries)
        oid = object_id("tree", payload, self._hash_name)
        self._write(oid, "tree", payload)
        return oid

    def _commit(self, tree: str, parents: tuple[str, ...]) -> str:
        payload = commit_payload(Commit(tree, parents, "side"))
        oid = object_id("commit", payload, self._hash_name)
        self._write(oid, "commit", payload)
        return oid

    def _write(self, oid: str, kind: str, payload: bytes) -> None:
        place = self._folder / "objects" / oid[:2] / oid[2:]
        if not place.exists():
            place.parent.mkdir(exist_ok=True)
            place.write_bytes(
                zlib.compress(f"{kind} {len(payload)}".encode("ascii") + b"\0" + payload, 1)
            )

    def _git(self, *words: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            self._argv(*words),
            capture_output=True,
            env=self._environment(),
            timeout=_SECONDS,
            check=False,
        )

    def _argv(self, *words: str) -> list[str]:
        return [self._program, f"--git-dir={self._folder}", *words]

    def _environment(self) -> dict[str, str]:
        return {**_FIXED, "PATH": self._path}

    def _reading(self) -> subprocess.Popen[bytes]:
        if self._reader is None:
            self._reader = subprocess.Popen(
                self._argv("cat-file", "--batch"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=self._environment(),
            )
        return self._reader

    def close(self) -> None:
        """End Git and remove what was made for it."""
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.kill()
            reader.communicate()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()
