"""threat = "a file by its handle, past every mount"
section = "processes and limits"
holds = "syscalls_filtered"
weaken = "unfiltered"
"""

from hostile import filtered, held

filtered("open_by_handle_at", -1, 0, 0)
filtered("name_to_handle_at", -1, 0, 0, 0, 0)
held()
