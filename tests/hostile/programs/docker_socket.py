"""threat = "the socket of the container service, which is root of the host"
section = "secrets and authority"
holds = "authority_sockets_hidden"
weaken = "outside"
"""

from hostile import authority

authority("docker")
