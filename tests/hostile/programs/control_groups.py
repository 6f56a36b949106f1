"""threat = "the control group of the sandbox is left, or one is told to start a program"
section = "processes and limits"
holds = "fs_write_scoped"
weaken = "kernel-files"
"""

import os

from hostile import escaped, held

with open("/proc/self/mounts", encoding="utf-8") as file:
    kinds = {line.split()[2] for line in file}
odd = kinds & {
    "cgroup",
    "cgroup2",
    "sysfs",
    "debugfs",
    "tracefs",
    "securityfs",
    "bpf",
    "configfs",
    "efivarfs",
    "mqueue",
}
if odd or os.path.exists("/sys/fs"):
    escaped("file systems of the kernel", sorted(odd))
with open("/proc/self/cgroup", encoding="ascii") as file:
    if any(line.rstrip().rsplit(":", 1)[1] != "/" for line in file):
        escaped("names of control groups")
held()
