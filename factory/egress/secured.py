"""Serve one end of TLS over a socket that somebody else owns, with every byte on the wire counted.

Does not know HTTP, nor whose certificate is shown.
"""

from __future__ import annotations

import contextlib
import socket
import ssl

_CHUNK = 1 << 16


class Secured:
    """Speak TLS over `link`, which blocks with its own time limit.

    Raise OSError (ssl.SSLError is one).
    """

    def __init__(self, link: socket.socket, context: ssl.SSLContext, host: str | None) -> None:
        """Begin as a client of `host`, whose name is verified; as a server where that is None."""
        self._link = link
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._in, self._out, server_side=host is None, server_hostname=host
        )
        self.read = self.written = 0  # bytes on the wire

    def shake_hands(self) -> str:
        """Agree on TLS; return the protocol that was chosen above it."""
        while True:
            try:
                self._tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self._flush()
                if not self._fill():
                    raise ConnectionError(
                        "the other side left in the middle of a handshake"
                    ) from None
            except ssl.SSLError:
                self._flush()  # the alert
                raise
        self._flush()
        return self._tls.selected_alpn_protocol() or ""

    def receive(self) -> bytes:
        """Return what came, at least a byte; empty at the end."""
        while True:
            try:
                return self._tls.read(_CHUNK)
            except ssl.SSLWantReadError:
                self._flush()
                if not self._fill():
                    # an end without farewell: the framing of HTTP shows whether something is
                    # missing
                    return b""
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return b""

    def receive_ready(self) -> bytes | None:
        """Return what one read of the link brings, maybe nothing: half a record, or a message of
        TLS itself; None at the end. Waits only for that read.
        """
        if not self._fill():
            return None
        found = b""
        while True:
            try:
                piece = self._tls.read(_CHUNK)
            except ssl.SSLWantReadError:
                self._flush()
                return found
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                piece = b""
            if not piece:
                return found or None
            found += piece

    def send(self, content: bytes) -> None:
        """Send all of it."""
        view = memoryview(content)
        while view:
            view = view[self._tls.write(view[:_CHUNK]) :]
            self._flush()

    def farewell(self) -> None:
        """Say that nothing more comes, without waiting for the same."""
        with contextlib.suppress(
            ssl.SSLError, ValueError
        ):  # it wants the other side's word, which nobody needs
            self._tls.unwrap()
        self._flush()

    def _flush(self) -> None:
        pending = self._out.read()
        if pending:
            self._link.sendall(pending)
            self.written += len(pending)

    def _fill(self) -> bool:
        came = self._link.recv(_CHUNK)
        self.read += len(came)
        if came:
            self._in.write(came)
        else:
            self._in.write_eof()
        return bool(came)
