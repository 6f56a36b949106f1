"""threat = "performance events, which show what others do"
section = "processes and limits"
holds = "syscalls_filtered"
weaken = "unfiltered"
"""

from hostile import filtered, held

filtered("perf_event_open", 0, 0, 0, 0, 0)
held()
