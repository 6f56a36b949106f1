"""Names and connections of this host, for the proxy alone.

A name is absolute: no search list of the host completes it. Does not know which address may be
dialled.
"""

from __future__ import annotations

import socket

from factory.egress.reach import Outside


def resolve(host: str, port: int) -> tuple[str, ...]:
    """Return every address of a host, in the system's order. Raise OSError."""
    absolute = f"{host}.".encode("ascii")
    rows = socket.getaddrinfo(absolute, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return tuple(dict.fromkeys(str(row[4][0]) for row in rows))


def dial(address: str, port: int, seconds: float) -> socket.socket:
    """Return a connection to exactly this address. Raise OSError."""
    link = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        link.settimeout(seconds)
        link.connect((address, port))
    except OSError:
        link.close()
        raise
    return link


SYSTEM = Outside(resolve, dial)
