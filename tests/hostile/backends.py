"""The ways of confining that this host may offer, each forced by the user's settings.

Does not know whether a host has one; the product's own probe says so.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Backend:
    """Settings that force it, and whether it gives every property; else the user accepts what it
    says it lacks.
    """

    settings: dict[str, str]
    whole: bool = False


BACKENDS = {
    "overlay": Backend({"FACTORY_BACKEND": "full", "FACTORY_ISOLATION": "overlay"}, whole=True),
    "worktree": Backend({"FACTORY_BACKEND": "full", "FACTORY_ISOLATION": "worktree"}),
    "bubblewrap": Backend({"FACTORY_BACKEND": "bubblewrap"}),
    "landlock": Backend({"FACTORY_BACKEND": "landlock"}),
}
