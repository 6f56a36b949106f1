"""threat = "the root folder of another process as a way around the mounts"
section = "secrets and authority"
holds = "fs_read_scoped"
weaken = "outside"
"""

import os

from hostile import escaped, fact, held, listed

for name in filter(str.isdecimal, listed("/proc")):
    for way in ("root", "cwd"):
        if os.path.exists(f"/proc/{name}/{way}{fact('outside')}"):
            escaped(f"/proc/{name}/{way}")
held()
