"""threat = "shared memory of the host, by name"
section = "secrets and authority"
holds = "fs_read_scoped"
weaken = "outside"
"""

import os

from hostile import escaped, fact, held

if os.path.exists(fact("shared_memory")) or os.listdir("/dev/shm"):
    escaped(os.listdir("/dev/shm"))
held()
