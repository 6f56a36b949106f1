"""Hosts at private addresses, and hosts behind the proxy of a company: what the user consents to,
and nothing beside it. Everything is on loopback.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from base64 import b64encode
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from factory.contract import network_access
from factory.egress.connection import Reason
from factory.egress.reach import SYSTEM, Outside
from factory.egress.upstream import Upstream
from factory.model.config import Config
from tests.egress_kit import Authority, Map, head_of, http_plain, proxy, serving

pytestmark = pytest.mark.linux

HOST = "www.example.org"
LOGIN = "carl:a-word-of-his-own-42"


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A server in the clear on loopback, as a local model is."""
    folder = tmp_path_factory.mktemp("model")
    (folder / "a.txt").write_text("from next door")
    with http_plain(folder) as port:
        yield port


HERE = Outside(lambda _name, _port: ("127.0.0.1",), SYSTEM.dial, SYSTEM.near)


def answer_of(link: socket.socket) -> bytes:
    read = b""
    with link, contextlib.suppress(ConnectionError):
        while chunk := link.recv(65536):
            read += chunk
    return read


def test_a_local_model_is_reached_by_name_where_the_user_names_it(model: int) -> None:
    place = f"localhost:{model}"
    with proxy((place,), HERE, private=(place,)) as client:
        asked = f"GET http://{place}/a.txt HTTP/1.1\r\nHost: {place}\r\nProxy-Connection: x\r\n\r\n"
        link, head = client.ask(asked.encode())
        assert head.startswith(b"HTTP/1.1 200 OK")
        assert answer_of(link).endswith(b"from next door"), "one request, and then its end"
        link, head = client.connect(place)
        assert head.startswith(b"HTTP/1.1 200 ")
        link.sendall(b"GET /a.txt HTTP/1.0\r\n\r\n")
        assert answer_of(link).endswith(b"from next door")
        first, second = client.proxy.connections()
    assert (first.reason, first.host, first.port) == (Reason.DONE, "localhost", model)
    assert {first.address, second.address} == {"127.0.0.1"}
    assert first.bytes_down > 100


@pytest.mark.parametrize(
    ("declared", "private", "asked", "reason"),
    [
        ("localhost:{}", "", "GET http://localhost:{}/ HTTP/1.1", Reason.NOT_CONNECT),
        ("localhost:{}", "", "CONNECT localhost:{} HTTP/1.1", Reason.NOT_PUBLIC),
        ("localhost:{}", "localhost:1", "CONNECT localhost:{} HTTP/1.1", Reason.NOT_PUBLIC),
        (HOST, "localhost:{}", "GET http://localhost:{}/ HTTP/1.1", Reason.NOT_DECLARED),
        (HOST, "localhost:{}", "CONNECT localhost:{} HTTP/1.1", Reason.NOT_DECLARED),
        ("*", "localhost:{}", "CONNECT localhost:{} HTTP/1.1", Reason.NOT_PUBLIC),
        ("*", "localhost:{}", "GET http://localhost:{}/ HTTP/1.1", Reason.NOT_DECLARED),
        ("*", "localhost:{}", f"CONNECT {HOST}:443 HTTP/1.1", Reason.NOT_PUBLIC),
        ("localhost:{}", "localhost:{}", "GET http://127.0.0.1:{}/ HTTP/1.1", Reason.NOT_CONNECT),
        (
            "localhost:{}",
            "localhost:{}",
            "GET http://localhost:{}/ HTTP/1.1\r\nHost: other",
            Reason.HOST_HEADER,
        ),
    ],
)
def test_without_both_their_words_nothing_is_dialled(
    declared: str, private: str, asked: str, reason: Reason
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as bait:
        port = bait.getsockname()[1]
        named = (private.format(port),) if private else ()
        with proxy((declared.format(port),), HERE, private=named) as client:
            link, _ = client.ask(f"{asked.format(port)}\r\n\r\n".encode())
            link.close()
            assert client.only().reason is reason
        bait.setblocking(False)
        with pytest.raises(BlockingIOError):
            bait.accept()


@pytest.mark.parametrize("address", ["169.254.169.254", "224.0.0.1", "0.0.0.0", "fe80::1", "::"])
def test_link_local_and_the_like_are_never_private(address: str) -> None:
    outside = Outside(lambda _name, _port: (address,), SYSTEM.dial, SYSTEM.near)
    with proxy((HOST,), outside, private=(HOST,)) as client:
        client.connect(f"{HOST}:443")[0].close()
        assert client.only().reason is Reason.NOT_PUBLIC


def test_at_the_port_of_https_a_private_host_speaks_tls_in_its_own_name() -> None:
    with serving(lambda client: client.close()) as port:
        outside = Outside(
            lambda _name, _port: ("10.1.2.3",),
            lambda _address, _port, seconds: socket.create_connection(("127.0.0.1", port), seconds),
            SYSTEM.near,
        )
        with proxy((HOST,), outside, private=(HOST,)) as client:
            link, _ = client.connect(f"{HOST}:443")
            link.sendall(b"GET / HTTP/1.0\r\n\r\n")
            answer_of(link)
            one = client.only()
    assert (one.reason, one.address) == (Reason.NOT_TLS, "10.1.2.3")


# ── the proxy of a company ───────────────────────────────────────────────────


@contextlib.contextmanager
def company(port: int, seen: list[bytes], tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """A proxy that asks for a login and carries one tunnel to `port`; its own port."""

    def serve(client: socket.socket) -> None:
        with client if tls is None else tls.wrap_socket(client, server_side=True) as link:
            carry(link)

    def carry(link: socket.socket) -> None:
        head = head_of(link)
        seen.append(head)
        known = b"Proxy-Authorization: Basic " + b64encode(LOGIN.encode())
        if known not in head or b" CONNECT" in head or HOST.encode() not in head:
            link.sendall(b"HTTP/1.1 407 who are you\r\nContent-Length: 0\r\n\r\n")
            return
        with socket.create_connection(("127.0.0.1", port)) as far:
            link.sendall(b"HTTP/1.1 200 go on\r\n\r\n")
            far.sendall(link.recv(65536))
            while chunk := far.recv(65536):
                link.sendall(chunk)

    with serving(serve) as own:
        yield own


@pytest.mark.parametrize("over_tls", [False, True])
@pytest.mark.parametrize("login", [LOGIN, "carl:wrong-word-of-his"])
def test_a_host_is_reached_through_the_upstream_proxy_with_the_users_login(
    authority: Authority, tmp_path: Path, over_tls: bool, login: str
) -> None:
    """The far end says one line, so that the tunnel can be seen without a second handshake."""
    seen: list[bytes] = []
    hello = hello_of(HOST)

    def far(client: socket.socket) -> None:
        client.recv(65536)
        client.sendall(b"the far end" * 10_000)

    tls = authority.context(tmp_path, "proxy.corp") if over_tls else None
    with serving(far) as port, company(port, seen, tls) as own:
        found = Map({"proxy.corp": ("10.0.0.9",)}, {"10.0.0.9": own})
        text = "Basic " + b64encode(login.encode()).decode()
        trust = partial(network_access.trust_of, authority.pem.decode()) if over_tls else None
        upstream = Upstream("proxy.corp", 3128, text, trust)
        assert text not in repr(upstream)
        with proxy((HOST,), found.outside, upstream=upstream) as client:
            link, head = client.connect(f"{HOST}:443")
            link.sendall(hello)
            got = answer_of(link)
            one = client.only()
    assert found.resolved == ["proxy.corp"], "the name of the host is left to the proxy"
    assert found.dialled == [("10.0.0.9", 3128)]
    assert (one.host, one.address, one.via) == (HOST, "10.0.0.9", "proxy.corp:3128")
    if login == LOGIN:
        assert (head[:13], got) == (b"HTTP/1.1 200 ", b"the far end" * 10_000)
        assert one.reason is Reason.DONE
    else:
        assert head.startswith(b"HTTP/1.1 502 refused-by-upstream\r\n")
        assert one.reason is Reason.UPSTREAM
    assert len(seen) == 1


def hello_of(name: str) -> bytes:
    context = ssl.create_default_context()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname=name).do_handshake()
    return outgoing.read()


# ── the user's configuration ─────────────────────────────────────────────────


def test_the_login_is_read_where_the_configuration_says_and_shown_nowhere() -> None:
    config = Config(network_upstream_proxy="https://Proxy.corp:3128 env:LOGIN")
    access = network_access.read(config, {"LOGIN": LOGIN})
    assert access.problem == ""
    assert access.upstream is not None
    assert access.upstream.login == "Basic " + b64encode(LOGIN.encode()).decode()
    assert LOGIN not in repr(access)
    assert access.upstream.login not in repr(access)
    known = [value for _, value in network_access.login_of(config, {"LOGIN": LOGIN}).known]
    assert LOGIN.encode() in known
    assert network_access.read(config, {}).problem == "the variable LOGIN is not set"


def test_only_certificates_are_authorities(authority: Authority) -> None:
    sound = authority.pem
    assert network_access.problem_with_authorities(sound) == ""
    assert "none that can be read" in network_access.problem_with_authorities(b"hello")
    assert "other bytes" in network_access.problem_with_authorities(b"\xff\xfe")
    key = sound + b"-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n"
    assert "a private key" in network_access.problem_with_authorities(key)
