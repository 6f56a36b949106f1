"""Define what a scanner found in a layer or worktree after its processes ended, before any
judgement.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from factory.model.tree import Leaf, Tree


@dataclass(frozen=True, slots=True)
class ScannedFile:
    """Describe a regular file or symbolic link in the layer; `size` in bytes, `link` the link's
    target.
    """

    path: str
    leaf: Leaf
    size: int
    link: str = ""


@dataclass(frozen=True, slots=True)
class Oddity:
    """Describe something that cannot be part of a change; `finding` is a catalogue id, `what` one
    clause.
    """

    path: str
    finding: str
    what: str


@dataclass(frozen=True, slots=True)
class ScannedLayer:
    """Describe the content of one upper layer (or full worktree, in which `opaque` contains "").

    `removed` are whiteouts: the base entry of that path (file or whole folder) is gone. `opaque`
    are folders whose base content is hidden; "" is the root. `folders` are the folders in the layer
    (a folder over a base file hides it). The top-level name `.git` is never listed.
    """

    files: tuple[ScannedFile, ...]
    folders: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    opaque: tuple[str, ...] = ()
    oddities: tuple[Oddity, ...] = ()

    def against(self, base: Tree) -> ScannedLayer:
        """Return the layer of a pack that saw `base`: files that were too large to be read are in
        it only where a whole worktree shows that they are the base's.
        """
        unread = frozenset(self.unread)
        same = {file.path for file in self.files if file.path in unread and _has(base, file)}
        return replace(
            self,
            files=tuple(one for one in self.files if one.path not in unread - same),
            oddities=tuple(
                odd
                for odd in self.oddities
                if odd.path not in same or odd.finding != "FILE_TOO_LARGE"
            ),
        )

    @property
    def unread(self) -> tuple[str, ...]:
        """Return the paths of files that were too large to be read."""
        return tuple(odd.path for odd in self.oddities if odd.finding == "FILE_TOO_LARGE")

    def without(self, ignored: frozenset[str]) -> tuple[Oddity, ...]:
        """Return the oddities but those of unread files that are ignored: no change has them."""
        dropped = ignored.intersection(self.unread)
        return tuple(odd for odd in self.oddities if odd.path not in dropped)


def _has(base: Tree, file: ScannedFile) -> bool:
    found = base.get(file.path)
    return isinstance(found, Leaf) and found.oid == file.leaf.oid
