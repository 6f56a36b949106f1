"""threat = "processes that are dead and never buried"
section = "processes and limits"
holds = "pids_bounded"
weaken = "unlimited"
"""

import os

from hostile import escaped, held

MOST, TRIED = 64, 200
dead = 0
while dead < TRIED:
    try:
        if os.fork() == 0:
            os._exit(0)
    except OSError:
        break
    dead += 1
if dead > MOST:
    escaped(dead, "dead processes")
held(dead, "dead processes")
