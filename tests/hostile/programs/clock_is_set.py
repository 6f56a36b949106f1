"""threat = "the clock of the host"
section = "processes and limits"
holds = "syscalls_filtered"
weaken = "unfiltered"
"""

from hostile import filtered, held

filtered("clock_settime", 0, 0)
filtered("adjtimex", 0)
held()
