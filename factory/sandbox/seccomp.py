"""Build the system call filter as classic BPF, without any library.

Pure: numbers in, bytes out. What is named here answers EPERM, or ENOSYS where a program then falls
back to an older call that can be judged by its arguments. Other calls of the kernels known here are
allowed; a call newer than these is answered as by a kernel that lacks it. Of sockets only the named
families and protocols can be made. A foreign architecture or the x32 interface kills. The numbers
are those of the kernel's syscall tables; the program's digest is evidence. Does not know who
installs it.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Mapping
from dataclasses import dataclass

# Offsets into struct seccomp_data; arguments are 64 bit, little endian on both architectures.
_NUMBER, _ARCH, _ARGUMENTS = 0, 4, 16

_LOAD = 0x20  # BPF_LD | BPF_W | BPF_ABS
_AND = 0x54  # BPF_ALU | BPF_AND | BPF_K
_JUMP = 0x05  # BPF_JMP | BPF_JA
_EQUAL = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_GREATER = 0x25  # BPF_JMP | BPF_JGT | BPF_K
_AT_LEAST = 0x35  # BPF_JMP | BPF_JGE | BPF_K
_RETURN = 0x06

_KILL = 0x80000000
_ERROR = 0x00050000
_ALLOW = 0x7FFF0000
_ASK = 0x7FC00000
DENIED = _ERROR | errno.EPERM
ABSENT = _ERROR | errno.ENOSYS
PRETENDED = _ERROR  # no error, and nothing done

_X32_BIT = 0x40000000
_NAMESPACES = 0x7E020080  # every CLONE_NEW* flag, CLONE_NEWTIME included
_FILE_KIND, _CHARACTER, _BLOCK = 0o170000, 0o020000, 0o060000
_TERMINAL_TRICKS = (
    0x5412,
    0x541C,
    0x5423,
)  # TIOCSTI, TIOCLINUX, TIOCSETD: push input, drive the console, load a driver
_LISTEN_TO_CALLS = 8  # a filter whose maker answers the calls of those it is put on
_PERSONALITIES = (
    0,
    0x8,
    0x40000,
    0xFFFFFFFF,
)  # plain, 32 bit names, no randomised addresses, asking
_UNIX, _INET, _INET6, _NETLINK = 1, 2, 10, 16
_PROTOCOLS = (0, 6, 17)  # of the internet: the usual one, TCP, UDP
_NETLINK_ROUTE = 0
# file_setattr, of Linux 6.17: the last call of the kernels that this table was compared with
_NEWEST = 469
_LARGEST_SHARED = (
    4096  # System V segments escape the memory watch; the kernel's 4,096 of one page are harmless
)

# Numbers: arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h (aarch64) of
# Linux 6.17. A new kernel's calls are added here, or answered as absent until they are.
Calls = Mapping[str, tuple[int | None, int | None]]
# name: (x86_64, aarch64); None where the architecture has no such call
_DENIED: Calls = {
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51),
    "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430), "fsconfig": (431, 431),
    "fsmount": (432, 432), "fspick": (433, 433), "mount_setattr": (442, 442),
    "open_tree_attr": (467, 467),
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "process_madvise": (440, 440), "pidfd_getfd": (438, 438), "kcmp": (312, 272),
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219),
    "unshare": (272, 97), "setns": (308, 268),
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "kexec_load": (246, 104), "kexec_file_load": (320, 294),
    "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106),
    "swapon": (167, 224), "swapoff": (168, 225), "reboot": (169, 142), "acct": (163, 89),
    "settimeofday": (164, 170), "clock_settime": (227, 112), "clock_adjtime": (305, 266),
    "adjtimex": (159, 171),
    "sethostname": (170, 161), "setdomainname": (171, 162), "syslog": (103, 116),
    "quotactl": (179, 60), "quotactl_fd": (443, 443), "lookup_dcookie": (212, 18),
    "open_by_handle_at": (304, 265), "name_to_handle_at": (303, 264),
    "fanotify_init": (300, 262), "migrate_pages": (256, 238), "vhangup": (153, 58),
    "iopl": (172, None), "ioperm": (173, None), "modify_ldt": (154, None), "uselib": (134, None),
    "lsm_set_self_attr": (460, 460), "move_pages": (279, 239),
    "ustat": (136, None), "sysfs": (139, None), "_sysctl": (156, None), "nfsservctl": (180, 42),
}  # fmt: skip

# Refused as if the kernel did not know them: programs then use what this filter can judge.
_ABSENT: Calls = {
    "clone3": (435, 435),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    # Memory that no process's size shows.
    "memfd_create": (319, 279), "memfd_secret": (447, 447), "msgget": (68, 186), "semget": (64,
    190),
    "statmount": (457, 457), "listmount": (458, 458),  # what is mounted where
    "lsm_get_self_attr": (459, 459), "lsm_list_modules": (461, 461), "file_setattr": (469, 469),
}  # fmt: skip

# What Landlock lets pass: refused where nothing else protects the files of the host.
_ATTRIBUTES: Calls = {
    "chmod": (90, None), "fchmodat": (268, 53), "fchmodat2": (452, 452),
    "chown": (92, None), "fchown": (93, 55), "lchown": (94, None), "fchownat": (260, 54),
    "utime": (132, None), "utimes": (235, None), "futimesat": (261, None), "utimensat": (280, 88),
    "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7), "setxattrat": (463, 463),
    "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16),
    "removexattrat": (466, 466),
    "file_setattr": (469, 469),
}  # fmt: skip

# Who writes a file of its own sets its mode so, and must not fail; a mode is not worth a hole.
_MODE_OF_OPEN_FILE: Calls = {"fchmod": (91, 52)}

_JUDGED: Calls = {
    "clone": (56, 220), "socket": (41, 198), "socketpair": (53, 199), "ioctl": (16, 29),
    "shmget": (29, 194),
    "mknod": (133, None), "mknodat": (259, 33), "seccomp": (317, 277), "personality": (135, 92),
}  # fmt: skip

# Where there is no namespace as well: what is shared with every process of this host, and what acts
# on others of the user.
_SHARED: Calls = {
    "shmget": (29, 194), "shmat": (30, 196), "mq_open": (240, 180),
    "socket": (41, 198),
}  # fmt: skip
# Allowed on the caller alone: arguments that must have these values.
_ON_OTHERS: Mapping[str, tuple[tuple[int | None, int | None], tuple[tuple[int, int], ...]]] = {
    "prlimit64": ((302, 261), ((0, 0),)),
    "setpriority": ((141, 140), ((0, 0), (1, 0))),
    "sched_setaffinity": ((203, 122), ((0, 0),)),
    "sched_setscheduler": ((144, 119), ((0, 0),)),
    "sched_setparam": ((142, 118), ((0, 0),)),
    "sched_setattr": ((314, 274), ((0, 0),)),
    "ioprio_set": ((251, 30), ((0, 1), (1, 0))),
}

# Asked about by the filter that only observes; see `observe`.
_CONNECT, _SEND_TO = (42, 203), (44, 206)
_NETLINK_ADDRESS = (
    12  # bytes: too short for any address that leaves the host, and what bubblewrap uses itself
)


@dataclass(frozen=True, slots=True)
class _Architecture:
    audit: int
    column: int
    x32: bool


_ARCHITECTURES = {
    "x86_64": _Architecture(0xC000003E, 0, x32=True),
    "aarch64": _Architecture(0xC00000B7, 1, x32=False),
}


def program(machine: str, alone: bool = False, attributes: bool = True) -> bytes:
    """Return the filter for a machine as named by `os.uname()`; empty where there is none for it.

    `alone`: there is no namespace as well, so no socket can be made but a pair that is connected
    from the start, and nothing that other processes of the host share. Without `attributes` no
    file's mode, owner, time or extended attribute changes (setting the mode of an open file seems
    to work).
    """
    if machine not in _ARCHITECTURES:
        return b""
    architecture = _ARCHITECTURES[machine]
    column = architecture.column
    code = [
        *_unless(_load(_ARCH), _EQUAL, architecture.audit, _KILL),
        _load(_NUMBER),
        *(_when(_AT_LEAST, _X32_BIT, _KILL) if architecture.x32 else ()),
        *_when(_GREATER, _NEWEST, ABSENT),
    ]
    for table, answer in _tables(alone, attributes):
        for numbers in table.values():
            number = numbers[column]
            if number is not None:
                code += _when(_EQUAL, number, answer)
    for name, numbers in _JUDGED.items():
        number = numbers[column]
        if number is not None:
            code += _block(number, _judgement(name))
    for numbers, wanted in _ON_OTHERS.values() if alone else ():
        number = numbers[column]
        if number is not None:
            code += _block(number, _only_with(wanted))
    code.append(_give(_ALLOW))
    return b"".join(code)


def refused(machine: str, alone: bool = False) -> dict[str, tuple[int, int]]:
    """Return number and errno of every call that is refused whatever its arguments."""
    column = _ARCHITECTURES[machine].column
    found: dict[str, tuple[int, int]] = {}
    for table, answer in _tables(alone, attributes=True):
        found |= {
            name: (n[column] or 0, answer & 0xFFFF)
            for name, n in table.items()
            if n[column] is not None
        }
    return found


def _tables(alone: bool, attributes: bool) -> tuple[tuple[Calls, int], ...]:
    shared = ((_SHARED, DENIED),) if alone else ()
    modes = () if attributes else ((_ATTRIBUTES, DENIED), (_MODE_OF_OPEN_FILE, PRETENDED))
    return (_DENIED, DENIED), (_ABSENT, ABSENT), *shared, *modes


def observing(machine: str) -> bytes:
    """Return a filter that refuses nothing, and has the kernel ask before a connection or a
    datagram to an address.
    """
    if machine not in _ARCHITECTURES:
        return b""
    architecture = _ARCHITECTURES[machine]
    column = architecture.column
    addressed = [
        _argument(5),
        *_when(_EQUAL, 0, _ALLOW),
        *_when(_EQUAL, _NETLINK_ADDRESS, _ALLOW),
        _give(_ASK),
    ]
    code = [
        *_unless(_load(_ARCH), _EQUAL, architecture.audit, _ALLOW),
        _load(_NUMBER),
        *_when(_EQUAL, _CONNECT[column], _ASK),
        *_block(_SEND_TO[column], addressed),
        _give(_ALLOW),
    ]
    return b"".join(code)


def _instruction(code: int, value: int, true: int = 0, false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, true, false, value)


def _load(offset: int) -> bytes:
    return _instruction(_LOAD, offset)


def _argument(index: int) -> bytes:
    """Load the low half of an argument; the kernel itself reads just that of the ones judged
    here.
    """
    return _load(_ARGUMENTS + 8 * index)


def _give(answer: int) -> bytes:
    return _instruction(_RETURN, answer)


def _when(test: int, value: int, answer: int) -> tuple[bytes, ...]:
    return _instruction(test, value, 0, 1), _give(answer)


def _unless(load: bytes, test: int, value: int, answer: int) -> tuple[bytes, ...]:
    return load, _instruction(test, value, 1, 0), _give(answer)


def _block(number: int, judgement: list[bytes]) -> list[bytes]:
    """Return `judgement` for one system call only; it must end in an answer on every path."""
    return [_instruction(_EQUAL, number, 1, 0), _instruction(_JUMP, len(judgement)), *judgement]


def _judgement(name: str) -> list[bytes]:
    if name == "clone":
        return _no_namespaces()
    if name == "ioctl":
        tricks = (_when(_EQUAL, trick, DENIED) for trick in _TERMINAL_TRICKS)
        return [_argument(1), *(word for trick in tricks for word in trick), _give(_ALLOW)]
    if name == "seccomp":
        listens = [_argument(1), _instruction(_AND, _LISTEN_TO_CALLS)]
        return [*listens, _instruction(_EQUAL, 0, 1, 0), _give(DENIED), _give(_ALLOW)]
    if name == "personality":
        plain = (_when(_EQUAL, each, _ALLOW) for each in _PERSONALITIES)
        return [_argument(0), *(word for each in plain for word in each), _give(DENIED)]
    if name == "socketpair":
        return [_argument(0), *_when(_EQUAL, _UNIX, _ALLOW), _give(DENIED)]
    if name == "shmget":
        # The size is 64 bit: any bit in its upper half is too large.
        upper = _load(_ARGUMENTS + 8 + 4)
        too_large = _ERROR | errno.ENOMEM
        return [
            *_unless(upper, _EQUAL, 0, too_large),
            _argument(1), *_when(_GREATER, _LARGEST_SHARED, too_large), _give(_ALLOW),
        ]  # fmt: skip
    if name in {"mknod", "mknodat"}:
        kind = [_argument(1 if name == "mknod" else 2), _instruction(_AND, _FILE_KIND)]
        return [
            *kind,
            *_when(_EQUAL, _CHARACTER, DENIED),
            *_when(_EQUAL, _BLOCK, DENIED),
            _give(_ALLOW),
        ]
    return _only_families()


def _no_namespaces() -> list[bytes]:
    flags = [_argument(0), _instruction(_AND, _NAMESPACES)]
    return [*flags, _instruction(_EQUAL, 0, 1, 0), _give(DENIED), _give(_ALLOW)]


def _only_families() -> list[bytes]:
    internet = [_argument(2)]
    for protocol in _PROTOCOLS:
        internet += _when(_EQUAL, protocol, _ALLOW)
    internet.append(_give(DENIED))
    route = [_argument(2), *_when(_EQUAL, _NETLINK_ROUTE, _ALLOW), _give(DENIED)]
    code = [_argument(0), *_when(_EQUAL, _UNIX, _ALLOW)]
    for family, judgement in ((_INET, internet), (_INET6, internet), (_NETLINK, route)):
        code += _block(family, judgement)
    return [*code, _give(DENIED)]


def _only_with(wanted: tuple[tuple[int, int], ...]) -> list[bytes]:
    code: list[bytes] = []
    for index, value in wanted:
        code += _unless(_argument(index), _EQUAL, value, DENIED)
    return [*code, _give(_ALLOW)]
