"""Gathers what `doctor` shows of the host. Each fact on its own: what is missing is "", never an
error.
"""

from __future__ import annotations

import platform
import sys
from importlib import metadata
from pathlib import Path

from factory.files.fs_guard import free_space
from factory.git.git import Git, GitError, find_git
from factory.model.errors import Refusal
from factory.run.doctor import HostFacts


def gather(
    state: Path, held: tuple[str, ...], worktrees: tuple[str, ...], user_config: Path
) -> HostFacts:
    """Return the facts of this host, with what was found in the state folder."""
    git_program, git = _git(state)
    return HostFacts(
        platform=f"{platform.system()} {platform.release()} {platform.machine()}",
        python=platform.python_version(),
        python_program=sys.executable,
        git=git,
        git_program=git_program,
        doit=_version("doit"),
        state=str(state),
        free=free_space(state),
        locked=held,
        worktrees=worktrees,
        user_config=str(user_config),
        user_config_exists=user_config.is_file(),
    )


def _git(state: Path) -> tuple[str, str]:
    try:
        program = find_git(state)
        said = Git(program, Path("/")).run("version").out.decode("ascii", "replace").strip()
    except (Refusal, GitError, OSError):
        return "", ""
    return program, said.removeprefix("git version ")


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""
