"""threat = "io_uring, which makes calls that no filter sees"
section = "processes and limits"
holds = "syscalls_filtered"
weaken = "unfiltered"
"""

import errno

from hostile import call, escaped, held

result, number = call("io_uring_setup", 0, 0)
if number != errno.ENOSYS:
    escaped("io_uring reached the kernel:", result, number)
held()
