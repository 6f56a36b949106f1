"""Confine by the backend `bubblewrap`: the binary's own namespaces and mounts alone, over a plain
folder.

For hosts where a security profile lets that binary make namespaces and nothing else. Every path
inside is as in the full backend.
"""

from __future__ import annotations

from factory.sandbox import host, plain_words, wire
from factory.sandbox.backend import Offer
from factory.sandbox.by_bubblewrap import ByBubblewrap
from factory.sandbox.plan import Folders


class BubblewrapBackend(ByBubblewrap):
    """Confine by a bubblewrap binary alone; see the module."""

    name = "bubblewrap"
    inside = "factory.sandbox.inside_bubblewrap"

    def __init__(self, offer: Offer, bubblewrap: host.Bubblewrap) -> None:
        """Raise OSError where the cache cannot be written."""
        super().__init__(offer, bubblewrap)
        self.needed = (
            *(mount.source for mount in self.mounts),
            *bubblewrap.folders(),
            str(offer.work),
        )
        self.sized = bubblewrap.offers("--size")  # bubblewrap 0.7 and newer bound a tmpfs

    def template(self) -> wire.Message:
        """Return how bubblewrap is started, and what root must make reachable for it."""
        return super().template() | {
            "bubblewrap": str(self.bubblewrap.program),
            # Packs could write it: a sealed copy is started.
            "sealed": not self.bubblewrap.is_safe_from(host.sandbox_owner()[0]),
            "library": str(self.bubblewrap.library or ""),
            "needed": list(self.needed),
        }

    def words(
        self, folders: Folders, size: int, environment: tuple[tuple[str, str], ...]
    ) -> tuple[str, ...]:
        """Return bubblewrap's words."""
        bound = size if self.sized else 0
        return plain_words.bubblewrap_words(self.view, str(folders.writable), bound, environment)


BACKENDS = (BubblewrapBackend,)
