"""threat = "the machine is stopped by one letter"
section = "processes and limits"
holds = "fs_write_scoped"
weaken = "writable-proc"
"""

import errno
import os

from hostile import escaped, held, refused, text

refused("sysrq", os.open, "/proc/sysrq-trigger", os.O_WRONLY)
refused("sysrq's setting", os.open, "/proc/sys/kernel/sysrq", os.O_WRONLY)
try:
    os.utime("/proc/sys/kernel/panic")
except OSError as error:
    if error.errno != errno.EROFS and text("/proc/sys/kernel/panic"):
        escaped("only its mode protects it:", error)
held()
