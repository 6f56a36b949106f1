"""threat = "the machine is stopped"
section = "processes and limits"
holds = "syscalls_filtered"
weaken = "capable"
"""

from hostile import filtered, held

filtered("reboot", 0, 0, 0, 0)
held()
