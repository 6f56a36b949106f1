"""threat = "a datagram to a service on the host, over IPv6"
section = "secrets and authority"
holds = "net_isolated"
weaken = "network"
"""

import socket

from hostile import fact, held, refused


def ask():
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as client:
        client.settimeout(2)
        client.connect(("::1", fact("udp6")))
        client.send(b"secret")
        return client.recv(64)


refused("UDP", ask)
held()
