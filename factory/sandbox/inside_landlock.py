"""Serve the supervisor's half of the backend `landlock`: a command's first process gives up files,
network and system calls by itself.

Stdlib only, and light: the launcher starts for each run. Does not know what a command means.
"""

from __future__ import annotations

from factory.sandbox import kernel, landlock
from factory.sandbox.forked import Forked
from factory.sandbox.inside_plain import open_stage, prepare

__all__ = ["COMMAND", "open_stage", "prepare"]


class LandlockCommand(Forked):
    """Run a child that gives up everything by itself, then becomes the command."""

    def give_up(self) -> None:
        """Keep what the plan names, and the stage's own folders."""
        landlock.restrict(self._rules(), self.plan["landlock"])
        kernel.filter_calls(bytes.fromhex(self.plan["filter"]))

    def _rules(self) -> list[tuple[str, int]]:
        readable = [(path, landlock.READ) for path in self.plan["readable"]]
        devices = [(path, landlock.USE_DEVICE) for path in self.plan["devices"]]
        return [
            *readable,
            *devices,
            (self.plan["writable"], landlock.WRITE),
            (self.place, landlock.WRITE),
        ]


COMMAND = LandlockCommand
