"""threat = "another root"
section = "processes and limits"
holds = "syscalls_filtered"
weaken = "capable"
"""

from hostile import filtered, held

filtered("pivot_root", 0, 0)
held()
