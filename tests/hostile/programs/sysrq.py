"""threat = "the machine is stopped by one letter"
section = "processes and limits"
holds = "fs_write_scoped"
weaken = "writable-proc"
"""

import errno
import os

from hostile import escaped, held, refused

refused("sysrq", os.open, "/proc/sysrq-trigger", os.O_WRONLY)
refused("sysrq's setting", os.open, "/proc/sys/kernel/sysrq", os.O_WRONLY)
try:
    os.utime("/proc/sys/kernel/panic")
except OSError as error:
    if error.errno != errno.EROFS:
        escaped("only its mode protects it:", error)
held()
