"""threat = "another process is traced and rewritten"
section = "processes and limits"
holds = "syscalls_filtered"
weaken = "unfiltered"
"""

import os
import time

from hostile import escaped, filtered, held

filtered("ptrace", 0, 0, 0, 0)
child = os.fork()
if child == 0:
    time.sleep(5)
    os._exit(0)
ATTACH = 16
filtered("ptrace", ATTACH, child, 0, 0)
if os.uname().machine == "" or child <= 0:
    escaped("no child")
held()
