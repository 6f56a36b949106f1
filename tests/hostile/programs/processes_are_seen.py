"""threat = "what runs on the host is read off its process list"
section = "processes and limits"
holds = "no_survivors"
weaken = "processes"
"""

import os

from hostile import escaped, fact, held, listed

seen = sorted(int(name) for name in listed("/proc") if name.isdecimal())
if fact("process") in seen and os.path.exists(f"/proc/{fact('process')}/comm"):
    with open(f"/proc/{fact('process')}/comm", encoding="ascii") as file:
        if file.read() == "sleep\n":
            escaped("the canary process")
if len(seen) > 8:
    escaped(len(seen), "processes")
held()
