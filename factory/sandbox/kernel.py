"""Make the few Linux system calls that Python's standard library lacks, as functions that raise
OSError.

Stdlib only. Does not know why anything is called.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import socket
import struct
import sys

# clone(2) in <linux/sched.h>.
NEW_NAMESPACE_MOUNT = 0x00020000
NEW_NAMESPACE_USER = 0x10000000
NEW_NAMESPACE_NETWORK = 0x40000000

# mount(2) and umount2(2) in <linux/mount.h>; the same on every architecture.
READ_ONLY = 1
NO_SETUID = 2
NO_DEVICES = 4
NO_EXEC = 8
REMOUNT = 32
NO_ATIME = 1024
NO_DIR_ATIME = 2048
BIND = 4096
RECURSIVE = 16384
PRIVATE = 1 << 18
RELATIVE_ATIME = 1 << 21
DETACH = 2

# prctl(2) in <linux/prctl.h>, and seccomp(2): its numbers from the kernel's system call tables,
# syscall_64.tbl (x86_64) and asm-generic/unistd.h (aarch64). The C library has no function for it.
_SET_PARENT_DEATH_SIGNAL = 1
_SET_DUMPABLE = 4
_DROP_BOUNDED = 24
_SET_CHILD_SUBREAPER = 36
NO_NEW_PRIVILEGES = 38
_SECCOMP_SET_FILTER = 1
_SECCOMP = {"x86_64": 317, "aarch64": 277}
_VFS_RELATIVE_ATIME = 4096  # what statvfs calls it; the other flags have one number in both

# SIOCSIFFLAGS of netdevice(7).
_SET_INTERFACE_FLAGS = 0x8914
_INTERFACE_REQUEST = 40  # bytes: a name of 16, then here its flags
_INTERFACE_UP = 1

_MOUNT_SETATTR = 442  # one number on every architecture
_AT_CURRENT_FOLDER = -100
_AT_RECURSIVE = 0x8000
_ATTRIBUTE_READ_ONLY = 1

_MEMORY_FILE_EXECUTABLE = 0x10  # known to Linux 6.3 and newer, which may have to be asked for it
_ALL_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE

# From the tables named above; the C library has no function for it either.
_PIVOT_ROOT = {"x86_64": 155, "ppc64le": 203, "s390x": 217, "i686": 217, "armv7l": 218}
_PIVOT_ROOT_ELSEWHERE = 41  # the table that newer architectures share

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def unshare(flags: int) -> None:
    """Leave the namespaces named by `flags`."""
    _check(_libc.unshare(ctypes.c_int(flags)), "unshare")


def mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    """Call mount(2). Raise OSError."""
    result = _libc.mount(
        os.fsencode(source),
        os.fsencode(target),
        kind.encode(),
        ctypes.c_ulong(flags),
        options.encode() or None,
    )
    _check(result, f"mount {kind or 'bind'} on {target}")


def make_read_only(target: str, flags: int) -> None:
    """Let nobody write through a mount, nor through those below it; `flags` are those that it has.

    Before Linux 5.12 those below stay as they are.
    """
    attributes = struct.pack("@QQQQ", _ATTRIBUTE_READ_ONLY, 0, 0, 0)
    result = _libc.syscall(
        ctypes.c_long(_MOUNT_SETATTR),
        ctypes.c_int(_AT_CURRENT_FOLDER),
        os.fsencode(target),
        ctypes.c_uint(_AT_RECURSIVE),
        attributes,
        ctypes.c_size_t(len(attributes)),
    )
    if result != 0 and ctypes.get_errno() == errno.ENOSYS:
        mount("none", target, "", BIND | REMOUNT | READ_ONLY | flags)
    else:
        _check(result, f"make {target} read-only")


def unmount(target: str) -> None:
    """Detach a mount; what still uses it keeps it alive."""
    _check(_libc.umount2(os.fsencode(target), ctypes.c_int(DETACH)), f"unmount {target}")


def pivot_into(folder: str) -> None:
    """Make `folder`, a mount point, the root of this mount namespace, and let go of everything else
    in it.
    """
    os.chdir(folder)
    number = ctypes.c_long(_PIVOT_ROOT.get(os.uname().machine, _PIVOT_ROOT_ELSEWHERE))
    _check(_libc.syscall(number, b".", b"."), f"pivot into {folder}")
    unmount(".")
    os.chdir("/")


def prctl(option: int, value: int) -> None:
    """Call prctl(2) with one argument. Raise OSError."""
    zero = ctypes.c_ulong(0)
    _check(
        _libc.prctl(ctypes.c_int(option), ctypes.c_ulong(value), zero, zero, zero),
        f"prctl {option}",
    )


def die_with_parent(signal_number: int) -> None:
    """Make the kernel send a signal when the parent dies; a change of user id undoes this."""
    prctl(_SET_PARENT_DEATH_SIGNAL, signal_number)


def drop_bounding_set() -> None:
    """Drop every capability from the bounding set: no program gives any, whatever its file says."""
    with open("/proc/sys/kernel/cap_last_cap", "rb") as file:
        last = int(file.read())
    for capability in range(last + 1):
        prctl(_DROP_BOUNDED, capability)


def become_subreaper() -> None:
    """Adopt every descendant whose parent dies, so that waiting until ECHILD proves that none is
    left.
    """
    prctl(_SET_CHILD_SUBREAPER, 1)


def stay_dumpable() -> None:
    """Keep /proc/self owned by ourselves after a change of user id, so that the id maps can be
    written.
    """
    prctl(_SET_DUMPABLE, 1)


def filter_calls(program: bytes) -> None:
    """Judge every further system call of this process by a filter in classic BPF; needs
    NO_NEW_PRIVILEGES.
    """
    number = _SECCOMP[os.uname().machine]
    code = ctypes.create_string_buffer(program, len(program))
    whole = struct.pack("@HP", len(program) // 8, ctypes.addressof(code))
    result = _libc.syscall(
        ctypes.c_long(number), ctypes.c_uint(_SECCOMP_SET_FILTER), ctypes.c_uint(0), whole
    )
    _check(result, "install the system call filter")


def mount_flags(descriptor: int) -> int:
    """Return the flags of the mount that a descriptor is on, as mount(2) wants them back on a
    remount.
    """
    flags = os.fstatvfs(descriptor).f_flag
    kept = flags & (READ_ONLY | NO_SETUID | NO_DEVICES | NO_EXEC | NO_ATIME | NO_DIR_ATIME)
    return kept | (RELATIVE_ATIME if flags & _VFS_RELATIVE_ATIME else 0)


def sealed_program(path: str) -> int:
    """Return a descriptor of a copy of a program, in memory and never to be written again by
    anybody.

    It can be executed by way of /proc/self/fd, and closes with that.
    """
    with open(path, "rb") as file:
        content = file.read()
    flags = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
    try:
        descriptor = os.memfd_create(os.path.basename(path), flags | _MEMORY_FILE_EXECUTABLE)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        descriptor = os.memfd_create(os.path.basename(path), flags)
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(content)
        os.fchmod(descriptor, 0o555)
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _ALL_SEALS)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def bring_up_loopback() -> None:
    """Make 127.0.0.1 of this network namespace, and with it ::1, work."""
    flags = _INTERFACE_UP.to_bytes(2, sys.byteorder)
    request = ctypes.create_string_buffer(b"lo".ljust(16, b"\0") + flags, _INTERFACE_REQUEST)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        number = ctypes.c_ulong(_SET_INTERFACE_FLAGS)
        _check(_libc.ioctl(any_socket.fileno(), number, request), "bring up loopback")


def enter_user_namespace(flags: int, uid: int, gid: int) -> None:
    """Enter a new user namespace (and those of `flags`) that maps just the caller's own ids onto
    themselves.
    """
    unshare(NEW_NAMESPACE_USER | flags)
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"{uid} {uid} 1")
    _write("/proc/self/gid_map", f"{gid} {gid} 1")


def _write(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)
