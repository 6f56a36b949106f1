"""threat = "a file of the host outside the workspace is read"
section = "secrets and authority"
holds = "fs_read_scoped"
weaken = "outside"
"""

import os

from hostile import fact, held, refused

outside = fact("outside")
climb = "../" * 12 + outside.lstrip("/")
for path in (outside, climb, f"/proc/self/cwd/{climb}", f"/proc/1/root{outside}"):
    refused(path, os.open, path, os.O_RDONLY)
held()
