"""threat = "a program that runs as its owner"
section = "processes and limits"
holds = "syscalls_filtered"
weaken = "outside"
"""

import os
import subprocess

from hostile import escaped, held, process_told

NO_NEW_PRIVILEGES = 39

if process_told(NO_NEW_PRIVILEGES) != 1:
    escaped("new privileges can be had")
for program in ("su", "mount", "passwd", "newgrp"):
    for folder in ("/usr/bin", "/bin"):
        if (
            os.path.exists(f"{folder}/{program}")
            and os.stat(f"{folder}/{program}").st_mode & 0o4000
        ):
            seen = subprocess.run(
                ["/bin/sh", "-c", f"exec {folder}/{program} -c id root"],
                capture_output=True,
                stdin=subprocess.DEVNULL,
            )
            if b"uid=0" in seen.stdout:
                escaped(program)
held()
