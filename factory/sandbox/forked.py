"""Run a command that is a child of the supervisor's own and becomes the command by itself.

Stdlib only, and light: the launcher starts for each run. Does not know what a command means.
"""

from __future__ import annotations

import contextlib
import os
import signal

from factory.sandbox import bounds, kernel, watch
from factory.sandbox.command import SIGNALS, SandboxedCommand

# Processes that the same user may start meanwhile, before they take away from a pack's bound.
_ROOM_FOR_OTHERS = 256
_FAILED = 125  # what `env` and `timeout` of coreutils exit with when they fail themselves


class Forked(SandboxedCommand):
    """Run one command in a fork, from its start until it is reaped.

    A subclass defines what the child gives up.
    """

    code: int | None = None

    def make_folders(self) -> None:
        """Make a /tmp and a home that no other command can reach; they are removed with the
        stage.
        """
        self.place = f"{self.plan['scratch']}/now"
        with contextlib.suppress(FileNotFoundError):  # the first command finds none
            os.rename(self.place, f"{self.plan['scratch']}/{len(os.listdir(self.plan['scratch']))}")
        os.mkdir(self.place, 0o755)
        for name in ("tmp", "home"):
            os.mkdir(f"{self.place}/{name}", 0o755)
        settings = os.open(f"{self.place}/home/.gitconfig", os.O_WRONLY | os.O_CREAT, 0o644)
        os.write(settings, self.plan["git_config"].encode("ascii"))
        os.close(settings)

    def give_up(self) -> None:
        """Give up, in the child, what the command must not have; never undone. Raise OSError."""

    def start(self) -> int:
        """Fork; never returns in the child."""
        most = self.plan["processes"] + self._others()
        child = os.fork()
        if child == 0:
            try:
                self._become_the_command(most)
            except OSError as error:
                os.write(2, f"sandbox: {error}\n".encode("utf-8", "replace"))
            finally:
                os._exit(_FAILED)
        return child

    def _others(self) -> int:
        """Return how many processes of the same user are not the command's: where the stage has
        its own, just this one.
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
        self.give_up()
        os.execve(self.request["command"][0], self.request["command"], self._environment())

    def _environment(self) -> dict[str, str]:
        given = dict(word.split("=", 1) for word in self.request["arguments"])
        return {"HOME": f"{self.place}/home", "TMPDIR": f"{self.place}/tmp"} | given

    def tend(self, pid: int) -> None:
        """Reap orphans: the dead count against the bound on processes too."""
        for child in watch.children_of(os.getpid()):
            if child != pid:
                os.waitpid(child, os.WNOHANG)

    def note_end(self, pid: int) -> None:
        """Read its status, unless it still runs; everything below is ended next."""
        found = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if found is not None:
            signalled = found.si_code != os.CLD_EXITED
            self.code = 128 + found.si_status if signalled else found.si_status

    def is_full(self) -> bool:
        """Return False: nothing bounds the folder."""
        return False

    def exit_code(self) -> int | None:
        """Return the code as seen before the burial."""
        return self.code

    def spared(self, pid: int) -> set[int]:  # noqa: ARG002 - every process is the command's
        """Return nothing: none of them is ours."""
        return set()
