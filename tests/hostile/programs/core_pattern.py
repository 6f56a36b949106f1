"""threat = "the program that the kernel starts for a crash, as root of the host"
section = "processes and limits"
holds = "fs_write_scoped"
weaken = "writable-proc"
"""

import errno
import os

from hostile import escaped, held, refused, text

for name in ("core_pattern", "modprobe", "hotplug"):
    refused(name, os.open, f"/proc/sys/kernel/{name}", os.O_WRONLY)
try:
    os.utime("/proc/sys/kernel/core_pattern")
except OSError as error:
    if error.errno != errno.EROFS and text("/proc/sys/kernel/core_pattern"):
        escaped("only its mode protects it:", error)
held()
