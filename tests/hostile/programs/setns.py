"""threat = "the namespaces of another process"
section = "processes and limits"
holds = "syscalls_filtered"
weaken = "unfiltered"
"""

from hostile import filtered, held

filtered("setns", -1, 0)
held()
