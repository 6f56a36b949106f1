"""threat = "the session bus, which starts programs outside"
section = "secrets and authority"
holds = "authority_sockets_hidden"
weaken = "outside"
"""

from hostile import authority

authority("dbus")
