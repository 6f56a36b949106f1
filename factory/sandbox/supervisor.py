"""One stage's keeper: makes its namespaces and mounts, runs its commands, leaves no survivor.

A fork of the launcher, one per stage, made ahead of it: as a spare it prepares what all stages have
in common, then takes the next request off the launcher's socket. It owns a mount namespace in which
the stage's private layer lives on a size- and inode-limited tmpfs; nothing is mounted on the host.
When the orchestrator hangs up or the launcher dies, everything below dies. Only a stage that may
use the network gets a network namespace here, with a listener in it; any other gets its own, empty
one from bubblewrap. Stdlib only. Does not know what a command means, nor what the layer holds.
"""

from __future__ import annotations

import os
import signal
import socket

from factory.sandbox import bounds, kernel, layout, observe, plain, wire
from factory.sandbox.command import Command, bury
from factory.sandbox.layout import BUILD, MERGED, UPPER, WORK

OWN_PROCESSES = (
    3  # this process, bubblewrap outside and its init inside count against RLIMIT_NPROC too
)
PROXY = (
    "127.0.0.1",
    3128,
)  # `model.connection` says the same to those above; this file imports only its neighbours
BACKLOG = 128
_WRITTEN_TO = ("/dev", "/proc")  # bubblewrap writes to devices, and the maps of its namespace
_ENOUGH_FOR_FOLDERS = (1 << 20, 1024)  # bytes and inodes, until a stage brings its own


def supervise(requests: socket.socket, template: wire.Message, taken: int) -> None:
    """Prepare as a spare, take one request, be its stage until told to end.

    What comes with the request beside its own link is held until this process ends. `requests` and
    `taken` are this process's own copies: a byte is written to `taken` when a request was taken, so
    that the launcher makes the next spare. Nothing is written when the orchestrator hangs up first.
    """
    kernel.die_with_parent(signal.SIGKILL)
    os.setsid()
    problem = ""
    observer = observe.Observer(-1)
    try:
        if template["backend"] == "full":
            _prepare(template)
            observer = observe.Observer(
                observe.install(bytes.fromhex(template.get("observing", "")))
            )
        else:
            plain.prepare(template)
    except OSError as error:
        problem = str(error)
    try:
        plan, descriptors = wire.receive(requests)
    except wire.HungUp:
        return
    os.write(taken, b"t")
    os.close(taken)
    requests.close()
    with socket.socket(fileno=descriptors[0]) as control:
        _serve(control, template | plan, problem, observer)


def _serve(
    control: socket.socket, plan: wire.Message, problem: str, observer: observe.Observer
) -> None:
    try:
        if problem:
            raise OSError(problem)
        layer = _open(plan) if plan["backend"] == "full" else plain.open_stage(plan)
        listener = _listen() if plan["network"] else -1
    except OSError as error:
        wire.send(control, {"error": str(error)})
        return
    try:
        wire.send(control, {"ready": True}, [layer] if listener < 0 else [layer, listener])
        if listener >= 0:
            os.close(listener)
        while True:
            request, descriptors = wire.receive(control)
            if request["op"] == "stop":
                continue  # meant for a command that ended by itself in between
            if request["op"] == "end":
                bury()
                wire.send(control, {"ended": True})
                return
            command = plain.COMMANDS.get(plan["backend"], Command)
            try:
                told = command(control, plan, request, descriptors, layer, observer).carry_out()
            except OSError as error:
                bury()
                wire.send(control, {"failed": str(error)})
                return
            wire.send(control, told)
    except wire.HungUp:
        bury()


# --- as a spare


def _prepare(template: wire.Message) -> None:
    """Make the mount namespace and, in it, the root that all stages have in common."""
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


def _open(plan: wire.Message) -> int:
    """Make this stage's own layer, then keep nothing else; a descriptor of what the pack writes
    to.
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
    """Texts of this stage alone, in the root that packs see and cannot write."""
    for path, text in files.items():
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


def _listen() -> int:
    """Leave the host's network for an empty one with a loopback of its own; a listener there, for
    the orchestrator.
    """
    kernel.unshare(kernel.NEW_NAMESPACE_NETWORK)
    kernel.bring_up_loopback()
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.bind(PROXY)
        listener.listen(BACKLOG)
        return listener.detach()


def _drop_to(uid: int, gid: int) -> None:
    """Give up root for good, then own a user namespace in which the process bound is this stage's
    alone.
    """
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    kernel.stay_dumpable()
    kernel.enter_user_namespace(kernel.NEW_NAMESPACE_MOUNT, uid, gid)
