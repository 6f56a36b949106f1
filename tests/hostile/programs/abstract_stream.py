"""threat = "an abstract socket of the host"
section = "secrets and authority"
holds = "authority_sockets_hidden"
weaken = "network"
"""

import socket

from hostile import converse, fact, held, refused

refused("an abstract socket", converse, socket.SOCK_STREAM, "\0" + fact("abstract"))
held()
