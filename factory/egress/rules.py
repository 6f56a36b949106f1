"""Define the rules of the egress proxy: what a request asks for, which hosts a pack declared, which
addresses are public.

Rule: strict bytes in, one answer out, and what is not plainly right is refused. Nothing here
resolves, dials or waits. Does not know who asks, nor how often.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass

from factory.egress.connection import DEFAULT_PORT, Reason, Target

MOST_REQUEST = 8192  # bytes of a request, its empty line included
MOST_HEADERS = 64  # of a CONNECT, which needs one; clients send a handful

_LABEL = rb"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_NAME = rb"(?=[^:]{1,253}:)" + _LABEL + rb"(?:\." + _LABEL + rb")*"
_TARGET = re.compile(rb"(" + _NAME + rb"):([1-9][0-9]{0,4})")
_REQUEST_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}) ([\x21-\x7e]+) HTTP/1\.([01])")
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\x20-\x7e\t]*)")
_ENDS_IN_NUMBER = re.compile(rb"(?:.*\.)?(?:[0-9]+|0[xX][0-9A-Fa-f]*)")
_SHOWN = re.compile(rb"([0-9A-Za-z._\[\]:-]{1,255}):([0-9]{1,5})")
_PLAIN_LINE = re.compile(rb"([A-Z]{1,32}) http://([0-9A-Za-z.:-]+)(?:/[\x21-\x7e]*)? HTTP/1\.[01]")
_OF_PROXY = frozenset(
    b"connection keep-alive proxy-connection proxy-authorization proxy-authenticate".split()
)
_BODY = frozenset({b"content-length", b"transfer-encoding"})


_UNNAMED = Target("", 0)


class EgressRefusal(Exception):
    """Say why a connection is refused.

    `target` is what was asked for, as far as it may be shown.
    """

    def __init__(self, reason: Reason, target: Target = _UNNAMED, address: str = "") -> None:
        super().__init__(reason.value)
        self.reason, self.target, self.address = reason, target, address


# --- the request


def request_ends(buffered: bytes) -> bool:
    """Return whether a whole request is there. Raise Refusal where none can come any more."""
    end = buffered.find(b"\r\n\r\n")
    if end < 0 and len(buffered) < MOST_REQUEST:
        return False
    if end < 0 or end + 4 > MOST_REQUEST:
        raise EgressRefusal(Reason.TOO_LARGE)
    return True


def target_of(request: bytes) -> Target:
    """Return the target of one CONNECT request, exactly as long as its empty line. Raise
    Refusal.
    """
    head, end, rest = request.partition(b"\r\n\r\n")
    first, *headers = head.split(b"\r\n")
    asked = _REQUEST_LINE.fullmatch(first)
    if asked is None or not end:
        raise EgressRefusal(Reason.MALFORMED)
    if asked[1] != b"CONNECT":
        raise EgressRefusal(Reason.NOT_CONNECT)
    shown = _shown(asked[2])
    named = _TARGET.fullmatch(asked[2])
    if named is None or int(named[2]) > 65535 or _ENDS_IN_NUMBER.fullmatch(named[1]):
        raise EgressRefusal(Reason.NOT_A_HOST, shown)
    target = Target(named[1].decode("ascii").lower(), int(named[2]))
    _judge_headers(headers, target)
    if rest:
        raise EgressRefusal(Reason.PIPELINED, target)
    return target


def plain_target(request: bytes) -> Target | None:
    """Return the target of a request of plain http in absolute form, as a client sends it to a
    proxy; None where it is no such request. Raise Refusal where its headers have no sound form.
    """
    first, *headers = request.partition(b"\r\n\r\n")[0].split(b"\r\n")
    asked = _PLAIN_LINE.fullmatch(first)
    if asked is None:
        return None
    place = asked[2] if b":" in asked[2] else asked[2] + b":80"
    named = _TARGET.fullmatch(place)
    if named is None or int(named[2]) > 65535 or _ENDS_IN_NUMBER.fullmatch(named[1]):
        return None
    target = Target(named[1].decode("ascii").lower(), int(named[2]))
    if len(headers) > MOST_HEADERS:
        raise EgressRefusal(Reason.TOO_LARGE, target)
    for line in headers:
        header = _HEADER.fullmatch(line)
        if header is None:
            raise EgressRefusal(Reason.MALFORMED, target)
        if header[1].lower() == b"host" and header[2].rstrip(b" \t").lower() != asked[2].lower():
            raise EgressRefusal(Reason.HOST_HEADER, target)
    return target


def plain_forwarded(request: bytes) -> bytes:
    """Return a request that has a `plain_target` as its host gets it: in origin form, the last one
    of its connection, since the next could be for another host.
    """
    head, _, rest = request.partition(b"\r\n\r\n")
    first, *headers = head.split(b"\r\n")
    method, address, version = first.split(b" ")
    path = b"/" + address.removeprefix(b"http://").partition(b"/")[2]
    kept = [line for line in headers if line.partition(b":")[0].lower() not in _OF_PROXY]
    lines = (b" ".join((method, path, version)), *kept, b"Connection: close")
    return b"\r\n".join(lines) + b"\r\n\r\n" + rest


def _shown(raw: bytes) -> Target:
    """Return what was asked for, where it is made of characters that are plain in any text."""
    found = _SHOWN.fullmatch(raw)
    return (
        Target(found[1].decode("ascii"), min(int(found[2]), 65535))
        if found is not None
        else _UNNAMED
    )


def _judge_headers(headers: list[bytes], target: Target) -> None:
    if len(headers) > MOST_HEADERS:
        raise EgressRefusal(Reason.TOO_LARGE, target)
    hosts = []
    for line in headers:
        header = _HEADER.fullmatch(line)
        if header is None or header[1].lower() in _BODY:
            raise EgressRefusal(Reason.MALFORMED, target)
        if header[1].lower() == b"host":
            hosts.append(header[2].rstrip(b" \t").decode("ascii").lower())
    if len(hosts) > 1 or not set(hosts) <= {target.host, str(target)}:
        raise EgressRefusal(Reason.HOST_HEADER, target)


# --- hosts that a pack declares


@dataclass(frozen=True, slots=True, order=True)
class HostRule:
    """Allow this host, or (`below`) any host below it, at one port."""

    host: str
    port: int = DEFAULT_PORT
    below: bool = False

    def allows(self, target: Target) -> bool:
        """Return whether this entry names the target: same port, same name or a label boundary
        above it.
        """
        same = target.host.endswith(f".{self.host}") if self.below else target.host == self.host
        return same and target.port == self.port

    def covers(self, other: HostRule) -> bool:
        """Return whether whatever `other` allows is allowed here too."""
        if self.port != other.port:
            return False
        if not self.below:
            return not other.below and self.host == other.host
        return other.host.endswith(f".{self.host}") or (other.below and other.host == self.host)


def rule_of(text: str) -> HostRule:
    """Return the meaning of a sound entry: a name, `*.` before it or not, a port or none."""
    host, _, port = text.lower().partition(":")
    return HostRule(
        host.removeprefix("*."), int(port) if port else DEFAULT_PORT, host.startswith("*.")
    )


def uncovered(hosts: Iterable[str], within: Iterable[str]) -> tuple[str, ...]:
    """Return entries of `hosts` that no entry of `within` covers; `*` means any host."""
    outer = tuple(within)
    if "*" in outer:
        return ()
    rules = tuple(rule_of(text) for text in outer)
    return tuple(
        text
        for text in hosts
        if text == "*" or not any(rule.covers(rule_of(text)) for rule in rules)
    )


def judge_target(hosts: Iterable[str], target: Target) -> None:
    """Raise Refusal unless an entry of `hosts` allows the target; `*` means any host."""
    if not names_target(hosts, target):
        raise EgressRefusal(Reason.NOT_DECLARED, target)


def names_target(hosts: Iterable[str], target: Target) -> bool:
    """Return whether an entry of `hosts` allows the target; `*` means any host."""
    return any(text == "*" or rule_of(text).allows(target) for text in hosts)


# --- addresses

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# What a user may let packs reach by name: this host itself, and the networks of a company.
_PRIVATE = tuple(
    ipaddress.ip_network(text)
    for text in (
        *("10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"),
        # of documents and measurements: laboratories and transparent proxies use them as their own
        *("192.0.2.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"),
        *("::1/128", "fc00::/7", "2001:db8::/32"),
    )
)
# What IANA's registries of special purposes take out of the public space, and what means a
# host's own services.
_NOT_PUBLIC_4 = tuple(
    ipaddress.IPv4Network(text)
    for text in (
        *(
            "0.0.0.0/8",
            "10.0.0.0/8",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "169.254.0.0/16",
            "172.16.0.0/12",
        ),
        *(
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.88.99.0/24",
            "192.168.0.0/16",
            "198.18.0.0/15",
            "198.51.100.0/24",
        ),
        *("203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
        "168.63.129.16/32",  # a cloud's host answers its guests there
    )
)
# Only this is public at all: mapped and translated forms, local, link-local and multicast addresses
# are outside it.
_PUBLIC_6 = ipaddress.IPv6Network("2000::/3")
_NOT_PUBLIC_6 = tuple(
    ipaddress.IPv6Network(text)
    for text in (
        "2001::/23",  # protocol assignments: Teredo, benchmarking, ORCHID
        "2001:db8::/32",
        "2002::/16",  # 6to4 carries an IPv4 address
        "3fff::/20",
    )
)


def is_public(address: str) -> bool:
    """Return whether an address, in its textual form, is one that the whole Internet can reach, and
    no form of another.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv4Address):
        return not any(parsed in block for block in _NOT_PUBLIC_4)
    if parsed.scope_id is not None or parsed not in _PUBLIC_6:
        return False
    return not any(parsed in block for block in _NOT_PUBLIC_6)


def is_near(address: str, near: Iterable[Network]) -> bool:
    """Return True for an address of one of these networks, and for what is no address."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return True
    return any(parsed.version == each.version and parsed in each for each in near)


def is_private(address: str) -> bool:
    """Return whether an address is loopback or of a private network. Link-local ones are not: a
    cloud's metadata service answers there.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    scope = parsed.scope_id if isinstance(parsed, ipaddress.IPv6Address) else None
    return scope is None and is_near(address, _PRIVATE)


def judge_addresses(
    target: Target, addresses: tuple[str, ...], near: tuple[Network, ...], *, private: bool = False
) -> tuple[str, ...]:
    """Return the addresses to dial, in order. One that is not public, or in one of the networks
    `near`, spoils the whole answer; with `private`, those of this host and of private networks
    do not. Raise Refusal.
    """
    if not addresses:
        raise EgressRefusal(Reason.NO_ADDRESS, target)
    for address in addresses:
        if private and (is_public(address) or is_private(address)):
            continue
        if not is_public(address):
            raise EgressRefusal(Reason.NOT_PUBLIC, target, address)
        if is_near(address, near):
            raise EgressRefusal(Reason.NEAR, target, address)
    return tuple(dict.fromkeys(addresses))
