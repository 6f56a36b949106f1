"""threat = "the read-only system is mounted again, writable"
section = "processes and limits"
holds = "syscalls_filtered"
weaken = "capable"
"""

from hostile import filtered, held

BIND, REMOUNT = 4096, 32
filtered("mount", b"none", b"/usr", 0, BIND | REMOUNT, 0)
held()
