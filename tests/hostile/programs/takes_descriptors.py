"""threat = "an open file of another process"
section = "processes and limits"
holds = "syscalls_filtered"
weaken = "unfiltered"
"""

from hostile import filtered, held

filtered("pidfd_getfd", -1, 0, 0)
held()
