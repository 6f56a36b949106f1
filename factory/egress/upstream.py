"""Reach hosts by another proxy, that of a company: CONNECT through it, over TLS where it speaks it.

Rule: its credential goes to it alone, and into no text: the repr of what contains it does not show
it. It looks names up itself. Does not know which hosts are allowed.
"""

from __future__ import annotations

import contextlib
import re
import select
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from factory.egress.connection import Target

if TYPE_CHECKING:
    import ssl

    from factory.egress.secured import Secured

_MOST_HEAD = 8192
_CHUNK = 1 << 16
_RECORD = 60.0  # seconds for what belongs together, once some of it came
_ANSWER = re.compile(rb"HTTP/1\.[01] ([0-9]{3})(?: [^\r\n]*)?")


class UpstreamRefused(OSError):
    """Report that the upstream proxy answered, and does not carry a connection."""


@dataclass(frozen=True, slots=True)
class Upstream:
    """Describe a proxy that serves CONNECT. `login` is what its header says of the user, "" for
    none; `trust` gives what verifies it where it speaks TLS, None where it does not.
    """

    host: str
    port: int
    login: str = field(default="", repr=False)
    trust: Callable[[], ssl.SSLContext] | None = field(default=None, repr=False)

    @property
    def target(self) -> Target:
        """Return where it listens."""
        return Target(self.host, self.port)

    def through(self, link: socket.socket, target: Target, seconds: float) -> socket.socket:
        """Return a connection to `target` over `link`, which leads to the proxy and belongs to the
        answer from now on. Raise OSError (then it is closed), UpstreamRefused where it says no.
        """
        deadline = time.monotonic() + seconds
        try:
            link.settimeout(seconds)
            if self.trust is not None:
                link = _over_tls(link, self.trust(), self.host)
            self._ask(link, target, deadline)
        except OSError:
            link.close()
            raise
        return link

    def _ask(self, link: socket.socket, target: Target, deadline: float) -> None:
        login = f"Proxy-Authorization: {self.login}\r\n" if self.login else ""
        link.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{login}\r\n".encode("ascii"))
        head = b""
        while b"\r\n\r\n" not in head:
            link.settimeout(max(0.001, deadline - time.monotonic()))
            came = link.recv(_MOST_HEAD)
            head += came
            if not came or len(head) > _MOST_HEAD:
                raise UpstreamRefused("the upstream proxy gave no sound answer")
        answer = _ANSWER.fullmatch(head.partition(b"\r\n")[0])
        if answer is None or not answer[1].startswith(b"2") or not head.endswith(b"\r\n\r\n"):
            raise UpstreamRefused("the upstream proxy does not carry it")


def _over_tls(link: socket.socket, context: ssl.SSLContext, host: str) -> socket.socket:
    """Return a plain socket whose bytes go over TLS on `link`, carried by a thread until either
    side is done. Raise OSError.
    """
    from factory.egress.secured import Secured  # only a proxy that speaks TLS needs it

    secured = Secured(link, context, host)
    secured.shake_hands()
    ours, theirs = socket.socketpair()
    threading.Thread(
        target=_pump, args=(secured, link, theirs), name="egress-upstream", daemon=True
    ).start()
    return ours


def _pump(secured: Secured, link: socket.socket, plain: socket.socket) -> None:
    """Carry bytes both ways until the far end is done, or nobody has the other end of `plain`."""
    link.settimeout(_RECORD)
    wanted = select.POLLIN
    with link, plain, contextlib.suppress(OSError):
        while True:
            poll = select.poll()
            poll.register(link, select.POLLIN)
            poll.register(plain, wanted)
            ready = dict(poll.poll())
            seen = ready.get(plain.fileno(), 0)
            if seen & wanted:
                asked = plain.recv(_CHUNK)
                if asked:
                    secured.send(asked)
                else:
                    secured.farewell()  # it may still read
                    wanted = 0
            elif seen & select.POLLHUP:
                return
            if link.fileno() in ready:
                answered = secured.receive_ready()
                if answered is None:
                    return
                plain.sendall(answered)
