"""threat = "memory that is shared and anonymous"
section = "processes and limits"
holds = "memory_bounded"
weaken = "unlimited"
ends = ["LIMIT_MEMORY"]
limits = {memory = "64MiB"}
"""

import mmap
import time

from hostile import escaped

shared = mmap.mmap(-1, 160 << 20)
for start in range(0, len(shared), 1 << 20):
    shared[start : start + (1 << 20)] = b"x" * (1 << 20)
time.sleep(3)
escaped(len(shared), "bytes")
