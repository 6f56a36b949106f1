"""threat = "the memory of another process"
section = "secrets and authority"
holds = "syscalls_filtered"
weaken = "outside"
"""

import os

from hostile import escaped, fact, held, refused

for pid in (1, os.getppid(), fact("process")):
    if pid == os.getppid() and pid == 1:
        continue
    try:
        os.close(os.open(f"/proc/{pid}/mem", os.O_RDWR))
    except OSError:
        continue
    with open(f"/proc/{pid}/cmdline", "rb") as file:
        if b"taskpacks/" not in file.read():
            escaped("the memory of", pid)
refused("where its memory lies", os.open, f"/proc/{fact('process')}/maps", os.O_RDONLY)
refused("physical memory", os.open, "/dev/mem", os.O_RDONLY)
refused("the kernel's memory", os.open, "/proc/kcore", os.O_RDONLY)
held()
