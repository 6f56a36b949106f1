"""Serve the supervisor's half of the backend `full`: a mount namespace in which the stage's private
layer lies on a file system that bounds bytes and inodes; nothing is mounted on the host.

Stdlib only, and light: the launcher starts for each run. Does not know what a command means.
"""

from __future__ import annotations

import os
import signal

from factory.sandbox import bounds, kernel, layout, wire
from factory.sandbox.command import SandboxedCommand
from factory.sandbox.layout import BUILD, MERGED, UPPER, WORK

COMMAND = SandboxedCommand
OWN_PROCESSES = 3
"""This process, bubblewrap outside and its init inside count against RLIMIT_NPROC too."""
_WRITTEN_TO = ("/dev", "/proc")  # bubblewrap writes to devices, and the maps of its namespace
_ENOUGH_FOR_FOLDERS = (1 << 20, 1024)  # bytes and inodes, until a stage brings its own


# --- as a spare


def prepare(template: wire.Message) -> None:
    """Make, as a spare, the mount namespace and in it the root that all stages have in common."""
    bounds.use_whole_process_limit()
    if template["as_root"]:
        kernel.unshare(kernel.NEW_NAMESPACE_MOUNT)
    else:
        kernel.enter_user_namespace(kernel.NEW_NAMESPACE_MOUNT, template["uid"], template["gid"])
    kernel.mount("none", "/", "", kernel.RECURSIVE | kernel.PRIVATE)
    sources = {
        inside: os.open(path, os.O_PATH | os.O_CLOEXEC)
        for inside, path in template["binds"].items()
    }
    layout.mount_bounded(BUILD, *_ENOUGH_FOR_FOLDERS)
    for folder in (*layout.OWN_FOLDERS, *template["folders"]):
        os.makedirs(BUILD + folder)
    for path, target in template["links"]:
        os.symlink(target, BUILD + path)
    for inside, descriptor in sources.items():
        # Among them is the program that packs find as /proc/1/exe.
        _bind(descriptor, BUILD + inside, read_only=inside not in _WRITTEN_TO)
        os.close(descriptor)


def _bind(descriptor: int, target: str, read_only: bool) -> None:
    source = f"/proc/self/fd/{descriptor}"
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))
    kernel.mount(source, target, "", kernel.BIND | kernel.RECURSIVE)
    if read_only:
        kernel.make_read_only(target, kernel.mount_flags(descriptor))


# --- as a stage


def open_stage(plan: wire.Message) -> int:
    """Make this stage's own layer, then keep nothing else; return a descriptor of what the pack
    writes to.
    """
    layout.bound_again(BUILD, plan["size"], plan["inodes"])
    _write_files(plan["files"])
    layer = _bind_worktree(plan["writable"]) if plan["writable"] else _mount_overlay(plan)
    kernel.pivot_into(BUILD)
    if plan["as_root"]:
        _drop_to(plan["uid"], plan["gid"])
    bounds.bound_files(plan["size"])
    bounds.bound_processes(plan["processes"] + OWN_PROCESSES)
    kernel.become_subreaper()
    kernel.die_with_parent(signal.SIGKILL)  # a change of user has undone it
    return layer


def _write_files(files: wire.Message) -> None:
    """Write texts of this stage alone, in the root that packs see and cannot write."""
    for path, text in files.items():
        os.makedirs(os.path.dirname(BUILD + layout.SYSTEM + path), 0o755, exist_ok=True)
        descriptor = os.open(
            BUILD + layout.SYSTEM + path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644
        )
        with open(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)


def _bind_worktree(path: str) -> int:
    descriptor = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    _bind(descriptor, BUILD + MERGED, read_only=False)
    return descriptor


def _mount_overlay(plan: wire.Message) -> int:
    upper = BUILD + UPPER
    if plan["as_root"]:
        os.chown(upper, plan["uid"], plan["gid"])
    os.utime(upper, (plan["epoch"], plan["epoch"]))
    lowers = [os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC) for path in plan["lowers"]]
    below = ":".join(f"/proc/self/fd/{descriptor}" for descriptor in lowers)
    options = f"lowerdir={below},upperdir={upper},workdir={BUILD}{WORK},index=off,xino=off"
    options += ",metacopy=off,redirect_dir=off" if plan["as_root"] else ",userxattr"
    kernel.mount(
        "overlay", BUILD + MERGED, "overlay", kernel.NO_SETUID | kernel.NO_DEVICES, options
    )
    for descriptor in lowers:
        os.close(descriptor)
    return os.open(upper, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def _drop_to(uid: int, gid: int) -> None:
    """Give up root for good, then own a user namespace in which the process bound is this stage's
    alone.
    """
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    kernel.stay_dumpable()
    kernel.enter_user_namespace(kernel.NEW_NAMESPACE_MOUNT, uid, gid)
