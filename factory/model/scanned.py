"""Define what a scanner found in a layer or worktree after its processes ended, before any
judgement.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from factory.model.tree import Leaf


class LayerKind(enum.Enum):
    """Name what made a layer, and so the one attribute namespace in which its deletion marks are
    believed.

    TRUSTED is the upper layer of an overlay mounted by root (`trusted.overlay.*`), USER that of one
    mounted with `userxattr` (`user.overlay.*`), WORKTREE a full checkout without any marks. A pack
    can set attributes of the other namespace, so reading both would let it forge deletions.
    """

    TRUSTED = "trusted"
    USER = "user"
    WORKTREE = "worktree"


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
