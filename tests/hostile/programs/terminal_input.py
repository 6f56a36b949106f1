"""threat = "words are pushed into the terminal of whoever started the orchestrator"
section = "processes and limits"
holds = "syscalls_filtered"
weaken = "unfiltered"
"""

import errno
import fcntl
import os

from hostile import escaped, held, refused

TIOCSTI, TIOCLINUX = 0x5412, 0x541C
refused("the terminal", os.open, "/dev/tty", os.O_RDWR)
try:
    own, _ = os.openpty()
except OSError:  # there is none to be had; a filter looks at no descriptor
    own = 0
for name, request in (("TIOCSTI", TIOCSTI), ("TIOCLINUX", TIOCLINUX)):
    for high in (0, 1 << 32):  # the kernel looks at the lower half only, and so must a filter
        try:
            fcntl.ioctl(own, (request | high) & 0xFFFFFFFF, b"\n")
        except OSError as error:
            if error.errno == errno.EPERM:
                continue
            escaped(name, "reached the kernel:", error)
        escaped(name, "worked")
held()
