"""threat = "memory that no process's size shows"
section = "processes and limits"
holds = "syscalls_filtered"
weaken = "unfiltered"
"""

import errno

from hostile import call, escaped, held

for name, words in (("memfd_create", (0, 0)), ("memfd_secret", (99,))):
    result, number = call(name, *words)
    if number != errno.ENOSYS:
        escaped(name, "reached the kernel:", result, number)
held()
