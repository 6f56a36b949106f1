"""Send JSON messages with their length before them, and descriptors, over a unix stream socket.

Both ends are ours: the orchestrator on one, the launcher and its supervisors on the other.
Stdlib only, since the launcher imports it without site-packages. Does not know what a
message means.
"""

from __future__ import annotations

import array
import json
import socket
from collections.abc import Sequence
from typing import Any

Message = dict[str, Any]
MOST_DESCRIPTORS = 8  # of one message; none has more than two today
_PREFIX = 4


class HungUp(Exception):
    """Report that the other end is gone."""


def send(link: socket.socket, message: Message, descriptors: Sequence[int] = ()) -> None:
    """Send one message; `descriptors` travel with its first byte. Raise HungUp."""
    payload = json.dumps(message).encode("ascii")
    whole = len(payload).to_bytes(_PREFIX, "big") + payload
    rights = (
        [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]
        if descriptors
        else []
    )
    try:
        sent = link.sendmsg([whole], rights)
        if sent < len(
            whole
        ):  # sending nothing would still fail once the other end has read all and left
            link.sendall(whole[sent:])
    except OSError as error:
        raise HungUp(str(error)) from error


def receive(link: socket.socket) -> tuple[Message, list[int]]:
    """Receive one message and its descriptors (close-on-exec). Raise HungUp."""
    descriptors: list[int] = []
    length = int.from_bytes(_exactly(link, _PREFIX, descriptors), "big")
    message = json.loads(_exactly(link, length, descriptors))
    return message, descriptors


def _exactly(link: socket.socket, count: int, descriptors: list[int]) -> bytes:
    room = socket.CMSG_SPACE(MOST_DESCRIPTORS * array.array("i").itemsize)
    read = bytearray()
    while len(read) < count:
        try:
            chunk, ancillary, _, _ = link.recvmsg(count - len(read), room, socket.MSG_CMSG_CLOEXEC)
        except OSError as error:
            raise HungUp(str(error)) from error
        for level, kind, content in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                numbers = array.array("i")
                numbers.frombytes(content[: len(content) - len(content) % numbers.itemsize])
                descriptors.extend(numbers)
        if not chunk:
            raise HungUp("end of stream")
        read += chunk
    return bytes(read)
