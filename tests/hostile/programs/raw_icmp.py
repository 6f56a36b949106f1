"""threat = "a raw socket, for ICMP of one's own making"
section = "secrets and authority"
holds = "net_isolated"
weaken = "capable"
"""

import socket

from hostile import held, refused

refused("a raw socket", socket.socket, socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
refused("a raw IPv6 socket", socket.socket, socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
held()
