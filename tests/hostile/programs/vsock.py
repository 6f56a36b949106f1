"""threat = "a socket to the hypervisor, which no namespace divides"
section = "secrets and authority"
holds = "syscalls_filtered"
weaken = "unfiltered"
"""

import errno
import socket

from hostile import escaped, held

try:
    socket.socket(40, socket.SOCK_STREAM, 0)
except OSError as error:
    if error.errno != errno.EPERM:
        escaped("the kernel was asked:", error)
    held()
escaped("a socket of family 40")
