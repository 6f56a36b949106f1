"""Check EGRESS.json against the run's events, the contract, the policy and the rules.

Nothing that came over the network can be derived again. What can be checked is that the record is
the one made then, that the contract names the target of each connection that reached it, and that
its address is public.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Mapping

from factory.verify import paths
from factory.verify.bundle import Bundle
from factory.verify.connections import OTHERS, ConnectionRow, Egress
from factory.verify.documents import Policy, ScopeLock
from factory.verify.events import RunEvents
from factory.verify.folder import EvidenceFolder
from factory.verify.form import FormError, canonical, plain, read
from factory.verify.names import spell
from factory.verify.results import Results
from factory.verify.verdict import EXIT_CODES

_EVENT = "egress.finished"
_REACHED = ("allowed", "cut")


def check_egress(
    results: Results,
    run: EvidenceFolder,
    bundles: Mapping[str, Bundle],
    own: RunEvents,
    policy: Policy | None,
) -> None:
    """Check every record of the run, and report every missing one."""
    there = {
        path.split("/")[1]
        for path in run.sizes
        if path.startswith("raw/") and path.endswith(f"/{paths.EGRESS}")
    }
    ran = {event.details.get("pack", "") for event in own.of("pack.finished")}
    tried = {event.details.get("pack", "") for event in own.of(_EVENT)}
    for pack, bundle in sorted(bundles.items()):
        declared = _declared(bundle.lock)
        if policy is not None and bundle.status.status == "PASS":
            _inside(results, pack, bundle.lock, policy)
        if declared and pack in ran and pack not in there:
            results.wrong(
                "VERIFY_MISSING",
                f"raw/{pack}/{paths.EGRESS}",
                "expected its record, found none",
                pack,
            )
        if not declared and (pack in there or pack in tried):
            what = f"expected no connection of {pack}, which declares no network, found some"
            results.wrong("VERIFY_EGRESS", f"raw/{pack}/{paths.EGRESS}", what, pack)
    for pack in sorted(there):
        _Record(results, run, pack, policy).check(bundles.get(pack), own)
    for pack in sorted(tried - there):
        results.wrong(
            "VERIFY_MISSING",
            f"raw/{pack}/{paths.EGRESS}",
            "expected the record that events name, found none",
            pack,
        )


def _declared(lock: ScopeLock) -> tuple[str, ...]:
    return ("*",) if lock.network_any else lock.network


def _inside(results: Results, pack: str, lock: ScopeLock, policy: Policy) -> None:
    """Report hosts that a pack that passed declares beyond what the policy allows."""
    granted = [row for row in policy.grants if row.pack in ("", pack)]
    named = {row.thing for row in granted if row.kind in ("host", "any-host")}
    within = policy.network_within
    beyond = [
        each
        for each in _declared(lock)
        if not (each in named or any(_wider(outer, each) for outer in policy.network_hosts))
        or not (within is None or any(_wider(outer, each) for outer in within))
    ]
    place = paths.POLICY
    results.differs(
        "VERIFY_EGRESS",
        place,
        f"hosts of {pack} that the policy does not allow",
        "",
        ", ".join(beyond),
        pack,
    )
    if lock.network_any and not policy.network_allow_any and "*" not in named:
        what = f"whether the user consented to any public host for {pack}"
        results.differs("VERIFY_EGRESS", place, what, True, False, pack)


class _Record:
    """Check one EGRESS.json."""

    def __init__(
        self, results: Results, run: EvidenceFolder, pack: str, policy: Policy | None
    ) -> None:
        self.results = results
        self.run = run
        self.pack = pack
        self.private = policy.network_private if policy is not None else ()
        self.upstream = policy.network_upstream if policy is not None else ""
        self.file = f"raw/{pack}/{paths.EGRESS}"

    def differs(self, what: str, expected: object, found: object) -> None:
        self.results.differs("VERIFY_EGRESS", self.file, what, expected, found, self.pack)

    def check(self, bundle: Bundle | None, own: RunEvents) -> None:
        try:
            record = read(Egress, self.run.read(self.file) or b"")
        except FormError as error:
            self.results.wrong("VERIFY_FORM", self.file, str(error), self.pack)
            return
        self.differs("its pack", self.pack, record.pack)
        if bundle is not None:
            self.differs("what its contract declares", _declared(bundle.lock), record.network)
        numbers = [row.number for row in record.connections]
        self.differs("its connections, counted", list(range(1, len(numbers) + 1)), numbers)
        self._against_events(record, own)
        for row in record.connections:
            self.differs(
                f"what {row.reason} of connection {row.number} means",
                _meaning(row.reason),
                row.verdict,
            )
            if row.verdict in _REACHED:
                self._reached(row, record.network)
            if bundle is not None and row.during != "steps":
                self._of_acceptance(row, bundle.lock)

    def _against_events(self, record: Egress, own: RunEvents) -> None:
        due = [_digest(row) for row in record.connections]
        found = [event.hashes.get("record", "") for event in own.of(_EVENT, self.pack)]
        self.differs("digests of its connections, by the events of the run", found, due)
        for row, event in zip(record.connections, own.of(_EVENT, self.pack), strict=False):
            counts = {
                "bytes_up": row.bytes_up,
                "bytes_down": row.bytes_down,
                "requests": len(row.requests),
            }
            rows: tuple[tuple[str, object, object], ...] = (
                ("what it was", _described(self.pack, row), dict(event.details)),
                ("its counts", counts, dict(event.file_counts)),
                ("its milliseconds", row.duration_ms, event.duration_ms),
                ("its rc", EXIT_CODES["PASS" if row.verdict == "allowed" else "BLOCKED"], event.rc),
            )
            for what, due_now, told_now in rows:
                self.differs(f"connection {row.number}, {what}", due_now, told_now)

    def _of_acceptance(self, row: ConnectionRow, lock: ScopeLock) -> None:
        what = f"whether connection {row.number}, of acceptance, could be"
        self.differs(what, lock.acceptance_network, True)
        if not lock.acceptance_cloud:
            what = f"requests of connection {row.number}, of acceptance, with a credential"
            self.differs(what, 0, len(row.requests))

    def _reached(self, row: ConnectionRow, network: tuple[str, ...]) -> None:
        where = f"connection {row.number}, which was {row.verdict}"
        if not any(_names(each, row.host, row.port) for each in network):
            found = f"{spell(row.host)}:{row.port}"
            self.differs(f"{where}: its target", f"one of {', '.join(network) or 'no host'}", found)
        by_name = any(_names(each, row.host, row.port) for each in network if each != "*")
        private = by_name and any(_names(each, row.host, row.port) for each in self.private)
        if row.via:
            self.differs(f"{where}: the proxy that it went by", self.upstream, row.via)
            self.differs(f"{where}: whether its host may be private", False, private)
        elif private:
            if not (_is_public(row.address) or _is_private(row.address)):
                self.differs(f"{where}: its address", "a private or public one", spell(row.address))
        elif not _is_public(row.address):
            self.differs(f"{where}: its address", "a public one", spell(row.address))
        elif self.upstream:
            self.differs(f"{where}: the proxy that it went by", self.upstream, row.via)


def _described(pack: str, row: ConnectionRow) -> dict[str, str]:
    """Return a connection's details as its event must record them."""
    place = {"host": row.host, "port": str(row.port), "address": row.address}
    ended = {"verdict": row.verdict, "reason": row.reason}
    when = {"attempt": str(row.attempt), "during": row.during, "connection": str(row.number)}
    return {"pack": pack, **when, **place, **ended}


def _meaning(reason: str) -> str:
    return OTHERS.get(reason, "refused")


def _digest(row: ConnectionRow) -> str:
    return hashlib.sha256(canonical(plain(row))).hexdigest()


def _split(entry: str) -> tuple[str, str]:
    name, _, port = entry.partition(":")
    return name, port or "443"


def _names(entry: str, host: str, port: int) -> bool:
    """Return True if a declared entry names a target."""
    if entry == "*":
        return True
    name, declared = _split(entry)
    if declared != str(port):
        return False
    return host == name if not name.startswith("*.") else host.endswith(name[1:])


def _wider(outer: str, inner: str) -> bool:
    """Return True if a policy's entry covers all of a pack's entry."""
    if outer in ("*", inner):
        return True
    (wide, port), (narrow, declared) = _split(outer), _split(inner)
    if port != declared or inner == "*":
        return False
    return wide == narrow or (wide.startswith("*.") and narrow.removeprefix("*").endswith(wide[1:]))


_THIS = "0.0.0.0"  # noqa: S104  the first of a block; nothing is bound to it
# First and last address of what is not public: the special purposes that IANA lists, and a cloud's
# own address.
_CLOSED = tuple(
    (ipaddress.IPv4Address(first), ipaddress.IPv4Address(last))
    for first, last in (
        *(
            (_THIS, "0.255.255.255"),
            ("10.0.0.0", "10.255.255.255"),
            ("100.64.0.0", "100.127.255.255"),
        ),
        *(
            ("127.0.0.0", "127.255.255.255"),
            ("168.63.129.16", "168.63.129.16"),
            ("169.254.0.0", "169.254.255.255"),
        ),
        *(
            ("172.16.0.0", "172.31.255.255"),
            ("192.0.0.0", "192.0.0.255"),
            ("192.0.2.0", "192.0.2.255"),
        ),
        *(
            ("192.88.99.0", "192.88.99.255"),
            ("192.168.0.0", "192.168.255.255"),
            ("198.18.0.0", "198.19.255.255"),
        ),
        *(
            ("198.51.100.0", "198.51.100.255"),
            ("203.0.113.0", "203.0.113.255"),
            ("224.0.0.0", "255.255.255.255"),
        ),
    )
)


# First and last address of this host itself and of private networks, which a user may consent to.
_OWN = tuple(
    (ipaddress.ip_address(first), ipaddress.ip_address(last))
    for first, last in (
        ("10.0.0.0", "10.255.255.255"),
        ("100.64.0.0", "100.127.255.255"),
        ("127.0.0.0", "127.255.255.255"),
        ("172.16.0.0", "172.31.255.255"),
        ("192.0.2.0", "192.0.2.255"),
        ("192.168.0.0", "192.168.255.255"),
        ("198.18.0.0", "198.19.255.255"),
        ("198.51.100.0", "198.51.100.255"),
        ("203.0.113.0", "203.0.113.255"),
        ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("::1", "::1"),
        ("fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    )
)


def _is_private(address: str) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.scope_id is not None:
        return False
    return any(
        first.version == parsed.version and int(first) <= int(parsed) <= int(last)
        for first, last in _OWN
    )


def _is_public(address: str) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv4Address):
        return not any(first <= parsed <= last for first, last in _CLOSED)
    words = int(parsed) >> 96, int(parsed) >> 112
    special = (
        words[0] >> 9 == 0x20010000 >> 9
        or words[0] == 0x20010DB8
        or words[1] == 0x2002
        or words[0] >> 12 == 0x3FFF0
    )
    return parsed.scope_id is None and words[1] >> 13 == 1 and not special
