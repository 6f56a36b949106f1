"""threat = "the x32 calls, which are the same calls under other numbers"
section = "processes and limits"
holds = "syscalls_filtered"
weaken = "unfiltered"
"""

import ctypes
import os
import signal

from hostile import escaped, held

if os.uname().machine != "x86_64":
    held("this machine has no x32")
child = os.fork()
if child == 0:
    ctypes.CDLL(None).syscall(ctypes.c_long(0x40000000 | 39))
    os._exit(0)
status = os.waitpid(child, 0)[1]
if not os.WIFSIGNALED(status) or os.WTERMSIG(status) != signal.SIGSYS:
    escaped("an x32 call ended with", status)
held()
