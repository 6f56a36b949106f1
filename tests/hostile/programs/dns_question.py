"""threat = "a name is looked up, which carries its letters to whoever answers"
section = "secrets and authority"
holds = "net_isolated"
weaken = "network"
"""

import socket
import struct

from hostile import escaped, fact, held, refused

QUESTION = (
    struct.pack(">6H", 1, 0x0100, 1, 0, 0, 0)
    + b"\6secret\7example\3org\0"
    + struct.pack(">2H", 1, 1)
)


def ask(address, port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(2)
        client.connect((address, port))
        client.send(QUESTION)
        return client.recv(512)


try:
    with open("/etc/resolv.conf", encoding="ascii") as file:
        servers = [line.split()[1] for line in file if line.startswith("nameserver")]
except OSError:
    servers = []
if servers:
    escaped("the host's resolvers are known:", servers)
refused("a resolver on the host", ask, "127.0.0.1", fact("udp"))
refused("a resolver on the host's usual port", ask, "127.0.0.53", 53)
refused("a name", socket.getaddrinfo, "secret.example.org", 443)
held()
