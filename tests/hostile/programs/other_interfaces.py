"""threat = "an interface of the host that leads out"
section = "secrets and authority"
holds = "net_isolated"
weaken = "network"
"""

import socket

from hostile import escaped, held

others = [name for _, name in socket.if_nameindex() if name != "lo"]
if others:
    escaped("interfaces", others)
with open("/proc/net/route", encoding="ascii") as file:
    if len(file.readlines()) > 1:
        escaped("there is a route")
held()
