"""threat = "the socket of the container service, which is root of the host"
section = "secrets and authority"
holds = "authority_sockets_hidden"
weaken = "outside"
"""

import os
import socket

from hostile import escaped, fact, held

PLACES = (
    "/var/run/docker.sock",
    "/run/docker.sock",
    "/run/user/1000/bus",
    "~/.gnupg/S.gpg-agent",
    "/run/dbus/system_bus_socket",
)
known = [fact("sockets")["docker"], *map(os.path.expanduser, PLACES)]
known += [value.split("=")[-1].split("//")[-1] for name, value in os.environ.items() if name in fact("variables")]
for path in known:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        try:
            client.connect(path)
        except OSError:
            continue
        escaped("docker", path)
held()
