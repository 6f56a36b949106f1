"""threat = "netlink events of the host's devices"
section = "secrets and authority"
holds = "syscalls_filtered"
weaken = "unfiltered"
"""

import errno
import socket

from hostile import escaped, held

try:
    socket.socket(16, socket.SOCK_RAW, 15)
except OSError as error:
    if error.errno != errno.EPERM:
        escaped("the kernel was asked:", error)
    held()
escaped("a socket of family 16")
