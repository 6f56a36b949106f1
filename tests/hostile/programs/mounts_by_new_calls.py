"""threat = "a mount by the newer calls, which older filters forget"
section = "processes and limits"
holds = "syscalls_filtered"
weaken = "capable"
"""

from hostile import filtered, held

filtered("fsopen", 0, 0)
filtered("open_tree", -1, 0, 0)
filtered("move_mount", -1, 0, -1, 0, 0)
filtered("mount_setattr", -1, 0, 0, 0, 0)
held()
