"""threat = "a datagram to a service on the host, over IPv4"
section = "secrets and authority"
holds = "net_isolated"
weaken = "network"
"""

import socket

from hostile import fact, held, refused


def ask():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(2)
        client.connect(("127.0.0.1", fact("udp")))
        client.send(b"secret")
        return client.recv(64)


refused("UDP", ask)
held()
