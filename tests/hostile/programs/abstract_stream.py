"""threat = "an abstract socket of the host"
section = "secrets and authority"
holds = "authority_sockets_hidden"
weaken = "network"
"""

import socket

from hostile import fact, held, refused

client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
refused("an abstract socket", client.connect, "\0" + fact("abstract"))
held()
