"""threat = "clone3, whose flags no filter can read"
section = "processes and limits"
holds = "syscalls_filtered"
weaken = "unfiltered"
"""

import errno

from hostile import call, escaped, held

result, number = call("clone3", 0, 0)
if number != errno.ENOSYS:
    escaped("clone3 reached the kernel:", result, number)
held()
