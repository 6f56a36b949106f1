"""A real Git repository for tests, driven by the real Git with an environment of its own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from factory.git.objects import GitObjects
from factory.git.repository import discover
from factory.model.tree import MODE_EXECUTABLE, MODE_FILE, MODE_LINK, Leaf, Tree

ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": os.devnull,
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@localhost",
    "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@localhost",
    "LC_ALL": "C",
}


def git(
    cwd: Path,
    *words: str,
    stdin: bytes = b"",
    ok: bool = True,
    variables: Mapping[str, str] | None = None,
) -> bytes:
    """Stock Git's answer; with `ok` its exit code must be 0."""
    ended = subprocess.run(
        ["git", *words],
        cwd=cwd,
        input=stdin,
        capture_output=True,
        env={**ENVIRONMENT, **(variables or {})},
        check=False,
    )
    assert not ok or ended.returncode == 0, (words, ended.stderr)
    return ended.stdout


class World:
    """A repository under `root`, and a private store over it."""

    def __init__(self, root: Path, hash_name: str = "sha1", name: str = "repo") -> None:
        self.root = root / name
        self.root.mkdir(parents=True)
        self.state = root / "state"
        self.hash_name = hash_name
        git(self.root, "init", "-q", "-b", "main", "--object-format", hash_name)

    def git(
        self,
        *words: str,
        stdin: bytes = b"",
        ok: bool = True,
        variables: Mapping[str, str] | None = None,
    ) -> bytes:
        return git(self.root, *words, stdin=stdin, ok=ok, variables=variables)

    def write(self, files: Mapping[str, str | bytes | None]) -> World:
        """Lay files down: text or bytes; None removes; text that starts with "-> " is a link, with
        "#!" executable.
        """
        for path, content in files.items():
            where = self.root / path
            if content is None:
                where.unlink()
                continue
            where.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, str) and content.startswith("-> "):
                os.symlink(content[3:], where)
                continue
            where.write_bytes(content if isinstance(content, bytes) else content.encode())
            if where.read_bytes().startswith(b"#!"):
                where.chmod(0o755)
        return self

    def commit(self, files: Mapping[str, str | bytes | None]) -> str:
        """Write, add all, commit; the commit's id."""
        self.write(files)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "change")
        return self.head()

    def head(self, what: str = "HEAD") -> str:
        return self.git("rev-parse", what).decode().strip()

    def objects(self) -> GitObjects:
        return GitObjects(discover(self.root, "HEAD"), self.state)


def leaf(objects: GitObjects, content: str, mode: int = MODE_FILE) -> Leaf:
    """A stored blob as an entry."""
    return Leaf(mode, objects.write_blob(content.encode()))


def link(objects: GitObjects, target: str) -> Leaf:
    """A stored link as an entry."""
    return leaf(objects, target, MODE_LINK)


def files_of(root: Path) -> dict[str, tuple[int, bytes]]:
    """What stands below a folder: modes as Git sees them, and bytes; the top-level .git left
    out.
    """
    found: dict[str, tuple[int, bytes]] = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if name == ".git" or name.startswith(".git/"):
            continue
        if path.is_symlink():
            found[name] = (MODE_LINK, os.fsencode(os.readlink(path)))
        elif path.is_file():
            found[name] = (
                MODE_EXECUTABLE if path.stat().st_mode & 0o100 else MODE_FILE,
                path.read_bytes(),
            )
    return found


def files_in(objects: GitObjects, tree: Tree) -> dict[str, tuple[int, bytes]]:
    """What a tree says should stand there."""
    return {
        path: (entry.mode, objects.read([entry.oid])[entry.oid]) for path, entry in tree.leaves()
    }
