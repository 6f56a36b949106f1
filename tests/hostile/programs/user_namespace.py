"""threat = "a user namespace, in which one is root of a kernel that trusts it"
section = "processes and limits"
holds = "syscalls_filtered"
weaken = "unfiltered"
"""

import os

from hostile import escaped, filtered, held

filtered("unshare", 0x10000000)
filtered("unshare", 0x40000000)
child = os.fork()
if child == 0:
    os.execvp("unshare", ["unshare", "-U", "true"])
if os.waitpid(child, 0)[1] == 0:
    escaped("unshare -U")
held()
