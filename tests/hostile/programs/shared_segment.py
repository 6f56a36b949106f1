"""threat = "a System V segment or queue of the host"
section = "secrets and authority"
holds = "fs_read_scoped"
weaken = "ipc"
"""

from hostile import call, escaped, fact, held

for name in ("shmget", "msgget"):
    words = (fact("ipc_key"), 0, 0) if name == "shmget" else (fact("ipc_key"), 0)
    result, _ = call(name, *words)
    if result != -1:
        escaped(name, "found what the host shares")
held()
