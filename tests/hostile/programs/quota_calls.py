"""threat = "quotas of the host's file systems"
section = "processes and limits"
holds = "syscalls_filtered"
weaken = "unfiltered"
"""

from hostile import filtered, held

filtered("quotactl", 0, 0, 0, 0)
held()
