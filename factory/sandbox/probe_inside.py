"""Try, inside the sandbox, what must not work there; print one JSON object of what did.

Executed by the interpreter that packs get, from the probe's own workspace; stdlib only, imports
nothing of this project. Every attempt is harmless where it succeeds. Does not decide anything.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import json
import os
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any

_LIBC = ctypes.CDLL(None, use_errno=True)
# From the kernel's system call tables, as in `seccomp`.
_PTRACE = {"x86_64": 101, "aarch64": 117}
_KEYCTL = {"x86_64": 250, "aarch64": 219}
_IO_URING_SETUP = 425
_TRACE_ME = 0
_NEW_USER_NAMESPACE = 0x10000000
_REMOUNT_BIND = 0x1020
# _LINUX_CAPABILITY_VERSION_3 of capget(2); PR_CAPBSET_READ, PR_GET_NO_NEW_PRIVS, PR_GET_SECCOMP.
_CAPABILITY_VERSION, _READ_BOUND, _GET_NO_NEW_PRIVILEGES, _GET_SECCOMP = 0x20080522, 23, 39, 21
_MOST_DESCRIPTORS = 4096
_PATIENCE = 0.2
_VSOCK = 40  # AF_VSOCK: it leads to the hypervisor past every network namespace


def _works(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except OSError:
        return False
    return True


def _works_apart(attempt: Callable[[], object]) -> bool:
    """Return as `_works` does, from a child of its own: success would change what the process
    is.
    """
    child = os.fork()
    if child == 0:
        os._exit(0 if _works(attempt) else 1)
    return os.waitpid(child, 0)[1] == 0


def _call(result: int) -> None:
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _connect(family: int, address: Any) -> None:
    with socket.socket(family, socket.SOCK_STREAM) as client:
        client.settimeout(_PATIENCE)
        client.connect(address)


def _send_datagram(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.sendto(b"probe", ("127.0.0.1", port))


def _interfaces() -> bool:
    try:
        return any(name != "lo" for _, name in socket.if_nameindex())
    except OSError:
        return False


def _write(path: str) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))


def _write_running(path: str) -> None:
    """Open a program that runs, to be written. That it runs refuses this (ETXTBSY), and only while
    it does: that it is on a read-only mount is asked before by a truncation, and else it must be
    a sealed copy.
    """
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_TRUNC))
    except OSError as error:
        if error.errno != errno.ETXTBSY or _is_sealed(path):
            raise


def _is_sealed(path: str) -> bool:
    """Return whether nobody can ever write the file again; a file on a disk has no seals."""
    with open(path, "rb") as file:
        try:
            return bool(fcntl.fcntl(file, fcntl.F_GET_SEALS) & fcntl.F_SEAL_WRITE)
        except OSError:
            return False


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _same_folder(path: str, device: int, inode: int) -> None:
    status = os.stat(path)
    if (status.st_dev, status.st_ino) != (device, inode):
        raise OSError(errno.ENOENT, "another folder of that name")


def _system_call(number: int, *words: int) -> None:
    _call(_LIBC.syscall(ctypes.c_long(number), *(ctypes.c_long(word) for word in words)))


def _attempts(ask: dict[str, Any]) -> dict[str, bool]:
    machine = os.uname().machine
    return {
        "tcp": _works(lambda: _connect(socket.AF_INET, ("127.0.0.1", ask["tcp"]))),
        "abstract socket": _works(lambda: _connect(socket.AF_UNIX, "\0" + ask["abstract"])),
        "unix socket": _works(lambda: _connect(socket.AF_UNIX, ask["unix"])),
        "network interface": _interfaces(),
        "read canary": _works(lambda: _read(ask["canary"])),
        "see home": bool(ask["home"]) and _works(lambda: _same_folder(*ask["home"])),
        "write /": _works(lambda: _write("/probe")),
        "write /usr": _works(lambda: _write("/usr/probe")),
        "write /etc": _works(lambda: _write("/etc/passwd")),
        "write /dev": _works(lambda: _write("/dev/probe")),
        "write /opt": _works(lambda: _write("/opt/probe")),
        "write interpreter": _works(lambda: _write(os.path.realpath(sys.executable))),
        "write supervisor": _works(lambda: _write_running("/proc/1/exe")),
        "write canary": _works(lambda: os.close(os.open(ask["canary"], os.O_WRONLY))),
        "chmod canary": _works(lambda: os.chmod(ask["canary"], 0o644)),
        "canary's times": _works(lambda: os.utime(ask["canary"], (1, 1))),
        "canary's attributes": _works(lambda: os.setxattr(ask["canary"], "user.probe", b"x")),
        "write core_pattern": _works(
            lambda: os.close(os.open("/proc/sys/kernel/core_pattern", os.O_WRONLY))
        ),
        "mount": _works(
            lambda: _call(_LIBC.mount(b"none", b"/usr", None, ctypes.c_ulong(_REMOUNT_BIND), None))
        ),
        "user namespace": _works_apart(
            lambda: _call(_LIBC.unshare(ctypes.c_int(_NEW_USER_NAMESPACE)))
        ),
        "ptrace": _works_apart(lambda: _system_call(_PTRACE.get(machine, -1), _TRACE_ME, 0, 0, 0)),
        "keyring": _works(lambda: _system_call(_KEYCTL.get(machine, -1), 0, -3, 1)),
        "io_uring": _works(lambda: _system_call(_IO_URING_SETUP, 1, 0)),
        "vsock": _works(lambda: socket.socket(_VSOCK, socket.SOCK_STREAM).close()),
    }


def _status() -> dict[str, str]:
    """Return what the kernel says of this process; asked by system calls, since /proc need not be
    there.
    """
    header, words = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0), (ctypes.c_uint32 * 6)()
    _call(_LIBC.capget(header, words))
    left = [bound for bound in range(64) if _LIBC.prctl(_READ_BOUND, bound, 0, 0, 0) == 1]
    return {
        "NoNewPrivs": str(_LIBC.prctl(_GET_NO_NEW_PRIVILEGES, 0, 0, 0, 0)),
        "Seccomp": str(_LIBC.prctl(_GET_SECCOMP, 0, 0, 0, 0)),
        "CapEff": f"{words[0] | words[3] << 32:x}",
        "CapPrm": f"{words[1] | words[4] << 32:x}",
        "CapBnd": f"{sum(1 << bound for bound in left):x}",
    }


def _open_descriptors() -> list[int]:
    found = []
    for number in range(_MOST_DESCRIPTORS):
        try:
            os.fstat(number)
        except OSError:
            continue
        found.append(number)
    return found


def _count_forks(most: int) -> int:
    """Return how many idle children can be started, up to `most`; they stay until the sandbox
    ends.
    """
    for count in range(most):
        try:
            child = os.fork()
        except OSError:
            return count
        if child == 0:
            _idle()
    return most


def _leave_daemon() -> None:
    """Leave a process in a session of its own that ignores what can be ignored and keeps the output
    open.
    """
    child = os.fork()
    if child == 0:
        os.setsid()
        if os.fork() == 0:
            for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
                signal.signal(number, signal.SIG_IGN)
            _idle()
        os._exit(0)
    os.waitpid(child, 0)  # before the processes are counted: the daemon needs its place among them


def _idle() -> None:
    while True:
        signal.pause()


def _fill(path: str, size: int) -> int:
    """Return the errno that ends writing `size` bytes, 0 if nothing does; the file is removed."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    except OSError as error:
        return error.errno or 0
    try:
        left = size
        while left > 0:
            left -= os.write(descriptor, bytes(min(left, 1 << 16)))
    except OSError as error:
        return error.errno or 0
    finally:
        os.close(descriptor)
        os.unlink(path)
    return 0


def _fill_with_files(folder: str, most: int) -> int:
    """Return the errno that ends creating `most` empty files, 0 if nothing does; all are
    removed.
    """
    place = f"{folder}/many"
    made = 0
    try:
        os.mkdir(place)
        for made in range(most):
            os.close(os.open(f"{place}/{made}", os.O_WRONLY | os.O_CREAT, 0o600))
    except OSError as error:
        return error.errno or 0
    finally:
        for number in range(made):
            os.unlink(f"{place}/{number}")
    return 0


def main() -> None:
    """Try everything and print the outcome."""
    ask = json.loads(sys.argv[1])
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    _works(lambda: _send_datagram(ask["udp"]))
    answer: dict[str, Any] = {
        "attempts": _attempts(ask),
        "status": _status(),
        "environment": sorted(os.environ),
    }
    answer["descriptors"] = _open_descriptors()
    answer["users"] = [os.getuid(), os.getgid()]
    answer["disk"] = [
        _fill(f"{folder}/fill", ask["disk"])
        for folder in (os.getcwd(), os.environ["TMPDIR"], "/dev/shm")
    ]
    answer["inodes"] = [
        _fill_with_files(folder, ask["files"]) for folder in (os.getcwd(), os.environ["TMPDIR"])
    ]
    _leave_daemon()
    answer["forks"] = _count_forks(ask["forks"])
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
