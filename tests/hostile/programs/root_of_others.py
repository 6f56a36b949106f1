"""threat = "the root folder of another process as a way around the mounts"
section = "secrets and authority"
holds = "fs_read_scoped"
weaken = "outside"
"""

import os

from hostile import escaped, fact, held

for name in filter(str.isdecimal, os.listdir("/proc")):
    for way in ("root", "cwd"):
        if os.path.exists(f"/proc/{name}/{way}{fact('outside')}"):
            escaped(f"/proc/{name}/{way}")
held()
