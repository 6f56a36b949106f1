"""threat = "the 32-bit calls, which have numbers of their own"
section = "processes and limits"
holds = "syscalls_filtered"
weaken = "unfiltered"
"""

import ctypes
import mmap
import os
import signal

from hostile import escaped, held

if os.uname().machine != "x86_64":
    held("this machine has no second table")
GETPID_32 = bytes.fromhex("b814000000cd80c3")  # mov eax, 20; int 0x80; ret
page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
page.write(GETPID_32)
child = os.fork()
if child == 0:
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    os._exit(0 if ctypes.CFUNCTYPE(ctypes.c_int)(address)() > 0 else 3)
status = os.waitpid(child, 0)[1]
if not os.WIFSIGNALED(status) or os.WTERMSIG(status) != signal.SIGSYS:
    escaped("int 0x80 ended with", status)
held()
