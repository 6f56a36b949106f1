"""threat = "the limits that hold the pack are raised"
section = "processes and limits"
holds = "pids_bounded"
weaken = "outside"
"""

import os
import resource

from hostile import escaped, held, refused

for kind in (
    resource.RLIMIT_NPROC,
    resource.RLIMIT_FSIZE,
    resource.RLIMIT_NOFILE,
    resource.RLIMIT_CORE,
):
    hard = resource.getrlimit(kind)[1]
    if hard == resource.RLIM_INFINITY:
        escaped("there is no limit", kind)
    try:
        resource.setrlimit(kind, (hard + 1, hard + 1))
    except (OSError, ValueError):
        continue
    escaped("raised", kind)
refused("priority", os.setpriority, os.PRIO_PROCESS, 0, -10)
held()
