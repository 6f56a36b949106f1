"""threat = "a socket to the kernel's crypto, known for its holes"
section = "secrets and authority"
holds = "syscalls_filtered"
weaken = "unfiltered"
"""

import errno
import socket

from hostile import escaped, held

try:
    socket.socket(38, 5, 0)
except OSError as error:
    if error.errno != errno.EPERM:
        escaped("the kernel was asked:", error)
    held()
escaped("a socket of family 38")
