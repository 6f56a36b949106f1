"""threat = "memory without end, in one process"
section = "processes and limits"
holds = "memory_bounded"
weaken = "unlimited"
ends = ["LIMIT_MEMORY"]
limits = {memory = "64MiB"}
"""

import time

from hostile import escaped

held = bytearray(b"x") * (160 << 20)
time.sleep(3)
escaped(len(held), "bytes")
