"""What every program here uses: facts about the host's canaries, system calls by name, and the two
words that decide.

Lies at the workspace's root as `hostile.py`. Stdlib only. A program that says neither word has
shown nothing.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import socket
import sys
from collections.abc import Callable
from typing import Any

ROOT = os.path.dirname(os.path.abspath(__file__))
TURN = sys.argv[1] if len(sys.argv) > 1 else "1"  # which of the program's steps this is

# Names of calls, with their numbers on x86_64 and on aarch64.
NUMBERS = {
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "unshare": (272, 97),
    "setns": (308, 268), "clone": (56, 220), "clone3": (435, 435), "open_tree": (428, 428), "fsopen": (430, 430),
    "move_mount": (429, 429), "mount_setattr": (442, 442), "ptrace": (101, 117), "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271), "pidfd_open": (434, 434), "pidfd_getfd": (438, 438), "kcmp": (312, 272),
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219), "io_uring_setup": (425, 425),
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282), "open_by_handle_at": (304, 265),
    "name_to_handle_at": (303, 264), "memfd_create": (319, 279), "memfd_secret": (447, 447), "init_module": (175, 105),
    "finit_module": (313, 273), "kexec_load": (246, 104), "reboot": (169, 142), "swapon": (167, 224),
    "clock_settime": (227, 112), "adjtimex": (159, 171), "syslog": (103, 116), "quotactl": (179, 60),
    "fanotify_init": (300, 262), "personality": (135, 92), "sethostname": (170, 161), "acct": (163, 89),
    "shmget": (29, 194), "shmat": (30, 196),
    "msgget": (68, 186), "semget": (64, 190), "capget": (125, 90), "capset": (126, 91), "lsm_set_self_attr": (460, 460),
}  # fmt: skip
_COLUMN = {"x86_64": 0, "aarch64": 1}[os.uname().machine]
_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.syscall.restype = ctypes.c_long


def fact(name: str) -> Any:
    """What the host told about one of its canaries."""
    with open(f"{ROOT}/canaries.json", encoding="utf-8") as file:
        return json.load(file)[name]


def say(*words: object) -> None:
    """A line that is written at once."""
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def held(*how: object) -> None:
    """The end of a program that got nowhere."""
    say("HELD", *how)
    os._exit(0)


def escaped(*what: object) -> None:
    """The end of a program that got out."""
    say("ESCAPED", *what)
    os._exit(1)


def left() -> None:
    """The end of a program that has left its trap for whoever reads the tree."""
    say("LEFT")
    os._exit(0)


def refused(what: str, attempt: Callable[..., object], *words: Any) -> None:
    """`attempt` must raise OSError."""
    try:
        result = attempt(*words)
    except OSError:
        return
    escaped(what, "gave", repr(result)[:200])


def listed(folder: str) -> list[str]:
    """The names in a folder; none where it is not shown."""
    try:
        return os.listdir(folder)
    except OSError:
        return []


def text(path: str) -> str:
    """What a file holds; nothing where it is not shown."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError:
        return ""


def process_told(option: int, *words: int) -> int:
    """What the kernel says of this process: prctl(2)."""
    return _LIBC.prctl(option, *map(ctypes.c_ulong, (*words, 0, 0, 0, 0)[:4]))


def call(name: str, *words: Any) -> tuple[int, int]:
    """One system call: (result, errno)."""
    ctypes.set_errno(0)
    result = _LIBC.syscall(ctypes.c_long(NUMBERS[name][_COLUMN]), *(_word(word) for word in words))
    return result, ctypes.get_errno() if result == -1 else 0


def _word(word: Any) -> Any:
    return ctypes.c_long(word) if isinstance(word, int) else word


def filtered(name: str, *words: Any) -> None:
    """The filter itself must answer: a kernel that so much as looks at the words would answer
    otherwise.
    """
    result, number = call(name, *words)
    if result != -1 or number not in (errno.EPERM, errno.ENOSYS):
        escaped(name, "reached the kernel:", result, errno.errorcode.get(number, number))


AUTHORITIES = (
    "/var/run/docker.sock",
    "/run/docker.sock",
    "/run/user/1000/bus",
    "~/.gnupg/S.gpg-agent",
    "/run/dbus/system_bus_socket",
)


def authority(name: str) -> None:
    """Neither the host's own service of that name nor any at a usual or a told place may answer."""
    known = [fact("sockets")[name], *map(os.path.expanduser, AUTHORITIES)]
    known += [
        value.split("=")[-1].split("//")[-1]
        for key, value in os.environ.items()
        if key in fact("variables")
    ]
    for path in known:
        refused(f"{name} at {path}", converse, socket.SOCK_STREAM, path)
    held()


def converse(kind: int, path: str, said: bytes = b"") -> None:
    """Say something to whoever listens at a path. Raises OSError where nobody can be asked."""
    with socket.socket(socket.AF_UNIX, kind) as client:
        client.connect(path)
        # else who answers may have hung up by now, and sending nothing would look like nobody there
        if said:
            client.send(said)
