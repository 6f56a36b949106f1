"""threat = "a file that says it is larger than any disk"
section = "processes and limits"
holds = "disk_bounded"
weaken = "unlimited"
"""

import os

from hostile import escaped, held

OWN = os.path.dirname(__file__)
with open(f"{OWN}/giant", "wb") as file:
    for size in (1 << 40, 1 << 33, 64 << 20):
        try:
            file.truncate(size)
        except OSError:
            continue
        os.unlink(f"{OWN}/giant")
        escaped(size, "bytes")
os.unlink(f"{OWN}/giant")
held()
