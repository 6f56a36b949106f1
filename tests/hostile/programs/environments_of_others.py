"""threat = "the environment of another process, the orchestrator's above all"
section = "secrets and authority"
holds = "env_scoped"
weaken = "outside"
"""

import glob

from hostile import escaped, fact, held

mark = fact("mark_reversed")[::-1].encode()
for path in glob.glob("/proc/*/environ") + glob.glob("/proc/*/task/*/environ"):
    try:
        with open(path, "rb") as file:
            if mark in file.read():
                escaped(path)
    except OSError:
        continue
held()
