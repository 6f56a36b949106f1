"""Name where things lie in a stage's own mount namespace, and its bounded file systems. Stdlib
only.

The stage is put together below `BUILD` and then becomes the root of its namespace, so that neither
the supervisor nor bubblewrap sees anything of the host but what was placed there.
"""

from __future__ import annotations

from factory.sandbox import kernel

BUILD = (
    "/sys"  # a mount point in a namespace of our own: always there, and nobody's work lies below it
)
SYSTEM = "/system"  # the root that packs see
SCRATCH = "/scratch"
UPPER = "/upper"
WORK = "/next-to-upper"  # overlayfs wants its work folder on the file system of the upper one
MERGED = "/merged"
OWN_FOLDERS = ("/tmp", SYSTEM, SCRATCH, UPPER, WORK, MERGED)  # bubblewrap itself needs the first


_FLAGS = kernel.NO_SETUID | kernel.NO_DEVICES


def mount_bounded(target: str, size: int, inodes: int) -> None:
    """Mount an empty file system for `size` bytes and `inodes` files, and no more."""
    kernel.mount("factory", target, "tmpfs", _FLAGS, f"size={size},nr_inodes={inodes},mode=0755")


def bound_again(target: str, size: int, inodes: int) -> None:
    """Give a bounded file system other bounds."""
    kernel.mount(
        "factory", target, "tmpfs", _FLAGS | kernel.REMOUNT, f"size={size},nr_inodes={inodes}"
    )
