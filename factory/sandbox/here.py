"""Picks the sandbox for this platform; the only module that is safe to import everywhere."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Protocol

from factory.git.ports import Objects
from factory.sandbox.ports import Sandbox
from factory.sandbox.setting import SandboxSetting, Views
from factory.sandbox.unsupported import UnconfinedSandbox


class HostSandbox(Sandbox, Protocol):
    """A sandbox that can confine the integrator too."""

    def integrator_argv(self, run_folder: Path, argv: list[str]) -> list[str]:
        """The words that run the integrator with nothing but `run_folder` writable."""
        ...


def sandbox_here(views: Views, objects: Objects, setting: SandboxSetting) -> HostSandbox:
    """The sandbox of this host. Starts nothing."""
    if platform.system() == "Linux":
        from factory.sandbox.linux import LinuxSandbox

        return LinuxSandbox(views, objects, setting)
    return UnconfinedSandbox(views, objects, setting)


def sandbox_owner() -> tuple[int, int]:
    """The uid and gid that what packs see must belong to; -1 leaves ownership alone."""
    if platform.system() == "Linux":
        from factory.sandbox import host

        return host.sandbox_owner()
    return -1, -1
