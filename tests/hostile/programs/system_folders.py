"""threat = "the system is written: what runs next runs that"
section = "processes and limits"
holds = "fs_write_scoped"
weaken = "writable"
"""

import os

from hostile import held, refused

for folder in (
    "/",
    "/usr/local",
    "/usr/bin",
    "/etc",
    "/opt",
    "/opt/venv/bin",
    "/dev",
    "/var",
    "/run",
    "/home",
    "/proc",
):
    refused(folder, os.open, f"{folder}/planted", os.O_WRONLY | os.O_CREAT, 0o644)
for path in ("/etc/passwd", "/etc/hosts", "/etc/ld.so.cache"):
    refused(path, os.open, path, os.O_WRONLY)
held()
