"""Read the server name of a TLS handshake off the first bytes that a client sends (RFC 8446, RFC
6066).

Rule: exactly one name, in the clear, in a ClientHello that is whole and alone; anything else is
refused. Reads no more than the first handshake message, whatever number of records carries it. Does
not know what is allowed.
"""

from __future__ import annotations

from factory.egress.connection import Reason, Target
from factory.egress.rules import EgressRefusal

MOST_HELLO = 32 * 1024  # bytes of the records that carry the ClientHello
_HANDSHAKE = 22
_CLIENT_HELLO = 1
_LARGEST_RECORD = 1 << 14  # RFC 8446, 5.1
_SERVER_NAME = 0
_HIDING = frozenset({0xFE0D, 0xFFCE})  # encrypted client hello, and its draft for the name alone
_HOST_NAME = 0


def server_name(buffered: bytes) -> str | None:
    """Return the one name, in small letters; None while more bytes are needed. Raise Refusal."""
    message = _message(buffered)
    if message is None:
        if len(buffered) >= MOST_HELLO:
            raise EgressRefusal(Reason.HELLO)
        return None
    return _named(_extensions(message))


def judge_server_name(target: Target, name: str) -> None:
    """Raise Refusal unless the handshake names the host that the connection was asked for."""
    if name != target.host:
        raise EgressRefusal(Reason.SERVER_NAME, target)


def _message(buffered: bytes) -> bytes | None:
    """Return the body of the ClientHello, put together from its records; None while it is not
    whole.
    """
    message = b""
    at = 0
    while True:
        header = buffered[at : at + 5]
        _judge_record(header)
        if len(header) < 5:
            return None
        length = int.from_bytes(header[3:], "big")
        message += buffered[at + 5 : at + 5 + length]
        if message and message[0] != _CLIENT_HELLO:
            raise EgressRefusal(Reason.HELLO)
        due = 4 + int.from_bytes(message[1:4], "big") if len(message) >= 4 else MOST_HELLO
        if len(message) >= 4 and due > MOST_HELLO:
            raise EgressRefusal(Reason.HELLO)
        at += 5 + length
        if len(buffered) < at:
            return None
        if len(message) > due:
            raise EgressRefusal(
                Reason.HELLO
            )  # nothing may follow it before the server has answered
        if len(message) == due:
            return message[4:]


def _judge_record(header: bytes) -> None:
    """Judge a record's header as far as it is there: handshake, version 3.x, a length that is
    neither 0 nor too large. Raise Refusal.
    """
    if header[:1] not in (b"", bytes([_HANDSHAKE])) or header[1:2] not in (b"", b"\x03"):
        raise EgressRefusal(Reason.NOT_TLS)
    if header[2:3] and header[2] > 4:
        raise EgressRefusal(Reason.NOT_TLS)
    if len(header) == 5 and not 0 < int.from_bytes(header[3:], "big") <= _LARGEST_RECORD:
        raise EgressRefusal(Reason.HELLO)


class _HelloReader:
    """Read bytes from front to back.

    Raise EgressRefusal HELLO where there are fewer than asked for.
    """

    def __init__(self, content: bytes) -> None:
        self._content = content

    def over(self) -> bool:
        """Return whether nothing is left."""
        return not self._content

    def take(self, count: int) -> bytes:
        """Return the next `count` bytes. Raise EgressRefusal HELLO where there are fewer."""
        taken, self._content = self._content[:count], self._content[count:]
        if len(taken) < count:
            raise EgressRefusal(Reason.HELLO)
        return taken

    def number(self, size: int) -> int:
        """Return the next `size` bytes as a number."""
        return int.from_bytes(self.take(size), "big")

    def vector(self, size: int, least: int = 0) -> bytes:
        """Return the bytes after their length, which is of `size` bytes. Raise Refusal below
        `least`.
        """
        content = self.take(self.number(size))
        if len(content) < least:
            raise EgressRefusal(Reason.HELLO)
        return content


def _extensions(message: bytes) -> dict[int, bytes]:
    """Return every extension by its type. Raise Refusal where one comes twice, or something
    follows.
    """
    reader = _HelloReader(message)
    reader.take(2 + 32)
    if len(reader.vector(1)) > 32 or len(reader.vector(2, 2)) % 2:
        raise EgressRefusal(Reason.HELLO)
    reader.vector(1, 1)
    if reader.over():
        return {}
    inner = _HelloReader(reader.vector(2))
    found: dict[int, bytes] = {}
    while not inner.over():
        kind = inner.number(2)
        if kind in found:
            raise EgressRefusal(Reason.HELLO)
        found[kind] = inner.vector(2)
    if not reader.over():
        raise EgressRefusal(Reason.HELLO)
    return found


def _named(extensions: dict[int, bytes]) -> str:
    if not _HIDING.isdisjoint(extensions):
        raise EgressRefusal(Reason.ENCRYPTED_NAME)
    if _SERVER_NAME not in extensions:
        raise EgressRefusal(Reason.NO_SERVER_NAME)
    outer = _HelloReader(extensions[_SERVER_NAME])
    names = _HelloReader(outer.vector(2))
    if names.over():
        raise EgressRefusal(Reason.NO_SERVER_NAME)
    if names.number(1) != _HOST_NAME:
        raise EgressRefusal(Reason.HELLO)
    name = names.vector(2, 1)
    if not names.over() or not outer.over():
        raise EgressRefusal(Reason.HELLO)
    try:
        return name.decode("ascii").lower()
    except UnicodeDecodeError:
        raise EgressRefusal(Reason.SERVER_NAME) from None
