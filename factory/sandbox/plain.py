"""Stages of the backends that mount nothing of their own: a plain folder, and the commands that run
over it.

`bubblewrap`: the binary makes every namespace and mount, for hosts where it alone may. `landlock`:
no namespace at all, for containers: the command's first process gives up files, network and system
calls by itself. Runs inside the supervisor; stdlib only. Does not know what a command means.

As root everything runs as another user, with Landlock alone as one of each stage's own. Where that
user cannot reach what a command needs (an interpreter below a root-only home), and the kernel lets
root mount, the supervisor keeps a mount namespace of its own in which just that is reachable, at
the same paths.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import stat
from collections.abc import Iterable
from types import FrameType

from factory.sandbox import bounds, kernel, landlock, watch, wire
from factory.sandbox.command import SIGNALS, Command

OWN_IN_BUBBLEWRAP = 1  # its init, the only process of ours that counts in the namespace it makes
# processes that the same user may start meanwhile, before they take away from a pack's bound
_ROOM_FOR_OTHERS = 256
_FAILED = 125


def prepare(template: wire.Message) -> None:
    """As a spare: see that the packs' user reaches what it needs."""
    bounds.use_whole_process_limit()
    if template["as_root"]:
        _make_reachable(template["needed"])


def open_stage(plan: wire.Message) -> int:
    """Give up root for good; a descriptor of the folder that the pack writes to."""
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
    """The highest folder on the way to `path` that only its owner may enter; empty where there is
    none.
    """
    parts = path.split("/")
    for count in range(2, len(parts)):
        folder = "/".join(parts[:count])
        if not os.stat(folder).st_mode & stat.S_IXOTH:
            return folder
    return ""


# --- bubblewrap alone


class BareBubblewrap(Command):
    """The binary mounts by itself, over bounded tmpfs where it can; the bound on processes is set
    from outside.
    """

    def make_room(self) -> None:
        """Nothing: the binary makes it, and it goes with the namespace."""

    def start(self) -> int:
        """Hold bubblewrap's init until its own namespace has the bound on processes."""
        self.status, told = os.pipe()
        blocked, release = os.pipe()
        try:
            words = ["--json-status-fd", str(told), "--block-fd", str(blocked)]
            pid = self.spawn([told, blocked], words)
            self._bound_init()
            with contextlib.suppress(BrokenPipeError):  # it ended already, and says why
                os.write(release, b"x")
        finally:
            os.close(release)
        return pid

    def program(self) -> tuple[str, dict[str, str], tuple[int, ...]]:
        """A sealed copy where the packs' user may write the binary: /proc/1/exe leads to it from
        inside, and that it runs protects it no longer than that (CVE-2019-5736).

        A copy for each command, so that what one does to its mode is not met by the next. A copy
        has no folder beside it: the library is named.
        """
        if not self.plan["sealed"]:
            return super().program()
        copy = kernel.sealed_program(self.plan["bubblewrap"])
        library = self.plan["library"]
        environment = {"LD_LIBRARY_PATH": library} if library else {}
        return f"/proc/self/fd/{copy}", environment, (copy,)

    def _bound_init(self) -> None:
        line = b""
        while not line.endswith(b"\n"):
            byte = os.read(self.status, 1)
            if not byte:
                return  # bubblewrap ended instead
            line += byte
        bounds.bound_processes(
            self.plan["processes"] + OWN_IN_BUBBLEWRAP, int(json.loads(line)["child-pid"])
        )

    def is_full(self) -> bool:
        """Unknown: nothing bounds the folder."""
        return False


# --- Landlock alone


class Landlocked(Command):
    """A child of ours gives up everything by itself, then becomes the command."""

    code: int | None = None

    def make_room(self) -> None:
        """A /tmp and a home that no other command can reach; they are removed with the stage."""
        self.place = f"{self.plan['scratch']}/now"
        with contextlib.suppress(FileNotFoundError):  # the first command finds none
            os.rename(self.place, f"{self.plan['scratch']}/{len(os.listdir(self.plan['scratch']))}")
        os.mkdir(self.place, 0o755)
        for name in ("tmp", "home"):
            os.mkdir(f"{self.place}/{name}", 0o755)

    def start(self) -> int:
        """Fork; never returns in the child."""
        most = self.plan["processes"] + self._others()
        child = os.fork()
        if child == 0:
            try:
                self._become_the_command(most)
            except OSError as error:
                os.write(2, f"landlock: {error}\n".encode("utf-8", "replace"))
            finally:
                os._exit(_FAILED)
        return child

    def _others(self) -> int:
        """Processes of the same user that are not the command's: where the stage has its own, just
        this one.
        """
        return 1 if self.plan["as_root"] else bounds.tasks_of_user() + _ROOM_FOR_OTHERS

    def _become_the_command(self, most: int) -> None:
        os.setsid()
        nothing = os.open("/dev/null", os.O_RDONLY)
        os.dup2(nothing, 0)
        os.dup2(self.output, 1)
        os.dup2(self.output, 2)
        os.closerange(3, bounds.OPEN_FILES)
        for number in SIGNALS:
            with contextlib.suppress(OSError):  # the C library keeps two for itself
                signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        os.umask(0o022)
        os.chdir(self.plan["writable"])
        bounds.bound_processes(most)
        kernel.die_with_parent(signal.SIGKILL)
        landlock.restrict(self._rules(), self.plan["landlock"])
        kernel.filter_calls(bytes.fromhex(self.plan["filter"]))
        os.execve(self.request["command"][0], self.request["command"], self._environment())

    def _rules(self) -> list[tuple[str, int]]:
        readable = [(path, landlock.READ) for path in self.plan["readable"]]
        devices = [(path, landlock.USE_DEVICE) for path in self.plan["devices"]]
        return [
            *readable,
            *devices,
            (self.plan["writable"], landlock.WRITE),
            (self.place, landlock.WRITE),
        ]

    def _environment(self) -> dict[str, str]:
        told = dict(word.split("=", 1) for word in self.request["arguments"])
        return {"HOME": f"{self.place}/home", "TMPDIR": f"{self.place}/tmp"} | told

    def tend(self, pid: int) -> None:
        """Reap orphans: the dead count against the bound on processes too."""
        for child in watch.children_of(os.getpid()):
            if child != pid:
                os.waitpid(child, os.WNOHANG)

    def note_end(self, pid: int) -> None:
        """Its status, unless it still runs; everything below is ended next."""
        found = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if found is not None:
            signalled = found.si_code != os.CLD_EXITED
            self.code = 128 + found.si_status if signalled else found.si_status

    def is_full(self) -> bool:
        """Unknown: nothing bounds the folder."""
        return False

    def exit_code(self) -> int | None:
        """As seen before the burial."""
        return self.code

    def spared(self, pid: int) -> set[int]:  # noqa: ARG002 - every process is the command's
        """None of them is ours."""
        return set()


COMMANDS: dict[str, type[Command]] = {"bubblewrap": BareBubblewrap, "landlock": Landlocked}
