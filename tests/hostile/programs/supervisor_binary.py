"""threat = "the binary of the sandbox itself, by way of the process that it left inside"
section = "processes and limits"
holds = "fs_write_scoped"
weaken = "writable"
"""

import errno
import fcntl
import glob
import os

from hostile import escaped, held


def is_sealed(path):
    with open(path, "rb") as file:
        try:
            return fcntl.fcntl(file, fcntl.F_GET_SEALS) & fcntl.F_SEAL_WRITE
        except OSError:
            return False


def tried(what, path, attempt):
    try:
        attempt(path)
    except FileNotFoundError:
        return  # that process has ended
    except OSError as error:
        if error.errno != errno.ETXTBSY:
            return
        what = "only that it runs protects"
    escaped(what, path)


def truncate(path):
    # A truncation asks the mount (EROFS) before it asks whether the program runs (ETXTBSY).
    os.close(os.open(path, os.O_WRONLY | os.O_TRUNC))


def change_the_mode(path):
    os.chmod(path, os.stat(path).st_mode & 0o7777)


def change_the_times(path):
    status = os.stat(path)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def change_the_attributes(path):
    os.setxattr(path, "user.canary", b"x")


def held_open(path):
    """Another way to the same file, which outlives the process (CVE-2019-5736)."""
    descriptor = os.open(path, os.O_PATH)
    return f"/proc/self/fd/{descriptor}"


for path in sorted(glob.glob("/proc/[0-9]*/exe")):
    try:
        again = held_open(path)
        sealed = is_sealed(path)
    except OSError:
        continue  # it has ended, or may not be looked at
    if sealed:
        continue  # a copy of its own, that nobody can ever write again
    for way in (path, again):
        tried("could write", way, truncate)
        tried("could change the mode of", way, change_the_mode)
        tried("could change the times of", way, change_the_times)
        tried("could change the attributes of", way, change_the_attributes)
for path in sorted(glob.glob("/proc/1/fd/*")):
    try:
        target = os.readlink(path)
    except OSError:
        continue
    if target.startswith("/"):
        if not target.startswith(("/dev/", "/workspace", "/tmp", "/home/pack")):
            tried("wrote by a descriptor to", path, lambda way: os.close(os.open(way, os.O_WRONLY)))
        continue
    own = map(os.readlink, ("/proc/self/fd/1", "/proc/self/fd/2"))
    if target.startswith("pipe:") and target not in own:
        escaped("the supervisor's own pipe", path)
held()
