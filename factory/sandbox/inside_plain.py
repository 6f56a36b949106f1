"""Make a stage for the backends that mount nothing of their own: a plain folder.

As root everything runs as another user. Where that user cannot reach what a command needs (an
interpreter below a root-only home), and the kernel lets root mount, the supervisor keeps a mount
namespace of its own in which just that is reachable, at the same paths. Runs inside the supervisor;
stdlib only. Does not know what a command means.
"""

from __future__ import annotations

import os
import signal
import stat
from collections.abc import Iterable
from types import FrameType

from factory.sandbox import bounds, kernel, wire


def prepare(template: wire.Message) -> None:
    """Make, as a spare, what the packs' user needs reachable for it."""
    bounds.use_whole_process_limit()
    if template["as_root"]:
        _make_reachable(template["needed"])


def open_stage(plan: wire.Message) -> int:
    """Give up root for good; return a descriptor of the folder that the pack writes to."""
    layer = os.open(plan["writable"], os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    if plan["as_root"]:
        kernel.drop_bounding_set()
        os.setgroups([])
        os.setresgid(plan["gid"], plan["gid"], plan["gid"])
        os.setresuid(plan["uid"], plan["uid"], plan["uid"])
    bounds.bound_files(plan["size"])
    kernel.become_subreaper()
    signal.signal(signal.SIGTERM, _hang_up)
    kernel.die_with_parent(signal.SIGTERM)  # to bury first: no namespace ends what runs below
    return layer


def _hang_up(_number: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise wire.HungUp("the launcher ended")


# --- what root must make reachable


def _make_reachable(needed: Iterable[str]) -> None:
    hidden = {path: _hidden_by(path) for path in map(os.path.realpath, needed)}
    hidden = {path: folder for path, folder in hidden.items() if folder}
    if not hidden:
        return
    kernel.unshare(kernel.NEW_NAMESPACE_MOUNT)
    kernel.mount("none", "/", "", kernel.RECURSIVE | kernel.PRIVATE)
    opened = {path: os.open(path, os.O_PATH | os.O_CLOEXEC) for path in hidden}
    for folder in sorted(set(hidden.values())):
        kernel.mount(
            "factory", folder, "tmpfs", kernel.NO_SETUID | kernel.NO_DEVICES, "size=1m,mode=0755"
        )
    for path, descriptor in sorted(opened.items()):
        os.makedirs(path, exist_ok=True)
        kernel.mount(f"/proc/self/fd/{descriptor}", path, "", kernel.BIND | kernel.RECURSIVE)
        os.close(descriptor)


def _hidden_by(path: str) -> str:
    """Return the highest folder on the way to `path` that only its owner may enter; empty where
    there is none.
    """
    parts = path.split("/")
    for count in range(2, len(parts)):
        folder = "/".join(parts[:count])
        if not os.stat(folder).st_mode & stat.S_IXOTH:
            return folder
    return ""
