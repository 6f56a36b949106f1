"""threat = "a key in the keyring of whoever started the orchestrator"
section = "secrets and authority"
holds = "authority_sockets_hidden"
weaken = "unfiltered"
"""

from hostile import call, escaped, fact, filtered, held

SEARCH, SESSION, USER = 10, -3, -4
for ring in (SESSION, USER):
    result, _ = call("keyctl", SEARCH, ring, b"user", fact("key")[::-1].encode(), 0)
    if result != -1:
        escaped("the key of the host is", result)
filtered("keyctl", 9999)
held()
