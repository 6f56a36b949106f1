"""threat = "kernel addresses, by comparing them"
section = "processes and limits"
holds = "syscalls_filtered"
weaken = "unfiltered"
"""

from hostile import filtered, held

filtered("kcmp", 1, 1, 99, 0, 0)
held()
