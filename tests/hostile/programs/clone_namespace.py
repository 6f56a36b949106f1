"""threat = "a namespace by clone instead of unshare"
section = "processes and limits"
holds = "syscalls_filtered"
weaken = "unfiltered"
"""

import os

from hostile import call, escaped, held

for flag in (
    0x00020000,
    0x02000000,
    0x04000000,
    0x08000000,
    0x10000000,
    0x20000000,
    0x40000000,
    0x00000080,
):
    result, number = call("clone", flag | 17, 0, 0, 0, 0)
    if result == 0:
        os._exit(0)
    if result > 0:
        os.waitpid(result, 0)
    if result != -1 or number != 1:
        escaped(hex(flag), "gave", result, number)
held()
