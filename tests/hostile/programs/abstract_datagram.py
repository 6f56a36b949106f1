"""threat = "a datagram to an abstract socket of the host"
section = "secrets and authority"
holds = "authority_sockets_hidden"
weaken = "network"
"""

import socket

from hostile import converse, fact, held, refused

refused(
    "an abstract datagram socket",
    converse,
    socket.SOCK_DGRAM,
    "\0" + fact("abstract") + "-datagram",
    b"secret",
)
held()
