"""threat = "memory by way of files that lie in memory"
section = "processes and limits"
holds = "disk_bounded"
weaken = "unlimited"
"""

import os

from hostile import escaped, held

for folder in ("/dev/shm", "/tmp", os.path.expanduser("~")):
    written = 0
    try:
        while written < 48 << 20:
            with open(f"{folder}/fill-{written}", "wb") as file:
                written += file.write(b"x" * (1 << 20))
    except OSError:
        continue
    escaped(written, "bytes in", folder)
held()
