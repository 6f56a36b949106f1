"""threat = "the control group of the sandbox is left, or one is told to start a program"
section = "processes and limits"
holds = "fs_write_scoped"
weaken = "kernel-files"
"""

from hostile import escaped, held, listed, text

kinds = {line.split()[2] for line in text("/proc/self/mounts").splitlines()}
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
if odd or listed("/sys/fs"):
    escaped("file systems of the kernel", sorted(odd))
if any(line.rsplit(":", 1)[1] != "/" for line in text("/proc/self/cgroup").splitlines()):
    escaped("names of control groups")
held()
