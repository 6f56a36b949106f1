"""Which addresses are denials, how they are gathered, and what is said to allow each."""

from __future__ import annotations

from dataclasses import replace

import pytest

from factory.egress.connection import Connection, Reason
from factory.judge.denials import (
    NEVER,
    denied,
    egress_cut,
    egress_refused,
    refused,
    remedy_of,
    rule_words,
)
from factory.model.command_kind import CommandKind
from factory.model.denial import MOST, DenialRecord, DeniedDocument
from factory.model.egress_record import ConnectionRecord, record_of
from factory.model.finding import Finding
from factory.model.pack import Command, Constraints, Limits, Network
from factory.redact.redaction import Redactor
from factory.sandbox.values import ConnectAttempt
from tests.pack_values import pack

PLAIN = Redactor()
PACK = pack()
NETWORKED = pack(constraints=Constraints(network=Network(hosts=("a.example",))))


def gathered(*tried: ConnectAttempt, findings: tuple[Finding, ...] = ()) -> DeniedDocument | None:
    return denied("T-1", [("step-1", tried)], findings, PLAIN)


def row(tried: ConnectAttempt) -> DenialRecord | None:
    found = gathered(tried)
    return found.denials[0] if found is not None else None


@pytest.mark.parametrize(
    "tried",
    [
        ConnectAttempt("connect", "inet", "127.0.0.1", 8080, 3),
        ConnectAttempt("connect", "inet", "0.0.0.0", 8080, 1),
        ConnectAttempt("connect", "inet6", "::1", 443, 1),
        ConnectAttempt("connect", "inet6", "::ffff:127.0.0.1", 443, 1),
        ConnectAttempt("connect", "unix", "/tmp/own.sock", 0, 1),
        ConnectAttempt("connect", "unix", "/workspace/own.sock", 0, 1),
        ConnectAttempt("connect", "unix", "own.sock", 0, 1),
        ConnectAttempt("connect", "unix", "", 0, 1),
        ConnectAttempt("connect", "unix", "/var/run/nscd/socket", 0, 1),
        ConnectAttempt("connect", "abstract", "own", 0, 1),
        ConnectAttempt("connect", "family 16", "", 0, 1),
        ConnectAttempt("connect", "family 0", "", 0, 1),
    ],
    ids=lambda tried: f"{tried.family} {tried.address}",
)
def test_what_only_a_packs_own_processes_can_answer_is_no_denial(tried: ConnectAttempt) -> None:
    assert gathered(tried) is None


@pytest.mark.parametrize(
    ("tried", "what", "rule"),
    [
        (
            ConnectAttempt("connect", "inet", "203.0.113.9", 443, 2),
            "203.0.113.9:443",
            "net_isolated",
        ),
        (ConnectAttempt("send", "inet", "8.8.8.8", 53, 1), "8.8.8.8:53", "net_isolated"),
        (
            ConnectAttempt("connect", "inet6", "2001:db8::1", 80, 1),
            "[2001:db8::1]:80",
            "net_isolated",
        ),
        (ConnectAttempt("connect", "inet6", "::ffff:8.8.8.8", 80, 1), "8.8.8.8:80", "net_isolated"),
        (
            ConnectAttempt("connect", "inet", "127.0.0.1", 53, 1),
            "a name, asked of a resolver",
            "net_isolated",
        ),
        (
            ConnectAttempt("connect", "unix", "/var/run/docker.sock", 0, 1),
            "/var/run/docker.sock",
            "authority_sockets_hidden",
        ),
        (
            ConnectAttempt("connect", "unix", "/tmp/.X11-unix/X0", 0, 1),
            "/tmp/.X11-unix/X0",
            "authority_sockets_hidden",
        ),
        (
            ConnectAttempt("connect", "abstract", "/tmp/dbus-x", 0, 1),
            "@/tmp/dbus-x",
            "authority_sockets_hidden",
        ),
    ],
)
def test_everything_else_is_one(tried: ConnectAttempt, what: str, rule: str) -> None:
    found = row(tried)
    assert found is not None
    assert (found.what, found.rule, found.count, found.during) == (
        what,
        rule,
        tried.count,
        ("step-1",),
    )


def test_the_same_is_counted_and_too_much_is_counted_together() -> None:
    one = ConnectAttempt("connect", "inet", "203.0.113.9", 443, 2)
    many = tuple(
        ConnectAttempt("connect", "inet", "203.0.113.9", port, 1) for port in range(1, 300)
    )
    found = denied(
        "T-1",
        [("step-1", (one, ConnectAttempt("", "", "", 0, 7))), ("tests-1", (one, *many))],
        (),
        PLAIN,
    )
    assert found is not None
    first = found.denials[0]
    assert (first.count, first.during) == (4, ("step-1", "tests-1"))
    assert len(found.denials) == MOST
    assert sum(each.count for each in found.denials) + found.more == 4 + 299 + 7


def test_findings_that_deny_are_rows_and_others_are_not() -> None:
    findings = tuple(
        Finding(name, {"case": "file", "path": "a"}, pack="T-1")
        for name in (
            "SCOPE_OUTSIDE_ALLOWED",
            "LIMIT_TIME",
            "SECRET_IN_CHANGE",
            "CHANGE_TOO_LARGE",
            "CHECK_FAILED",
            "ARTIFACT_MISSING",
        )
    )
    found = gathered(findings=findings)
    assert found is not None
    assert [(each.tried, each.rule) for each in found.denials] == [
        ("change", "SCOPE_OUTSIDE_ALLOWED"),
        ("exceed", "LIMIT_TIME"),
        ("carry", "SECRET_IN_CHANGE"),
        ("exceed", "CHANGE_TOO_LARGE"),
    ]
    assert {each.facts["path"] for each in found.denials} == {"a"}


def test_where_nothing_could_be_seen_it_is_said() -> None:
    found = denied("T-1", [("step-1", None)], (), PLAIN)
    assert found is not None
    assert found.observed == ()
    assert gathered() is None


def test_what_a_pack_wrote_is_inert_and_carries_no_credential() -> None:
    found = denied(
        "T-1",
        [("step-1", (ConnectAttempt("connect", "unix", "/run/hunter2-secret\x1b[31m", 0, 1),))],
        (),
        Redactor([("DEPLOY_TOKEN", b"hunter2-secret")]),
    )
    assert found is not None
    assert "hunter2" not in found.denials[0].what
    assert found.denials[0].what.isprintable()


def test_remedies_grant_hosts_by_name_and_never_an_address() -> None:
    public, private = (
        row(ConnectAttempt("connect", "inet", a, 443, 1)) for a in ("8.8.8.8", "169.254.169.254")
    )
    name = row(ConnectAttempt("connect", "inet", "127.0.0.1", 53, 1))
    bus = row(ConnectAttempt("connect", "unix", "/run/dbus/system_bus_socket", 0, 1))
    assert public is not None and private is not None and name is not None and bus is not None  # noqa: PT018
    assert remedy_of(PACK, public).startswith("no address can be allowed, only its host by name")
    assert remedy_of(PACK, private) == NEVER
    assert remedy_of(PACK, bus) == NEVER
    assert 'constraints: {allow_network: ["a.example", "…"]}' in remedy_of(NETWORKED, name)
    assert rule_words(PACK, public) == "constraints.allow_network is false"
    assert "HTTPS_PROXY" in rule_words(NETWORKED, public)


def connection(host: str, port: int, reason: Reason) -> ConnectionRecord:
    return record_of(Connection(1, host, port, "", reason, 0, 0, 1), 1, "steps", 1)


def test_acceptance_without_the_network_of_steps_is_named() -> None:
    one = DenialRecord(
        tried="look-up", what="a name", rule="net_isolated", count=1, during=("tests-1",), facts={}
    )
    command = Command("tests-1", CommandKind.TESTS, "tests-1", "true")
    split = replace(NETWORKED, acceptance=(command,))
    assert "acceptance has no network" in rule_words(split, one)
    assert remedy_of(split, one) == "allow it with: allow_network: true in acceptance.yml"
    both = replace(split, acceptance_network=True)
    assert "HTTPS_PROXY" in rule_words(both, one)
    mixed = one.model_copy(update={"during": ("step-1", "tests-1")})
    assert "HTTPS_PROXY" in rule_words(split, mixed)


def test_what_the_proxy_refused_is_allowed_by_naming_the_host_where_that_was_why() -> None:
    assert (
        egress_refused(PACK, connection("b.example", 443, Reason.NOT_DECLARED)).remedy
        == 'allow it with: constraints: {allow_network: ["b.example"]}, and grant the host'
        " with: factory grant"
    )
    assert (
        '"b.example:8443"'
        in egress_refused(NETWORKED, connection("b.example", 8443, Reason.NOT_DECLARED)).remedy
    )
    private = egress_refused(PACK, connection("b.example", 443, Reason.NOT_PUBLIC)).remedy
    assert private.endswith("your own configuration can: [network] private")
    other = egress_refused(PACK, connection("b.example", 443, Reason.NOT_TLS)).remedy
    assert other.startswith("nothing in the contract can allow it; ")
    assert egress_cut(PACK, connection("b.example", 443, Reason.DONE), Limits()) is None
    for reason, key, more in (
        (Reason.IDLE, "idle", 240),
        (Reason.TOO_MANY, "connections", 1024),
        (Reason.BYTES_UP, "upload", 1 << 29),
        (Reason.BYTES_DOWN, "download", 1 << 33),
    ):
        cut = egress_cut(PACK, connection("b.example", 443, reason), Limits())
        assert cut is not None
        assert (cut.id, cut.blocks) == ("EGRESS_CUT", False)
        assert f"raise limits.{key} to {more}." in cut.hint
    assert refused(connection("b.example", 443, Reason.NOT_DECLARED))
    assert refused(connection("b.example", 443, Reason.BYTES_UP))
    assert not refused(connection("b.example", 443, Reason.DONE))
    assert not refused(connection("b.example", 443, Reason.UNREACHABLE))
