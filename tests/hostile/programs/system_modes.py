"""threat = "modes and times of the system's files"
section = "processes and limits"
holds = "fs_write_scoped"
weaken = "writable"
"""

import os

from hostile import held, refused

for path in ("/usr/local", "/opt/venv/bin"):
    refused(f"chmod {path}", os.chmod, path, 0o777)
    refused(f"utime {path}", os.utime, path, (1, 1))
    refused(f"xattr {path}", os.setxattr, path, "user.planted", b"x")
held()
