"""threat = "a program in the kernel"
section = "processes and limits"
holds = "syscalls_filtered"
weaken = "unfiltered"
"""

from hostile import filtered, held

filtered("bpf", 0, 0, 0)
held()
