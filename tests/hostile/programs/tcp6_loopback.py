"""threat = "a TCP service on the host's loopback, over IPv6"
section = "secrets and authority"
holds = "net_isolated"
weaken = "network"
"""

import socket

from hostile import fact, held, refused

refused("TCP over IPv6", socket.create_connection, ("::1", fact("tcp6")), 3)
held()
