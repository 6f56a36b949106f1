"""threat = "a descriptor that the orchestrator's caller left open"
section = "secrets and authority"
holds = "env_scoped"
weaken = "outside"
"""

import os
import stat

from hostile import escaped, held

MOST = 1024
THERE = ("/dev/pts", "/dev/tty", "socket:")


def target(number):
    try:
        kind = os.fstat(number).st_mode
    except OSError:
        return ""
    try:
        return os.readlink(f"/proc/self/fd/{number}")
    except OSError:  # no such folder here
        return "socket:" if stat.S_ISSOCK(kind) else "/dev/tty" if os.isatty(number) else "a file"


open_files = {number: found for number in range(MOST) if (found := target(number))}
if any(number > 2 for number in open_files) or any(
    found.startswith(THERE) for found in open_files.values()
):
    escaped(open_files)
held()
