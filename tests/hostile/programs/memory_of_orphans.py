"""threat = "memory of processes that nobody is the parent of"
section = "processes and limits"
holds = "memory_bounded"
weaken = "unlimited"
ends = ["LIMIT_MEMORY"]
limits = {memory = "64MiB"}
"""

import os
import time

from hostile import escaped

for _ in range(6):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            kept = bytearray(b"x") * (26 << 20)
            time.sleep(8)
            os._exit(len(kept) & 0)
        os._exit(0)
time.sleep(4)
escaped("six times a little")
