"""The server name of a TLS handshake: what real clients send, and what must not pass for it."""

from __future__ import annotations

import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.egress.connection import Reason, Target
from factory.egress.rules import EgressRefusal
from factory.egress.server_name import MOST_HELLO, judge_server_name, server_name


def of_openssl(name: str | None) -> bytes:
    """What a real client sends first."""
    context = ssl.create_default_context()
    context.check_hostname = name is not None
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


def extension(kind: int, content: bytes) -> bytes:
    return kind.to_bytes(2, "big") + len(content).to_bytes(2, "big") + content


def names(*found: tuple[int, bytes]) -> bytes:
    rows = b"".join(bytes([kind]) + len(name).to_bytes(2, "big") + name for kind, name in found)
    return extension(0, len(rows).to_bytes(2, "big") + rows)


def message(*extensions: bytes, after: bytes = b"", kind: int = 1) -> bytes:
    listed = b"".join(extensions)
    body = (
        b"\3\3"
        + bytes(32)
        + b"\0"
        + b"\0\2\x13\1"
        + b"\1\0"
        + len(listed).to_bytes(2, "big")
        + listed
        + after
    )
    return bytes([kind]) + len(body).to_bytes(3, "big") + body


def records(content: bytes, size: int = 1 << 14) -> bytes:
    parts = [content[at : at + size] for at in range(0, len(content), size)]
    return b"".join(b"\x16\3\1" + len(part).to_bytes(2, "big") + part for part in parts)


def why(buffered: bytes) -> Reason:
    with pytest.raises(EgressRefusal) as refused:
        server_name(buffered)
    return refused.value.reason


def test_the_name_that_a_real_client_sends() -> None:
    hello = of_openssl("www.example.org")
    assert server_name(hello) == "www.example.org"
    assert server_name(hello + b"\x17\3\3\0\1x") == "www.example.org", (
        "early bytes of the application may follow"
    )


def test_every_beginning_of_a_hello_waits_for_the_rest() -> None:
    hello = of_openssl("www.example.org")
    assert [server_name(hello[:count]) for count in range(len(hello))] == [None] * len(hello)


@given(st.integers(1, 400))
def test_a_hello_in_many_records_is_put_together(size: int) -> None:
    assert server_name(records(message(names((0, b"Example.org"))), size)) == "example.org"


def test_a_hello_without_a_name_is_refused() -> None:
    assert why(of_openssl(None)) is Reason.NO_SERVER_NAME
    assert why(records(message(names()))) is Reason.NO_SERVER_NAME
    assert why(records(message())) is Reason.NO_SERVER_NAME
    bare = message()[4:-2]  # as long as clients knew no extensions at all
    assert why(records(b"\1" + len(bare).to_bytes(3, "big") + bare)) is Reason.NO_SERVER_NAME


def test_two_names_are_refused() -> None:
    assert why(records(message(names((0, b"a.org"), (0, b"b.org"))))) is Reason.HELLO
    assert why(records(message(names((0, b"a.org")), names((0, b"b.org"))))) is Reason.HELLO
    assert why(records(message(names((1, b"a.org"))))) is Reason.HELLO


@pytest.mark.parametrize("kind", [0xFE0D, 0xFFCE])
def test_a_hidden_name_is_refused_whatever_the_outer_one(kind: int) -> None:
    assert (
        why(records(message(names((0, b"a.org")), extension(kind, b"\0")))) is Reason.ENCRYPTED_NAME
    )


@pytest.mark.parametrize(
    "content",
    [
        b"CONNECT other.org:443 HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"SSH-2.0-x\r\n",
        b"\x80\x2e\x01\x03\x01",  # the hello of SSL 2
        b"\x17\3\3\0\1x",
        b"\x15\3\3\0\2\1\0",
        b"\x16\2\0\0\1\1",
        b"\x16\3\x09\0\1\1",
    ],
)
def test_what_is_no_handshake_is_refused(content: bytes) -> None:
    assert why(content) is Reason.NOT_TLS


@pytest.mark.parametrize(
    "content",
    [
        records(message(names((0, b"a.org")), kind=2)),
        records(message(names((0, b"a.org")), after=b"x")),
        records(message(names((0, b"a.org"))) + b"\x01\0\0\0"),
        records(message(extension(0, b"\0"))),
        records(message(extension(0, b"\0\3\0\0\0"))),
        records(message(extension(0, b"\0\4\0\0\1a\0"))),
        records(message(extension(0, b"\0\x09\0\0\1a"))),
        records(message(b"\0\0\0\x09x")),
        records(b"\1\0\0\2\3\3"),
        records(b"\1\xff\xff\xff"),
        b"\x16\3\1\0\0",
        b"\x16\3\1\xff\xff",
    ],
)
def test_a_handshake_that_does_not_hold_its_form_is_refused(content: bytes) -> None:
    assert why(content) is Reason.HELLO


def test_a_hello_without_end_is_refused() -> None:
    endless = records(b"\1" + (MOST_HELLO - 4).to_bytes(3, "big") + bytes(MOST_HELLO), 1)[
        :MOST_HELLO
    ]
    assert why(endless) is Reason.HELLO


def test_a_name_that_is_not_ascii_is_another_name() -> None:
    assert why(records(message(names((0, "exämple.org".encode()))))) is Reason.SERVER_NAME


@pytest.mark.parametrize(
    "name", ["other.org", "example.org.", "www.example.org", "example.org\0.evil.org", ""]
)
def test_another_name_than_the_host_is_refused(name: str) -> None:
    target = Target("example.org", 443)
    judge_server_name(target, "example.org")
    with pytest.raises(EgressRefusal) as refused:
        judge_server_name(target, name)
    assert refused.value.reason is Reason.SERVER_NAME
    assert refused.value.target == target


@given(st.binary(max_size=300).map(lambda tail: b"\x16\3\1" + tail) | st.binary(max_size=40))
def test_any_bytes_have_an_answer_and_more_bytes_never_change_it(content: bytes) -> None:
    def answer(buffered: bytes) -> str | Reason | None:
        try:
            return server_name(buffered)
        except EgressRefusal as refused:
            return refused.reason

    whole = answer(content)
    for count in range(len(content)):
        early = answer(content[:count])
        assert early is None or early == whole
