"""Serve the supervisor's half of the backend `bubblewrap`: the binary makes every namespace and
mount.

Stdlib only, and light: the launcher starts for each run. Does not know what a command means.
"""

from __future__ import annotations

import contextlib
import json
import os

from factory.sandbox import bounds, kernel
from factory.sandbox.command import SandboxedCommand
from factory.sandbox.inside_plain import open_stage, prepare

__all__ = ["COMMAND", "open_stage", "prepare"]

OWN_IN_BUBBLEWRAP = 1  # its init, the only process of ours that counts in the namespace it makes


class BubblewrapCommand(SandboxedCommand):
    """Start a bubblewrap that mounts by itself, over bounded tmpfs where it can.

    The bound on processes is set from outside.
    """

    def make_folders(self) -> None:
        """Make nothing: the binary makes it, and it goes with the namespace."""

    def start(self) -> int:
        """Start bubblewrap, and stop its init until its own namespace has the bound on
        processes.
        """
        self.status, statuses = os.pipe()
        blocked, release = os.pipe()
        try:
            words = ["--json-status-fd", str(statuses), "--block-fd", str(blocked)]
            pid = self.spawn([statuses, blocked], words)
            self._bound_init()
            with contextlib.suppress(BrokenPipeError):  # it ended already, and says why
                os.write(release, b"x")
        finally:
            os.close(release)
        return pid

    def program(self) -> tuple[str, dict[str, str], tuple[int, ...]]:
        """Return a sealed copy where the packs' user may write the binary: /proc/1/exe leads to it
        from inside, and that it runs protects it no longer than that (CVE-2019-5736).

        A copy for each command, so that what one does to its mode is not met by the next. A copy
        has no folder next to it: the library is named.
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
        """Return False: nothing bounds the folder."""
        return False


COMMAND = BubblewrapCommand
