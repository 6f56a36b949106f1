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
while started < TRIED:
    try:
        threading.Thread(target=stop.wait, args=(20,), daemon=True).start()
    except RuntimeError:  # the kernel gives no more
        break
    started += 1
if started > MOST:
    escaped(started, "threads")
held(started, "threads")
