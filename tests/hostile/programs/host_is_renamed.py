"""threat = "the name of the host"
section = "processes and limits"
holds = "syscalls_filtered"
weaken = "capable"
"""

from hostile import filtered, held

filtered("sethostname", b"taken", -1)
held()
