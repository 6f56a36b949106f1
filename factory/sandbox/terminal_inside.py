"""Make a terminal inside the sandbox before a session, hand its far end out, and become the
command.

Executed by its text, by the interpreter that packs get, under its own constant environment: nothing
of the pack runs before the link is closed. Stdlib only, imports nothing of this project. Does not
know who types.
"""

from __future__ import annotations

import array
import fcntl
import json
import os
import socket
import struct
import sys
import termios
from typing import Any


def main() -> None:
    """Make the terminal, hand it out, become the command. Words: the link's descriptor, the
    command. The link brings window and environment, and takes the terminal.
    """
    with socket.socket(fileno=int(sys.argv[1])) as link:
        asked = _asked(link)
        master, slave = os.openpty()  # of this sandbox's own devpts
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", *asked["window"], 0, 0))
        os.setsid()
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
        link.sendmsg([b"."], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [master]))])
    os.close(master)
    for number in range(3):
        os.dup2(slave, number)
    os.execve(sys.argv[2], sys.argv[2:], {**os.environ, **asked["environment"]})


def _asked(link: socket.socket) -> dict[str, Any]:
    text = b""
    while chunk := link.recv(1 << 16):
        text += chunk
    asked: dict[str, Any] = json.loads(text)
    return asked


if __name__ == "__main__":
    main()
