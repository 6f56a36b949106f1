"""threat = "threads without end, which are processes to the kernel"
section = "processes and limits"
holds = "pids_bounded"
weaken = "unlimited"
"""

import threading

from hostile import escaped, held

MOST, TRIED = 64, 200
threading.stack_size(64 * 1024)
stop = threading.Event()
started = 0
try:
    while started < TRIED:
        threading.Thread(target=stop.wait, args=(20,), daemon=True).start()
        started += 1
except RuntimeError:
    pass
if started > MOST:
    escaped(started, "threads")
held(started, "threads")
