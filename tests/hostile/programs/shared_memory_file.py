"""threat = "shared memory of the host, by name"
section = "secrets and authority"
holds = "fs_read_scoped"
weaken = "outside"
"""

import os

from hostile import escaped, fact, held, listed

if os.path.exists(fact("shared_memory")) or listed("/dev/shm"):
    escaped(listed("/dev/shm"))
held()
