"""threat = "chroot, the oldest way out"
section = "processes and limits"
holds = "syscalls_filtered"
weaken = "unfiltered"
"""

from hostile import filtered, held

filtered("chroot", 0)
held()
