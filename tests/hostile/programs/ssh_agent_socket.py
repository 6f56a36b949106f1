"""threat = "the SSH agent, which signs as the user"
section = "secrets and authority"
holds = "authority_sockets_hidden"
weaken = "outside"
"""

from hostile import authority

authority("ssh-agent")
