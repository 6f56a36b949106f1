"""threat = "an interface of the host that leads out"
section = "secrets and authority"
holds = "net_isolated"
weaken = "network"
"""

import socket

from hostile import escaped, held, text

try:
    others = [name for _, name in socket.if_nameindex() if name != "lo"]
except OSError:  # who can ask for no socket sees no interface
    others = []
if others:
    escaped("interfaces", others)
if len(text("/proc/net/route").splitlines()) > 1:
    escaped("there is a route")
held()
