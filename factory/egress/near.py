"""List the networks that this host is on, and its own addresses, as the kernel has them.

What answers there trusts that only neighbours ask. Where the kernel's tables cannot be read,
everything is near. Does not know who asks.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from pathlib import Path

from factory.egress.rules import Network

EVERYTHING: tuple[Network, ...] = (
    ipaddress.IPv4Network("0.0.0.0/0"),
    ipaddress.IPv6Network("::/0"),
)
_TABLES = Path("/proc/net")
_OWN_4 = re.compile(r"\|-- ([0-9.]+)\n\s+/32 host LOCAL")
_UP, _GATEWAY = 1, 2  # RTF_UP, RTF_GATEWAY of linux/route.h


def networks(tables: Path = _TABLES) -> tuple[Network, ...]:
    """Return own addresses and networks on a link; `tables` is the folder of the kernel's. Never an
    error: EVERYTHING where they cannot be read.
    """
    try:
        found = [
            *_own_4((tables / "fib_trie").read_text("ascii")),
            *_on_link_4((tables / "route").read_text("ascii")),
        ]
        if (tables / "if_inet6").exists():  # it is not there where IPv6 is off
            found += _all_6((tables / "if_inet6").read_text("ascii"))
    except (OSError, ValueError, IndexError):
        return EVERYTHING
    return tuple(dict.fromkeys(found))


def _own_4(text: str) -> Iterator[Network]:
    for address in _OWN_4.findall(text):
        yield ipaddress.IPv4Network(f"{address}/32")


def _on_link_4(text: str) -> Iterator[Network]:
    """Yield destinations without a gateway but the default one: it says nothing of neighbours."""
    for line in text.splitlines()[1:]:
        cells = line.split()
        flags, mask = int(cells[3], 16), _little(cells[7])
        if flags & _UP and not flags & _GATEWAY and mask != "0.0.0.0":  # noqa: S104  no bind
            yield ipaddress.IPv4Network(f"{_little(cells[1])}/{mask}", strict=False)


def _little(word: str) -> str:
    """Return the address of eight hex digits in this host's order of bytes (little on all that
    have a sandbox).
    """
    return str(ipaddress.IPv4Address(bytes.fromhex(word)[::-1]))


def _all_6(text: str) -> Iterator[Network]:
    for line in text.splitlines():
        cells = line.split()
        length = int(cells[2], 16)
        address = ipaddress.IPv6Address(bytes.fromhex(cells[0]))
        yield ipaddress.IPv6Network((address, length), strict=False)
        yield ipaddress.IPv6Network((address, 128))
