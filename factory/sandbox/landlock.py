"""Give up access to files and network for good, by the kernel's Landlock and plain system calls.

A process names what it still needs; everything else that the running kernel can refuse is refused
to it and to all it starts, root or not. What a kernel is too old for is not handled, and `refused`
says so: whoever promises anything must ask it. Stdlib only. Does not know why anything is given up.

Landlock does not stop, on any kernel known here: reading a file's status, changing modes, owners,
times and extended attributes, connecting to a socket that has a path, or datagrams.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
from collections.abc import Iterable

from factory.sandbox import kernel

# landlock(7), since Linux 5.13; one number on every architecture, none in the C library.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_ASK_VERSION = 1
_PATH_BENEATH = 1

# LANDLOCK_ACCESS_* and LANDLOCK_SCOPE_* of <linux/landlock.h>.
EXECUTE, WRITE_FILE, READ_FILE, READ_FOLDER = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_REMOVE = 1 << 4 | 1 << 5
_MAKE_DEVICES = 1 << 6 | 1 << 11
_MAKE = 1 << 7 | 1 << 8 | 1 << 9 | 1 << 10 | 1 << 12  # folder, file, socket, FIFO, link
_MOVE_BETWEEN_FOLDERS, _TRUNCATE, _CONTROL_DEVICES = 1 << 13, 1 << 14, 1 << 15
_FIRST = (1 << 13) - 1
_BIND_TCP, _CONNECT_TCP = 1 << 0, 1 << 1
_ABSTRACT_SOCKETS, _SIGNALS = 1 << 0, 1 << 1

READ = EXECUTE | READ_FILE | READ_FOLDER
WRITE = READ | WRITE_FILE | _REMOVE | _MAKE | _MOVE_BETWEEN_FOLDERS | _TRUNCATE
USE_DEVICE = READ_FILE | WRITE_FILE | _TRUNCATE
_FOR_FILES = EXECUTE | WRITE_FILE | READ_FILE | _TRUNCATE | _CONTROL_DEVICES

# The ABI that each kind of access came with: a kernel that is older lets it pass. They are those of
# Linux 6.2, 6.7, 6.10 and 6.12; moving between folders is ABI 2, of Linux 5.19.
TRUNCATION, TCP, DEVICE_CONTROL, SCOPES = 3, 4, 5, 6
_NAMES = (
    *(
        (1, "reading, writing, creating and removing files"),
        (2, "moving between folders"),
        (TRUNCATION, "truncating"),
    ),
    *(
        (TCP, "TCP"),
        (DEVICE_CONTROL, "device control"),
        (SCOPES, "abstract sockets and signals to others"),
    ),
)

_libc = ctypes.CDLL(None, use_errno=True)


def abi() -> int:
    """Return the version that the running kernel offers; 0 where it offers none, or is not asked to
    enforce it.
    """
    try:
        return _call(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint(_ASK_VERSION))
    except OSError:
        return 0


def refused(version: int) -> str:
    """Return what a kernel with this version refuses, in words for evidence."""
    return ", ".join(name for least, name in _NAMES if version >= least)


def restrict(rules: Iterable[tuple[str, int]], version: int) -> None:
    """Keep only `rules` (path, access below it) and no network; never undone. What does not exist
    is passed over.

    `version` is what `abi` returned. Raise OSError.
    """
    files, network, scopes = _handled(version)
    words = struct.pack("=QQQ", files, network, scopes)[
        : 24 if version >= SCOPES else 16 if version >= TCP else 8
    ]
    ruleset = _call(_CREATE_RULESET, words, ctypes.c_size_t(len(words)), ctypes.c_uint(0))
    try:
        for path, access in rules:
            _allow(ruleset, path, access & files)
        kernel.prctl(kernel.NO_NEW_PRIVILEGES, 1)
        _call(_RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint(0))
    finally:
        os.close(ruleset)


def _handled(version: int) -> tuple[int, int, int]:
    files = _FIRST
    for least, access in (
        (2, _MOVE_BETWEEN_FOLDERS),
        (TRUNCATION, _TRUNCATE),
        (DEVICE_CONTROL, _CONTROL_DEVICES),
    ):
        files |= access if version >= least else 0
    network = _BIND_TCP | _CONNECT_TCP if version >= TCP else 0
    return files, network, _ABSTRACT_SOCKETS | _SIGNALS if version >= SCOPES else 0


def _allow(ruleset: int, path: str, access: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # not there, or out of this user's reach: then nothing is allowed there
    try:
        if not stat.S_ISDIR(os.fstat(place).st_mode):
            access &= _FOR_FILES
        rule = struct.pack("=Qi", access, place)
        _call(_ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(_PATH_BENEATH), rule, ctypes.c_uint(0))
    finally:
        os.close(place)


def _call(number: int, *words: object) -> int:
    result: int = _libc.syscall(ctypes.c_long(number), *words)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"Landlock, call {number}: {os.strerror(code)}")
    return result
