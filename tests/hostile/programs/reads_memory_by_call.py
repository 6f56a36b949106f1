"""threat = "memory of another process, by call instead of by file"
section = "processes and limits"
holds = "syscalls_filtered"
weaken = "unfiltered"
"""

from hostile import filtered, held

filtered("process_vm_readv", 1, 0, 0, 0, 0, 1)
filtered("process_vm_writev", 1, 0, 0, 0, 0, 1)
held()
