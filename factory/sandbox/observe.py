"""See which addresses the processes of a stage try to reach, and let every call go on as it would.

Rule: observation only. A filter on the supervisor, which all that it starts inherit, has the kernel
ask before a connection; the answer is always "continue". What denies is the network namespace, so
it does not matter that a process can change the address after it was read: that changes the record,
never what is reached. One filter of a chain can have such a listener, so that no pack can listen to
its own processes either. Where the supervisor is gone the call fails. Stdlib only. Does not know
which addresses are allowed.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import socket
import struct
from typing import Any

MOST = 128  # different addresses of one command; more are counted together
# seccomp(2) and <linux/seccomp.h>: listening came with Linux 5.0, "continue" with 5.5, and waiting
# that only fatal signals end with 5.19; without that the second of two flags is tried.
_SYSTEM_CALL = {"x86_64": 317, "aarch64": 277}
_SET_FILTER = 1
_NEW_LISTENER = 8
_ONLY_FATAL_SIGNALS = (
    32  # a handler that interrupts the wait would have the call repeated, and counted twice
)
# SECCOMP_IOCTL_NOTIF_RECV, _SEND and _ID_VALID; the sizes of their structures are in the numbers.
_RECEIVE, _SEND, _STILL_VALID = 0xC0502100, 0xC0182101, 0x40082102
_SET_FLAGS, _ON_ONE_PROCESSOR = (
    0x40082104,
    1,
)  # the two ends take turns: since Linux 6.6, and several times as fast
_NOTIFICATION, _ANSWER = 80, struct.Struct("=QqiI")
_CONTINUE = 1
_HEAD = struct.Struct("=QIIiIQ6Q")  # id, thread, flags, call, architecture, instruction, arguments
_LONGEST_ADDRESS = 110  # struct sockaddr_un, the largest that is read here
_CONNECT = (42, 203)  # x86_64, aarch64


def install(program: bytes) -> int:
    """Put the filter on this process and all that it will start; return where to listen, -1 where
    the kernel has no such.
    """
    number = _SYSTEM_CALL.get(os.uname().machine)
    if number is None or not program:
        return -1
    code = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code))
    call = ctypes.CDLL(None, use_errno=True).syscall
    for flags in (_NEW_LISTENER | _ONLY_FATAL_SIGNALS, _NEW_LISTENER):
        listener = call(
            ctypes.c_long(number), ctypes.c_long(_SET_FILTER), ctypes.c_long(flags), header
        )
        if listener >= 0:
            with contextlib.suppress(OSError):  # an older kernel: slower, no more
                fcntl.ioctl(listener, _SET_FLAGS, _ON_ONE_PROCESSOR)
            return int(listener)
    return -1


class Observer:
    """Count what was tried since the last report. `listener` is -1 where nothing can be seen."""

    def __init__(self, listener: int) -> None:
        self.listener = listener
        self._seen: dict[tuple[str, str, str, int], int] = {}
        self._more = 0

    def report(self) -> list[list[Any]] | None:
        """Return rows of call, family, address, port and count; one without a family counts what
        found no place. None where nothing can be seen.
        """
        if self.listener < 0:
            return None
        rows: list[list[Any]] = [[*what, count] for what, count in self._seen.items()]
        if self._more:
            rows.append(["", "", "", 0, self._more])
        self._seen, self._more = {}, 0
        return rows

    def answer(self) -> None:
        """Note one call that waits, and let it go on."""
        notification = bytearray(_NOTIFICATION)
        try:
            fcntl.ioctl(self.listener, _RECEIVE, notification)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.EINTR):
                return  # it was killed in between
            raise
        identity, thread, _, call, _, _, *words = _HEAD.unpack(notification)
        self._note(identity, thread, call, words)
        with contextlib.suppress(OSError):  # killed in between
            fcntl.ioctl(self.listener, _SEND, _ANSWER.pack(identity, 0, 0, _CONTINUE))

    def _note(self, identity: int, thread: int, call: int, words: list[int]) -> None:
        place, length = (words[1], words[2]) if call in _CONNECT else (words[4], words[5])
        try:
            memory = os.open(f"/proc/{thread}/mem", os.O_RDONLY | os.O_CLOEXEC)
            try:
                address = os.pread(memory, min(length & 0xFFFFFFFF, _LONGEST_ADDRESS), place)
            finally:
                os.close(memory)
            # Only now is it sure that the memory was that of the process that asked, and not of a
            # later one.
            fcntl.ioctl(self.listener, _STILL_VALID, struct.pack("=Q", identity))
        except (OSError, OverflowError):
            return
        what = ("connect" if call in _CONNECT else "send", *address_of(address))
        if what in self._seen or len(self._seen) < MOST:
            self._seen[what] = self._seen.get(what, 0) + 1
        else:
            self._more += 1


def address_of(raw: bytes) -> tuple[str, str, int]:
    """Return family, address and port of a socket address as a process wrote it; the family alone
    where it is none of ours.
    """
    family = int.from_bytes(raw[:2], "little")
    if family == socket.AF_INET and len(raw) >= 8:
        return "inet", socket.inet_ntop(socket.AF_INET, raw[4:8]), int.from_bytes(raw[2:4], "big")
    if family == socket.AF_INET6 and len(raw) >= 24:
        return (
            "inet6",
            socket.inet_ntop(socket.AF_INET6, raw[8:24]),
            int.from_bytes(raw[2:4], "big"),
        )
    if family == socket.AF_UNIX:
        if raw[2:3] == b"\0":
            return "abstract", raw[3:].decode("utf-8", "backslashreplace"), 0
        return "unix", raw[2:].partition(b"\0")[0].decode("utf-8", "backslashreplace"), 0
    return f"family {family}", "", 0
