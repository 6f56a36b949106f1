"""threat = "a mount of the pack's own"
section = "processes and limits"
holds = "syscalls_filtered"
weaken = "capable"
"""

from hostile import filtered, held

filtered("mount", b"none", b"/tmp", b"tmpfs", 0, 0)
filtered("umount2", b"/tmp", 2)
held()
