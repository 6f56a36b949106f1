"""threat = "a packet socket, which reads and writes frames"
section = "secrets and authority"
holds = "syscalls_filtered"
weaken = "capable"
"""

import errno
import socket

from hostile import escaped, held

try:
    socket.socket(17, socket.SOCK_RAW, 0)
except OSError as error:
    if error.errno != errno.EPERM:
        escaped("the kernel was asked:", error)
    held()
escaped("a socket of family 17")
