"""The host as `doctor` looks at it: facts that an adapter gathered, each already a word or a
number.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What is installed and what is left. Versions are "" where a thing is missing; `free` is in
    bytes.

    `held` has a sentence per lock that is held now; `worktrees` are names left behind by earlier
    runs; `user_config` is the path of the user's own file, `user_config_exists` tells whether it is
    there.
    """

    platform: str
    python: str
    python_program: str
    git: str
    git_program: str
    doit: str
    state: str
    free: int
    held: tuple[str, ...]
    worktrees: tuple[str, ...]
    user_config: str
    user_config_exists: bool
