"""threat = "a TCP service on the host's loopback"
section = "secrets and authority"
holds = "net_isolated"
weaken = "network"
"""

import socket

from hostile import fact, held, refused

refused("TCP over IPv4", socket.create_connection, ("127.0.0.1", fact("tcp")), 3)
held()
