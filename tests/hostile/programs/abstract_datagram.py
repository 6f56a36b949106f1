"""threat = "a datagram to an abstract socket of the host"
section = "secrets and authority"
holds = "authority_sockets_hidden"
weaken = "network"
"""

import socket

from hostile import fact, held, refused

client = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
refused("an abstract datagram socket", client.sendto, b"secret", "\0" + fact("abstract") + "-datagram")
held()
