"""threat = "settings of the kernel"
section = "processes and limits"
holds = "fs_write_scoped"
weaken = "writable-proc"
"""

import os

from hostile import held, refused

for path in (
    "kernel/hostname",
    "net/ipv4/ip_unprivileged_port_start",
    "vm/overcommit_memory",
    "fs/file-max",
    "user/max_user_namespaces",
):
    refused(path, os.open, f"/proc/sys/{path}", os.O_WRONLY)
held()
