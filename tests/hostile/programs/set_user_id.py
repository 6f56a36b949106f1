"""threat = "a program that runs as its owner"
section = "processes and limits"
holds = "syscalls_filtered"
weaken = "outside"
"""

import os
import subprocess

from hostile import escaped, held

with open("/proc/self/status", encoding="ascii") as file:
    told = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
if told["NoNewPrivs"] != "1":
    escaped("new privileges can be had")
for program in ("su", "mount", "passwd", "newgrp"):
    for folder in ("/usr/bin", "/bin"):
        if os.path.exists(f"{folder}/{program}") and os.stat(f"{folder}/{program}").st_mode & 0o4000:
            seen = subprocess.run(
                ["/bin/sh", "-c", f"exec {folder}/{program} -c id root"], capture_output=True, stdin=subprocess.DEVNULL
            )
            if b"uid=0" in seen.stdout:
                escaped(program)
held()
