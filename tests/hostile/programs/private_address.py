"""threat = "a machine in the private network of the host"
section = "secrets and authority"
holds = "net_isolated"
weaken = "metadata"
"""

import socket

from hostile import held, refused

for address in ("10.0.0.1", "172.16.0.1", "192.168.0.1", "fd00::1", "fe80::1%lo"):
    refused(address, socket.create_connection, (address, 80), 3)
held()
