"""threat = "a descriptor that the orchestrator's caller left open"
section = "secrets and authority"
holds = "env_scoped"
weaken = "outside"
"""

import os

from hostile import escaped, held

open_files = {}
for name in os.listdir("/proc/self/fd"):
    try:
        open_files[int(name)] = os.readlink(f"/proc/self/fd/{name}")
    except OSError:
        continue  # the one that listed the folder
more = {number: target for number, target in open_files.items() if number > 2}
if more or any(target.startswith(("/dev/pts", "/dev/tty", "socket:")) for target in open_files.values()):
    escaped(open_files)
held()
