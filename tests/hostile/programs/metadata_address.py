"""threat = "the metadata service of a cloud machine"
section = "secrets and authority"
holds = "net_isolated"
weaken = "metadata"
"""

import socket

from hostile import held, refused

refused("the metadata service", socket.create_connection, ("169.254.169.254", 80), 3)
held()
