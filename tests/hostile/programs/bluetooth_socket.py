"""threat = "a socket family that hardly anybody needs and that has had holes"
section = "secrets and authority"
holds = "syscalls_filtered"
weaken = "unfiltered"
"""

import errno
import socket

from hostile import escaped, held

try:
    socket.socket(31, socket.SOCK_RAW, 0)
except OSError as error:
    if error.errno != errno.EPERM:
        escaped("the kernel was asked:", error)
    held()
escaped("a socket of family 31")
