"""A sandbox over a tiny tree for tests, without a repository; and how to run tests as an ordinary
user.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from factory.egress.reach import Outside
from factory.model.pack import Limits
from factory.model.tree import Tree, object_id
from factory.plan.stages import PackSandbox, PackStage, PackView
from factory.sandbox import host, kernel
from factory.sandbox.backend import SandboxSetting
from factory.sandbox.backends import IsolationMode
from factory.sandbox.host_sandbox import HostSandbox
from factory.sandbox.ports import Sandbox
from factory.sandbox.stage import LinuxStage
from factory.sandbox.supervised import Supervised
from factory.sandbox.values import CommandOutcome, CommandSpec

MIB = 1 << 20
ORDINARY_ID = 64077
TEXTS = {
    "a.txt": "hello\n",
    "sub/x": "x\n",
    "sub/deep/y": "y\n",
    "tool.sh": "#!/bin/sh\necho tool\n",
}
NOTHING = PackView(Tree({}), Tree({}))
BUBBLEWRAPS = tuple(str(found.program) for found in host.candidates())
SMALL = Limits(timeout=30, processes=32, disk=16 * MIB)
MODES = (IsolationMode.OVERLAY, IsolationMode.WORKTREE)


class Folder:
    """Views and blob store over one folder of plain files."""

    hash_name = "sha1"

    def __init__(self, root: Path, texts: Mapping[str, str] = TEXTS) -> None:
        self.root = root
        self.lower: Path | None = None
        self.blobs: dict[str, bytes] = {}
        self._lay(root / "base", texts)

    def base(self, tree: Tree) -> Path:
        return self.root / "base"

    def layer(self, base: Tree, tree: Tree) -> Path | None:
        return self.lower

    def checkout(self, tree: Tree, destination: Path) -> None:
        shutil.copytree(self.root / "base", destination)
        own(destination)

    def write_blob(self, content: bytes) -> str:
        name = object_id("blob", content, self.hash_name)
        self.blobs[name] = content
        return name

    def _lay(self, folder: Path, texts: Mapping[str, str]) -> None:
        for name, text in texts.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
            (folder / name).chmod(0o755 if text.startswith("#!") else 0o644)
        own(folder)


def own(folder: Path) -> None:
    """Give a folder and all below to the sandbox's user."""
    owner = host.sandbox_owner()
    for path in (folder, *folder.rglob("*")):
        os.chown(path, *owner, follow_symlinks=False)


def folders(root: Path) -> tuple[Path, Path]:
    """Return the two folders of a sandbox's own."""
    return root / "state" / "cache", root / "state" / "worktrees"


def packed(made: Sandbox, views: Folder, outside: Outside | None = None) -> PackSandbox:
    """Return a sandbox as packs use it, over views and blobs of a folder."""
    anything: Any = views  # of all views and objects, these are asked for
    return PackSandbox(made, anything, anything, outside)


@contextmanager
def sandbox(
    root: Path,
    mode: IsolationMode = IsolationMode.OVERLAY,
    bubblewrap: str = "",
    python: str = "",
    texts: Mapping[str, str] = TEXTS,
    outside: Outside | None = None,
    backend: str = "full",
    shown: tuple[Path, ...] = (),
) -> Iterator[tuple[PackSandbox, Folder]]:
    views = Folder(root, texts)
    setting = SandboxSetting(*folders(root), mode, python, bubblewrap, backend=backend, shown=shown)
    made = packed(HostSandbox(setting), views, outside)
    try:
        yield made, views
    finally:
        made.close()


@contextmanager
def stage(made: PackSandbox, limits: Limits = SMALL) -> Iterator[PackStage]:
    opened = made.open(NOTHING, limits, "stage")
    try:
        yield opened
    finally:
        opened.close()


def run(
    opened: PackStage, line: str, timeout: float = 30, output: int = MIB, cwd: str = ""
) -> CommandOutcome:
    return opened.run(CommandSpec(line, cwd, (), timeout, output))


def supervised(opened: PackStage) -> LinuxStage:
    """Return the sandbox's own stage of a pack's."""
    stage = opened._stage
    assert isinstance(stage, LinuxStage)
    return stage


def in_use(made: PackSandbox) -> Supervised:
    """Return the backend that a measurement chose."""
    assert isinstance(made.sandbox, HostSandbox)
    measured = made.sandbox._measure()
    assert isinstance(measured.backend, Supervised)
    return measured.backend


def lost_to_ordinary_users(path: Path) -> Path | None:
    """The highest folder above `path` that an ordinary user cannot enter."""
    for folder in reversed(path.resolve().parents):
        if not folder.stat().st_mode & 0o001:
            return folder
    return None


def become_ordinary_user(*needed: Path) -> None:
    """Give up root for good, keeping `needed` folders reachable in a mount namespace of our own."""
    hidden = {path.resolve(): lost_to_ordinary_users(path) for path in needed}
    kernel.unshare(kernel.NEW_NAMESPACE_MOUNT)
    kernel.mount("none", "/", "", kernel.RECURSIVE | kernel.PRIVATE)
    opened = {path: os.open(path, os.O_PATH) for path, lost in hidden.items() if lost is not None}
    for lost in {lost for lost in hidden.values() if lost is not None}:
        kernel.mount("none", str(lost), "tmpfs", 0, "mode=0755")
    for path, descriptor in opened.items():
        path.mkdir(parents=True, exist_ok=True)
        kernel.mount(f"/proc/self/fd/{descriptor}", str(path), "", kernel.BIND | kernel.RECURSIVE)
        os.close(descriptor)
    os.setgroups([])
    os.setresgid(ORDINARY_ID, ORDINARY_ID, ORDINARY_ID)
    os.setresuid(ORDINARY_ID, ORDINARY_ID, ORDINARY_ID)


def main() -> None:
    """`python sandbox_kit.py HOME WORD…`: exec pytest with WORDs as an ordinary user."""
    home, *words = sys.argv[1:]
    become_ordinary_user(Path(sys.base_prefix), Path(sys.prefix), Path.cwd())
    environment = {"PATH": os.defpath, "HOME": home, "TMPDIR": home, "PYTHONDONTWRITEBYTECODE": "1"}
    os.execve(sys.executable, [sys.executable, "-m", "pytest", *words], environment)


if __name__ == "__main__":
    main()
