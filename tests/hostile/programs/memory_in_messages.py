"""threat = "memory in message queues and semaphores, which no process's size shows"
section = "processes and limits"
holds = "memory_bounded"
weaken = "unfiltered"
"""

import errno

from hostile import call, escaped, held

PRIVATE, CREATE = 0, 0o1600
for name, words in (("msgget", (PRIVATE, CREATE)), ("semget", (PRIVATE, 32000, CREATE))):
    result, number = call(name, *words)
    if result != -1 or number != errno.ENOSYS:
        escaped(name, "gave", result, number)
held()
