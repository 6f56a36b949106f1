"""threat = "the binary of the sandbox itself, by way of the process that it left inside"
section = "processes and limits"
holds = "fs_write_scoped"
weaken = "writable"
"""

import errno
import glob
import os

from hostile import escaped, held

for path in sorted(glob.glob("/proc/[0-9]*/exe")):
    try:
        os.open(path, os.O_WRONLY)
    except OSError as error:
        if error.errno != errno.ETXTBSY:
            continue
    escaped("only that it runs protects", path)
for path in sorted(glob.glob("/proc/1/fd/*")):
    target = os.readlink(path)
    if target.startswith("pipe:") and target not in map(
        os.readlink, ("/proc/self/fd/1", "/proc/self/fd/2")
    ):
        escaped("the supervisor's own pipe", path)
held()
