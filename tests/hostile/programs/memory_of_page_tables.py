"""threat = "memory that the kernel needs to remember a mapping of nothing"
section = "processes and limits"
holds = "memory_bounded"
weaken = "unlimited"
ends = ["LIMIT_MEMORY"]
limits = {memory = "64MiB"}
"""

import mmap
import time

from hostile import escaped

LARGE, STEP, NO_RESERVE, NO_HUGE_PAGES = 64 << 30, 2 << 20, 0x4000, 15
nothing = mmap.mmap(
    -1, LARGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | NO_RESERVE, prot=mmap.PROT_READ
)
nothing.madvise(NO_HUGE_PAGES)
for place in range(0, LARGE, STEP):
    if nothing[place]:
        break
time.sleep(3)
escaped(LARGE // STEP * 4096, "bytes of page tables")
