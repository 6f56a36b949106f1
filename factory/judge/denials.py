"""Decide which of the things that a pack tried were denied, by which rule, and what would allow
each.

Rule: an address that only the sandbox's own processes can listen on is no denial; every other one
is, since nothing else can be reached. What is not known to be allowable is never said to be. Pure.
Decides nothing about a pack.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Literal

from factory.egress.connection import DEFAULT_PORT, SENTENCES, Reason, Verdict
from factory.judge.path_guard import display
from factory.model.denial import MOST, DenialRecord, DeniedDocument
from factory.model.egress_record import ConnectionRecord
from factory.model.evidence_text import finding_record
from factory.model.finding import Finding
from factory.model.findings.entry import Fact, Facts
from factory.model.pack import Limits, TaskPack
from factory.redact.redaction import Redactor
from factory.sandbox.properties import Property
from factory.sandbox.values import ConnectAttempt

NEVER = "never granted; nothing in the contract can allow it"
_NETWORK, _SOCKETS = Property.NET_ISOLATED.value, Property.AUTHORITY_SOCKETS_HIDDEN.value
_DNS = 53
_A_NAME = "a name, asked of a resolver"
# Where a pack's own processes make sockets, and what libraries knock at without anybody's wish.
_OWN = ("/tmp/", "/workspace/", "/home/pack/", "/dev/shm/")
_BY_THE_WAY = frozenset(
    {"/var/run/nscd/socket", "/run/nscd/socket", "/dev/log", "/run/systemd/journal/socket"}
)
_OF_THE_HOST = ("/run/", "/var/run/", "/tmp/.X11-unix/", "/tmp/dbus-", "/tmp/.ICE-unix/")

_Try = Literal["connect", "send", "look-up", "exceed", "change", "carry"]
_BY_FINDING: Mapping[str, _Try] = MappingProxyType(
    {"LIMIT": "exceed", "CHANGE": "exceed", "SCOPE": "change", "PATH": "change", "FILE": "change",
    "LINK": "change",
     "TREE": "change", "SUBMODULE": "change", "INPUT": "change", "ARTIFACT": "carry",
     "SECRET": "carry"}
)  # fmt: skip


def denied(
    pack: str,
    commands: Iterable[tuple[str, tuple[ConnectAttempt, ...] | None]],
    findings: Iterable[Finding],
    redactor: Redactor,
) -> DeniedDocument | None:
    """Return the record of a pack: what each command tried, by its label, and what was found.

    None where it would be empty.
    """
    rows: dict[tuple[_Try, str, str], tuple[int, tuple[str, ...]]] = {}
    facts: dict[tuple[_Try, str, str], Facts] = {}
    seen, more = True, 0

    def add(row: tuple[_Try, str, str], count: int, label: str) -> None:
        nonlocal more
        before, during = rows.get(row, (0, ()))
        if not before and len(rows) >= MOST:
            more += count
            return
        rows[row] = (before + count, during if not label or label in during else (*during, label))

    for label, tried in commands:
        seen = seen and tried is not None
        for each in tried or ():
            what = _denied(replace(each, address=_without_credentials(redactor, each.address)))
            if what is not None:
                add(what, each.count, label)
            elif not each.family:
                more += each.count
    for finding in findings:
        kind = _BY_FINDING.get(finding.id.partition("_")[0])
        if finding.blocks and kind is not None and finding.id != "ARTIFACT_MISSING":
            record = finding_record(finding)
            row = (kind, record.message, finding.id)
            add(row, 1, "")
            facts[row] = record.facts
    if seen and not rows and not more:
        return None
    records = tuple(
        DenialRecord(
            tried=tried,
            what=what,
            rule=rule,
            count=count,
            during=during,
            facts=dict(facts.get((tried, what, rule), {})),
        )
        for (tried, what, rule), (count, during) in rows.items()
    )
    return DeniedDocument(
        pack=pack, observed=("network",) if seen else (), denials=records, more=more
    )


def _denied(tried: ConnectAttempt) -> tuple[_Try, str, str] | None:
    """Return how an address was tried, what of it was denied, and by which rule; None where nothing
    was, or it is unknown.
    """
    call: _Try = "send" if tried.call == "send" else "connect"
    if tried.family in ("inet", "inet6"):
        address = _plain(tried.address)
        if not (address.is_loopback or address.is_unspecified):
            return call, _place(address, tried.port), _NETWORK
        return ("look-up", _A_NAME, _NETWORK) if tried.port == _DNS else None
    place = tried.address
    if tried.family == "unix" and (not place.startswith("/") or place in _BY_THE_WAY):
        return None
    if tried.family == "unix" and not place.startswith(_OWN):
        return call, display(place), _SOCKETS
    if tried.family in ("unix", "abstract") and place.startswith(_OF_THE_HOST):
        return call, display(place if tried.family == "unix" else f"@{place}"), _SOCKETS
    return None


def _without_credentials(redactor: Redactor, text: str) -> str:
    return redactor.redact(text.encode("utf-8")).content.decode("utf-8", "replace")


def _plain(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    found = ipaddress.ip_address(address)
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found


def _place(address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int) -> str:
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"


def is_observed(denial: DenialRecord) -> bool:
    """Return whether the host saw the attempt; a denial can also be judged from what was left."""
    return denial.rule in (_NETWORK, _SOCKETS)


def rule_words(pack: TaskPack, denial: DenialRecord) -> str:
    """Return the rule under which something observed was denied, as one clause."""
    if denial.rule == _SOCKETS:
        return "sockets of the host are never shown"
    if _of_acceptance(pack, denial):
        return "acceptance has no network: acceptance.yml does not say allow_network: true"
    if pack.constraints.network.declared:
        return "nothing is reached but through the proxy that HTTPS_PROXY names"
    return "constraints.allow_network is false"


def remedy_of(pack: TaskPack, denial: DenialRecord) -> str:
    """Return the smallest change of the contract that would allow what was observed, or that none
    can.
    """
    if denial.rule == _SOCKETS:
        return NEVER
    if _of_acceptance(pack, denial):
        return "allow it with: allow_network: true in acceptance.yml"
    if denial.tried == "look-up":
        return (
            f"allow it with: {_network(pack, '…')}, the host's name for …; the proxy then looks"
            " it up"
        )
    address = ipaddress.ip_address(denial.what.rpartition(":")[0].strip("[]"))
    if not address.is_global or address.is_multicast:
        return NEVER
    return (
        "no address can be allowed, only its host by name, through the proxy:"
        f" {_network(pack, '…')}"
    )


def _of_acceptance(pack: TaskPack, denial: DenialRecord) -> bool:
    """Return whether only commands of acceptance tried it, which have not the network of steps."""
    if not pack.constraints.network.declared or pack.acceptance_network:
        return False
    return set(denial.during) <= {command.label for command in pack.acceptance}


def refused(record: ConnectionRecord) -> bool:
    """Return whether the proxy denied a connection or cut it; one that reached nobody was not
    denied.
    """
    return record.verdict in (Verdict.REFUSED.value, Verdict.CUT.value)


def rule_of(record: ConnectionRecord) -> str:
    """Return why the proxy refused a connection, one clause."""
    return SENTENCES[Reason(record.reason)]


_BOUNDS: Mapping[str, str] = MappingProxyType(
    {
        Reason.IDLE.value: "idle",
        Reason.TOO_MANY.value: "connections",
        Reason.BYTES_UP.value: "upload",
        Reason.BYTES_DOWN.value: "download",
    }
)


def egress_cut(pack: TaskPack, record: ConnectionRecord, limits: Limits) -> Finding | None:
    """Return the finding over a connection that a bound of the contract ended; None for another."""
    key = _BOUNDS.get(record.reason)
    if key is None:
        return None
    bound: int = getattr(limits, key)
    target = f"{record.host}:{record.port}" if record.host else "a target without a plain name"
    facts: dict[str, Fact] = {"case": key, "target": target, "bound": bound, "more": 2 * bound}
    return Finding("EGRESS_CUT", facts, pack=pack.id, location=pack.place(f"/limits/{key}"))


def egress_refused(pack: TaskPack, record: ConnectionRecord) -> Finding:
    """Return the finding over a connection that the egress proxy refused."""
    known = f"{record.host}:{record.port}" if record.host else "a target without a plain name"
    facts: dict[str, Fact] = {"case": "other", "target": known, "why": rule_of(record)}
    if record.reason in (Reason.NOT_PUBLIC.value, Reason.NEAR.value):
        facts["case"] = "never"
    elif record.reason == Reason.NOT_DECLARED.value and record.host:
        name = record.host if record.port == DEFAULT_PORT else known
        allow = tuple(dict.fromkeys((*pack.constraints.network.shown, name)))
        facts |= {"case": "declare", "add": name, "allow": allow}
    place = pack.place("/constraints/allow_network")
    return Finding("EGRESS_REFUSED", facts, pack=pack.id, location=place)


def _network(pack: TaskPack, host: str) -> str:
    hosts = (*pack.constraints.network.hosts, host)
    listed = ", ".join(json.dumps(each, ensure_ascii=False) for each in dict.fromkeys(hosts))
    return f"constraints: {{allow_network: [{listed}]}}"
