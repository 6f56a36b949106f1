"""threat = "processes without end"
section = "processes and limits"
holds = "pids_bounded"
weaken = "unlimited"
limits = {memory = "1GiB"}
"""

import os
import signal

from hostile import escaped, held

MOST, TRIED = 64, 200
started = 0
while started < TRIED:
    try:
        child = os.fork()
    except OSError:
        break
    if child == 0:
        signal.alarm(20)
        signal.pause()
        os._exit(0)
    started += 1
if started > MOST:
    escaped(started, "processes")
held(started, "processes")
