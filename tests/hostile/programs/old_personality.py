"""threat = "a personality that turns protections of memory off"
section = "processes and limits"
holds = "syscalls_filtered"
weaken = "unfiltered"
"""

import errno

from hostile import call, escaped, held

READ_IMPLIES_EXEC, MMAP_PAGE_ZERO, SHORT_INODE = 0x0400000, 0x0100000, 0x1000000
for persona in (READ_IMPLIES_EXEC, MMAP_PAGE_ZERO, SHORT_INODE, 0x6):
    result, number = call("personality", persona)
    if result != -1 or number != errno.EPERM:
        escaped("personality", hex(persona), "was taken")
held()
