"""The rules of the egress proxy: strict requests, declared hosts, public addresses."""

from __future__ import annotations

import ipaddress
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.egress import connection as nouns
from factory.egress import rules as egress
from factory.egress.connection import Reason, Target, Verdict
from factory.egress.rules import EgressRefusal
from factory.model import forms


def asked(line: bytes, *headers: bytes, rest: bytes = b"") -> bytes:
    return b"\r\n".join((line, *headers, b"", b"")) + rest


def why(request: bytes) -> Reason:
    with pytest.raises(EgressRefusal) as refused:
        egress.target_of(request)
    return refused.value.reason


# ── the request ──────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("line", "headers"),
    [
        (b"CONNECT example.org:443 HTTP/1.1", (b"Host: example.org:443", b"User-Agent: git/2.39")),
        (b"CONNECT example.org:443 HTTP/1.0", ()),
        (
            b"CONNECT EXAMPLE.org:443 HTTP/1.1",
            (b"host:Example.ORG \t", b"Proxy-Connection: Keep-Alive"),
        ),
        (b"CONNECT example.org:443 HTTP/1.1", (b"X-Empty:",)),
    ],
)
def test_what_programs_send_is_understood(line: bytes, headers: tuple[bytes, ...]) -> None:
    assert egress.target_of(asked(line, *headers)) == Target("example.org", 443)


@pytest.mark.parametrize(
    "host",
    [
        *(
            "127.0.0.1",
            "2130706433",
            "0x7f000001",
            "0177.0.0.1",
            "127.1",
            "[::1]",
            "::1",
            "169.254.169.254",
        ),
        *(
            "example.org.",
            "user@example.org",
            "example..org",
            "-a.org",
            "a_b.org",
            "a%00.org",
            "exämple.org",
        ),
        *("*.example.org", "", "a" * 64 + ".org", ".".join(["a" * 60] * 5), "example.0x1f", "a.1"),
    ],
)
def test_a_host_that_is_no_plain_name_is_refused(host: str) -> None:
    assert why(asked(f"CONNECT {host}:443 HTTP/1.1".encode())) in (
        Reason.NOT_A_HOST,
        Reason.MALFORMED,
    )


@pytest.mark.parametrize(
    "port", ["", ":", ":0", ":65536", ":080", ":443a", ":-1", ":443:443", ":١"]
)
def test_a_port_that_is_none_is_refused(port: str) -> None:
    assert why(asked(f"CONNECT example.org{port} HTTP/1.1".encode())) in (
        Reason.NOT_A_HOST,
        Reason.MALFORMED,
    )


@pytest.mark.parametrize("method", [b"GET", b"POST", b"connect", b"OPTIONS"])
def test_only_connect_is_served(method: bytes) -> None:
    assert (
        why(asked(method + b" http://example.org/ HTTP/1.1", b"Host: example.org"))
        is Reason.NOT_CONNECT
    )


@pytest.mark.parametrize(
    "request_",
    [
        asked(b"CONNECT  example.org:443 HTTP/1.1"),
        asked(b"CONNECT example.org:443 HTTP/2"),
        asked(b"CONNECT example.org:443"),
        asked(b" CONNECT example.org:443 HTTP/1.1"),
        asked(b"CONNECT example.org:443 HTTP/1.1\nHost: other.org"),
        asked(b"CONNECT example.org:443 HTTP/1.1", b" folded: x"),
        asked(b"CONNECT example.org:443 HTTP/1.1", b"Host : example.org"),
        asked(b"CONNECT example.org:443 HTTP/1.1", b"A: b\rC: d"),
        asked(b"CONNECT example.org:443 HTTP/1.1", b"A: b\nHost: other.org"),
        asked(b"CONNECT example.org:443 HTTP/1.1", b"A: \0"),
        asked(b"CONNECT example.org:443 HTTP/1.1", b"A: \xc3\xa4"),
        asked(b"CONNECT example.org:443 HTTP/1.1", b"no colon"),
        asked(b"CONNECT example.org:443 HTTP/1.1", b"Content-Length: 4"),
        asked(b"CONNECT example.org:443 HTTP/1.1", b"Transfer-Encoding: chunked"),
        b"CONNECT example.org:443 HTTP/1.1\r\n",
        b"\x16\x03\x01\r\n\r\n",
        b"",
    ],
)
def test_anything_beside_the_strict_form_is_refused(request_: bytes) -> None:
    assert why(request_) is Reason.MALFORMED


@pytest.mark.parametrize(
    "value", [b"other.org", b"example.org:8443", b"example.org, other.org", b"", b"example.org."]
)
def test_a_host_header_that_names_another_target_is_refused(value: bytes) -> None:
    assert why(asked(b"CONNECT example.org:443 HTTP/1.1", b"Host: " + value)) is Reason.HOST_HEADER


def test_two_host_headers_are_refused_even_when_equal() -> None:
    header = b"Host: example.org"
    assert why(asked(b"CONNECT example.org:443 HTTP/1.1", header, header)) is Reason.HOST_HEADER


def test_a_second_request_behind_the_first_is_refused() -> None:
    second = asked(b"CONNECT other.org:443 HTTP/1.1")
    assert why(asked(b"CONNECT example.org:443 HTTP/1.1", rest=second)) is Reason.PIPELINED


def test_too_many_headers_and_too_many_bytes_are_refused() -> None:
    headers = [b"A: b"] * (egress.MOST_HEADERS + 1)
    assert why(asked(b"CONNECT example.org:443 HTTP/1.1", *headers)) is Reason.TOO_LARGE
    for buffered in (b"x" * egress.MOST_REQUEST, b"x" * (egress.MOST_REQUEST - 3) + b"\r\n\r\n"):
        with pytest.raises(EgressRefusal) as refused:
            egress.request_ends(buffered)
        assert refused.value.reason is Reason.TOO_LARGE
    assert egress.request_ends(b"x" * (egress.MOST_REQUEST - 4) + b"\r\n\r\n")
    assert not egress.request_ends(b"x" * (egress.MOST_REQUEST - 1))


def test_a_refusal_shows_what_was_asked_for_only_in_plain_signs() -> None:
    for target, shown in (
        (b"169.254.169.254:80", Target("169.254.169.254", 80)),
        (b"[::1]:99999", Target("[::1]", 65535)),
        (b"a<b>:1", Target("", 0)),
        (b"exa\xffmple.org:1", Target("", 0)),
    ):
        with pytest.raises(EgressRefusal) as refused:
            egress.target_of(asked(b"CONNECT " + target + b" HTTP/1.1"))
        assert refused.value.target == shown


@given(
    st.binary(max_size=200) | st.text("CONET exampl.rg:43HTP/1\r\n@[]", max_size=60).map(str.encode)
)
def test_any_bytes_are_refused_or_name_a_target_that_a_contract_could_declare(
    content: bytes,
) -> None:
    try:
        target = egress.target_of(content)
    except EgressRefusal:
        return
    assert forms.problem_with_host(str(target)) == ""
    assert content.startswith(b"CONNECT ")
    assert re.fullmatch(r"[a-z0-9.-]+", target.host)


# ── hosts that a pack declares ───────────────────────────────────────────────

LABELS = st.sampled_from(["a", "b", "aa", "example", "org", "xexample"])
NAMES = st.lists(LABELS, min_size=2, max_size=4).map(".".join)
PORTS = st.sampled_from(["", ":443", ":8443"])
RULES = st.builds(
    lambda star, name, port: star + name + port, st.sampled_from(["", "*."]), NAMES, PORTS
)
TARGETS = st.builds(Target, NAMES, st.sampled_from([443, 8443, 80]))


@pytest.mark.parametrize(
    ("declared", "target", "allowed"),
    [
        ("example.org", Target("example.org", 443), True),
        ("example.org", Target("example.org", 80), False),
        ("example.org:8443", Target("example.org", 8443), True),
        ("example.org:8443", Target("example.org", 443), False),
        ("example.org", Target("www.example.org", 443), False),
        ("*.example.org", Target("www.example.org", 443), True),
        ("*.example.org", Target("a.b.example.org", 443), True),
        ("*.example.org", Target("example.org", 443), False),
        ("*.example.org", Target("wwwexample.org", 443), False),
        ("*.example.org", Target("example.org.evil.com", 443), False),
        ("*.example.org:8443", Target("www.example.org", 8443), True),
    ],
)
def test_a_host_is_reached_where_an_entry_names_it_exactly(
    declared: str, target: Target, allowed: bool
) -> None:
    assert egress.rule_of(declared).allows(target) is allowed
    network = (declared,)
    if allowed:
        egress.judge_target(network, target)
        return
    with pytest.raises(EgressRefusal) as refused:
        egress.judge_target(network, target)
    assert refused.value.reason is Reason.NOT_DECLARED


def test_nothing_declared_reaches_nothing_and_any_host_reaches_all() -> None:
    with pytest.raises(EgressRefusal):
        egress.judge_target((), Target("example.org", 443))
    egress.judge_target(("*",), Target("example.org", 8443))


@given(RULES, RULES, TARGETS)
def test_what_is_covered_allows_nothing_more(outer: str, inner: str, target: Target) -> None:
    if egress.rule_of(outer).covers(egress.rule_of(inner)) and egress.rule_of(inner).allows(target):
        assert egress.rule_of(outer).allows(target)


@given(RULES)
def test_every_entry_covers_itself_and_any_host_covers_all(rule: str) -> None:
    assert egress.uncovered((rule,), (rule,)) == ()
    assert egress.uncovered((rule, "*"), ("*",)) == ()
    assert egress.uncovered((rule,), ()) == (rule,)
    assert egress.uncovered(("*",), (rule,)) == ("*",)


# ── addresses ────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "address",
    [
        *(
            "127.0.0.1",
            "127.255.255.254",
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
        ),
        *(
            "192.168.1.1",
            "169.254.169.254",
            "169.254.0.1",
            "100.64.0.1",
            "100.100.100.200",
            "192.0.0.192",
        ),
        *(
            "192.0.2.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.9",
            "224.0.0.1",
            "239.1.1.1",
            "240.0.0.1",
        ),
        *("255.255.255.255", "168.63.129.16", "192.88.99.1"),
        *(
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "::ffff:0:8.8.8.8",
            "::8.8.8.8",
            "64:ff9b::808:808",
        ),
        *(
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:0:4136:e378:8000:63bf:3fff:fdd2",
            "2001:2::1",
            "2001:10::1",
        ),
        *(
            "2001:db8::1",
            "2002:7f00:1::1",
            "2002:808:808::1",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
        ),
        *("fe80::1", "fe80::1%eth0", "2606:4700::1%1", "fec0::1", "ff02::1", "4000::1"),
        *("", "example.org", "1", "0x7f000001", "127.1", "010.0.0.1", " 8.8.8.8", "8.8.8.8 "),
    ],
)
def test_an_address_that_is_not_public_is_none_to_dial(address: str) -> None:
    assert not egress.is_public(address)
    with pytest.raises(EgressRefusal) as refused:
        egress.judge_addresses(Target("example.org", 443), ("9.9.9.9", address), ())
    assert refused.value.reason is Reason.NOT_PUBLIC
    assert refused.value.address == address


@pytest.mark.parametrize(
    "address", ["9.9.9.9", "172.15.0.1", "172.32.0.1", "100.63.0.1", "2606:4700:4700::1111"]
)
def test_a_public_address_is_dialled(address: str) -> None:
    assert egress.judge_addresses(
        Target("example.org", 443), (address, "8.8.8.8", address), ()
    ) == (
        address,
        "8.8.8.8",
    )


PRIVATE = ("10.1.2.3", "127.0.0.1", "198.18.0.1", "203.0.113.80", "fd00::1", "2001:db8::1")
NOBODYS = ("169.254.169.254", "168.63.129.16", "224.0.0.1", "240.0.0.1", "0.0.0.0", "fe80::1")


@pytest.mark.parametrize("address", [*PRIVATE, *NOBODYS])
def test_a_user_may_let_a_name_be_private_but_not_link_local(address: str) -> None:
    target, found = Target("registry.example.org", 443), (address,)
    if address in PRIVATE:
        assert egress.judge_addresses(target, found, (), private=True) == found
        return
    with pytest.raises(EgressRefusal) as refused:
        egress.judge_addresses(target, found, (), private=True)
    assert refused.value.reason is Reason.NOT_PUBLIC


def test_a_name_without_address_reaches_nobody() -> None:
    with pytest.raises(EgressRefusal) as refused:
        egress.judge_addresses(Target("example.org", 443), (), ())
    assert refused.value.reason is Reason.NO_ADDRESS


@given(st.ip_addresses())
def test_what_the_standard_library_calls_not_global_is_never_dialled(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    if not address.is_global or address.is_multicast or address.is_reserved:
        assert not egress.is_public(str(address))


@given(st.ip_addresses(v=4))
def test_no_form_of_an_address_inside_another_is_dialled(address: ipaddress.IPv4Address) -> None:
    number = int(address)
    for prefix in (
        0xFFFF << 32,
        0,
        0xFFFF << 48,
        0x64FF9B << 96,
        0x64FF9B0001 << 80,
        (0x2002 << 32 | number) << 80,
    ):
        assert not egress.is_public(str(ipaddress.IPv6Address(prefix | number)))


def test_every_reason_has_a_sentence_and_one_verdict() -> None:
    assert set(nouns.SENTENCES) == set(nouns.VERDICTS) == set(Reason)
    assert nouns.VERDICTS[Reason.DONE] is Verdict.ALLOWED
    assert nouns.VERDICTS[Reason.NOT_PUBLIC] is Verdict.REFUSED
    assert nouns.VERDICTS[Reason.BYTES_UP] is Verdict.CUT
    assert nouns.VERDICTS[Reason.UNREACHABLE] is Verdict.FAILED
