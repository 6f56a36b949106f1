"""threat = "a device of the pack's own making, or one that is there"
section = "processes and limits"
holds = "syscalls_filtered"
weaken = "unfiltered"
"""

import errno
import os
import stat

from hostile import escaped, held, listed, refused

known = {
    "null",
    "zero",
    "full",
    "random",
    "urandom",
    "tty",
    "core",
    "fd",
    "stdin",
    "stdout",
    "stderr",
    "console",
    "ptmx",
    "pts",
    "shm",
}
more = set(listed("/dev")) - known
if more:
    escaped("devices", sorted(more))
for kind, device in (
    (stat.S_IFBLK, os.makedev(8, 0)),
    (stat.S_IFCHR, os.makedev(1, 1)),
    (stat.S_IFCHR, 0),
):
    try:
        os.mknod("/tmp/node", kind | 0o666, device)
    except OSError as error:
        if error.errno == errno.EPERM:
            continue
    escaped("a device", kind, device)
refused("a loop device", os.open, "/dev/loop0", os.O_RDWR)
refused("FUSE", os.open, "/dev/fuse", os.O_RDWR)
held()
