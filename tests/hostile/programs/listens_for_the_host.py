"""threat = "a service of the pack that the host can be brought to use"
section = "secrets and authority"
holds = "net_isolated"
weaken = "network"
"""

import socket

from hostile import escaped, fact, held

try:
    service = socket.create_server(("127.0.0.1", 0))
except OSError:
    held("nothing can listen")
with open("/proc/net/tcp", encoding="ascii") as file:
    ports = {int(line.split()[1].split(":")[1], 16) for line in file.readlines()[1:]}
if fact("tcp") in ports or ports != {service.getsockname()[1]}:
    escaped("listens among the services of the host", sorted(ports))
held()
