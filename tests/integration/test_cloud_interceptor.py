"""The interceptor between clients that do what they like and a host that demands a credential, over
real TLS.
"""

from __future__ import annotations

import base64
import contextlib
import datetime
import http.client
import http.server
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from factory.egress import authority as authorities
from factory.egress.connection import Connection, ConnectionBounds, Reason
from factory.egress.intercept import CloudInterceptor
from factory.model.injection import CloudGrant, Credential
from factory.plan.cloud import injected_of, shown_path
from factory.redact.redaction import Redactor
from tests.egress_kit import Authority, Client, Map, proxy, serving

pytestmark = pytest.mark.linux

HOST, OTHER = "api.example.org", "www.example.org"
SECRET = "kQ7-canary/of+the_user-" + "x9" * 12
GRANT = CloudGrant(HOST, 443, "authorization-bearer", "env:CLOUD_TOKEN")
CREDENTIAL = Credential(GRANT, f"Bearer {SECRET}".encode(), (SECRET.encode(),))


class _Cloud(http.server.BaseHTTPRequestHandler):
    """A host that demands the credential, changes something, and can be made to misbehave by the
    path.
    """

    protocol_version = "HTTP/1.1"
    seen: list[tuple[str, str, dict[str, str], bytes]]

    def log_message(self, *_words: object) -> None:
        """Nothing on the terminal of the tests."""

    def _answer(self) -> None:
        length = int(self.headers.get("content-length", 0))
        body = self.rfile.read(length)
        if len(body) < length:
            self.close_connection = True  # whoever asked has gone
            return
        if self.headers.get("transfer-encoding") == "chunked":
            body = b""
            while length := int(self.rfile.readline(), 16):
                body += self.rfile.read(length)
                self.rfile.readline()
            self.rfile.readline()
        self.seen.append((self.command, self.path, dict(self.headers.items()), body))
        if self.headers.get("authorization") != f"Bearer {SECRET}":
            self._say(401, b"who are you?")
        elif self.path.startswith("/echo/"):
            self._echo(self.path.removeprefix("/echo/"))
        else:
            self._say(
                201 if self.command == "POST" else 200, json.dumps({"got": len(body)}).encode()
            )

    def _say(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _echo(self, how: str) -> None:
        if how == "plain":
            self._say(200, b"you sent: " + SECRET.encode())
        elif how == "base64":
            self._say(200, b"you sent: " + base64.b64encode(f"Bearer {SECRET}".encode()))
        elif how == "header":
            self._say(200, b"fine", X_You_Sent=SECRET)
        elif how == "encoded":
            self._say(200, b"\x1f\x8b", Content_Encoding="gzip")
        elif how == "pieces":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            with contextlib.suppress(OSError):
                for byte in b"you sent: " + SECRET.encode() + b" and more":
                    self.wfile.write(b"1\r\n" + bytes((byte,)) + b"\r\n")
                    self.wfile.flush()
                self.wfile.write(b"0\r\n\r\n")
        elif how == "upgrade":
            self.send_response_only(101)
            self.send_header("Upgrade", "websocket")
            self.end_headers()


@dataclass
class World:
    """A proxy with an interceptor, the authority of its stage, and a host behind it."""

    client: Client
    inside: str
    map: Map
    seen: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)

    def tls(
        self, host: str = HOST, alpn: tuple[str, ...] = (), name: str | None = None
    ) -> ssl.SSLSocket:
        link, head = self.client.connect(f"{host}:443")
        assert head.startswith(b"HTTP/1.1 200 "), head
        context = ssl.create_default_context(cadata=self.inside)
        if alpn:
            context.set_alpn_protocols(list(alpn))
        context.check_hostname = name is None
        return context.wrap_socket(link, server_hostname=name or host)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, bytes]:
        connection = http.client.HTTPSConnection(HOST)
        connection.sock = self.tls()
        with contextlib.closing(connection):
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()

    def raw(self, content: bytes) -> bytes:
        with self.tls() as tls:
            tls.sendall(content)
            got = b""
            with contextlib.suppress(OSError):
                while chunk := tls.recv(65536):
                    got += chunk
            return got

    def connections(self) -> tuple[Connection, ...]:
        return self.client.proxy.connections()


@pytest.fixture(scope="module")
def outer() -> Authority:
    return Authority()


@contextlib.contextmanager
def https(
    context: ssl.SSLContext, seen: list[tuple[str, str, dict[str, str], bytes]]
) -> Iterator[int]:
    asked = {f"do_{method}": _Cloud._answer for method in ("GET", "POST", "PUT", "DELETE", "HEAD")}
    handler = type("Handler", (_Cloud,), {"seen": seen, **asked})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
        thread = threading.Thread(
            target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def made(
    outer: Authority,
    found: Map,
    trust: Callable[[], ssl.SSLContext] | None = None,
    bounds: ConnectionBounds | None = None,
) -> Iterator[World]:
    inside = authorities.Authority([HOST], datetime.datetime.now(datetime.UTC), 600)
    trusted = trust or (lambda: ssl.create_default_context(cadata=outer.pem.decode()))
    redactor = Redactor([("CLOUD_TOKEN", SECRET.encode())])
    used = bounds or ConnectionBounds()
    interceptor = CloudInterceptor(
        [injected_of(CREDENTIAL)], inside, partial(shown_path, redactor=redactor), trusted
    )
    with proxy((HOST, OTHER), found.outside, used, interceptor) as client:
        yield World(client, inside.pem, found)


@pytest.fixture
def world(outer: Authority, tmp_path: Path) -> Iterator[World]:
    seen: list[tuple[str, str, dict[str, str], bytes]] = []
    with https(outer.context(tmp_path, HOST), seen) as port:
        found = Map()
        found.add(HOST, port)
        with made(outer, found) as world:
            world.seen = seen
            yield world


# ── what is carried ──────────────────────────────────────────────────────────


def test_a_mutation_is_carried_with_the_credential_and_recorded(world: World) -> None:
    status, body = world.ask(
        "POST", "/v1/things?key=a&b", b"x" * 100_000, Authorization="Bearer nothing"
    )
    assert (status, json.loads(body)) == (201, {"got": 100_000})
    method, path, headers, sent = world.seen[0]
    assert (method, path, len(sent)) == ("POST", "/v1/things?key=a&b", 100_000)
    assert headers["authorization"] == f"Bearer {SECRET}"
    (connection,) = world.connections()
    (request,) = connection.requests
    assert connection.reason is Reason.DONE
    assert (request.method, request.host, request.path, request.status) == (
        "POST",
        HOST,
        "/v1/things?key=*&*",
        201,
    )
    assert request.bytes_up > 100_000
    assert connection.bytes_up > request.bytes_up - 10
    assert SECRET not in repr(connection)


def test_what_this_host_trusts_is_read_once_for_a_stage(outer: Authority, tmp_path: Path) -> None:
    read: list[int] = []

    def trust() -> ssl.SSLContext:
        read.append(1)
        return ssl.create_default_context(cadata=outer.pem.decode())

    with https(outer.context(tmp_path, HOST), []) as port:
        found = Map()
        found.add(HOST, port)
        with made(outer, found, trust) as world:
            for _ in range(2):
                assert world.ask("PUT", "/", b"x")[0] == 200
            assert len(world.connections()) == 2
    assert len(read) == 1


def test_one_connection_carries_many_requests_of_every_framing(world: World) -> None:
    connection = http.client.HTTPSConnection(HOST)
    connection.sock = world.tls(alpn=("h2", "http/1.1"))
    assert connection.sock.selected_alpn_protocol() == "http/1.1"
    asked = [
        ("GET", None),
        ("PUT", b"abc"),
        ("POST", iter([b"ab", b"c"])),
        ("HEAD", None),
        ("DELETE", None),
    ]
    for method, body in asked:
        connection.request(method, f"/{method.lower()}", body, encode_chunked=method == "POST")
        answer = connection.getresponse()
        assert answer.status in (200, 201)
        answer.read()
    connection.close()
    (record,) = world.connections()
    assert [(each.method, each.path, each.status) for each in record.requests] == [
        (method, f"/{method.lower()}", 201 if method == "POST" else 200) for method, _ in asked
    ]
    assert [body for *_, body in world.seen] == [b"", b"abc", b"abc", b"", b""]


def test_who_waits_to_be_told_to_go_on_is_told(world: World) -> None:
    with world.tls() as tls:
        tls.sendall(
            b"PUT /x HTTP/1.1\r\nHost: api.example.org\r\nExpect: 100-continue\r\nContent-Length:"
            b" 3\r\n\r\n"
        )
        assert tls.recv(200).startswith(b"HTTP/1.1 100 ")
        tls.sendall(b"abc")
        assert tls.recv(2000).startswith(b"HTTP/1.1 200 ")


def test_other_hosts_are_not_opened(outer: Authority, world: World, tmp_path: Path) -> None:
    context = outer.context(tmp_path, OTHER)

    def serve(client: socket.socket) -> None:
        with context.wrap_socket(client, server_side=True) as tls:
            tls.sendall(tls.recv(100))

    with serving(serve) as port:
        world.map.add(OTHER, port)
        with pytest.raises(ssl.SSLCertVerificationError):
            world.tls(OTHER)  # the stage's authority speaks for the granted host alone
        link, _ = world.client.connect(f"{OTHER}:443")
        own = ssl.create_default_context(cadata=outer.pem.decode())
        with own.wrap_socket(link, server_hostname=OTHER) as tls:
            tls.sendall(b"hello")
            assert tls.recv(100) == b"hello"
        assert all(not connection.requests for connection in world.connections())


# ── what is refused ──────────────────────────────────────────────────────────


@pytest.mark.parametrize("how", ["plain", "base64", "header", "encoded", "pieces", "upgrade"])
def test_an_answer_that_tells_the_credential_never_comes_back(world: World, how: str) -> None:
    got = world.raw(f"GET /echo/{how} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
    for form in (
        SECRET.encode(),
        base64.b64encode(f"Bearer {SECRET}".encode())[:24],
        SECRET[:20].encode(),
    ):
        assert form not in got
    (connection,) = world.connections()
    assert connection.reason is Reason.INTERCEPTED
    assert connection.requests[0].path == f"/echo/{how}"
    assert connection.requests[0].status == (502 if how == "upgrade" else 200), (
        "what the host said, though it was kept"
    )
    if how != "pieces":  # there some of the answer went back before
        assert got.startswith(b"HTTP/1.1 502 ")


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: www.example.org\r\n\r\n", 421),
        (b"GET https://www.example.org/ HTTP/1.1\r\nHost: api.example.org\r\n\r\n", 421),
        (b"CONNECT www.example.org:443 HTTP/1.1\r\nHost: api.example.org\r\n\r\n", 405),
        (b"TRACE / HTTP/1.1\r\nHost: api.example.org\r\n\r\n", 405),
        (
            (
                b"GET / HTTP/1.1\r\nHost: api.example.org\r\nUpgrade: websocket\r\nConnection:"
                b" upgrade\r\n\r\n"
            ),
            426,
        ),
        (
            (
                b"POST / HTTP/1.1\r\nHost: api.example.org\r\nContent-Length:"
                b" 1\r\nTransfer-Encoding: chunked\r\n\r\n"
            ),
            400,
        ),
        (
            (
                b"POST / HTTP/1.1\r\nHost: api.example.org\r\nContent-Length: 1\r\nContent-Length:"
                b" 2\r\n\r\nab"
            ),
            400,
        ),
        (b"POST / HTTP/1.1\r\nHost: api.example.org\r\nTransfer-Encoding: xchunked\r\n\r\n", 501),
        (
            (
                b"POST / HTTP/1.1\r\nHost: api.example.org\r\nTransfer-Encoding :"
                b" chunked\r\n\r\n0\r\n\r\n"
            ),
            400,
        ),
        (b"GET / HTTP/1.1\r\nHost: api.example.org\r\nConnection: close\r\nX: a\r\n b\r\n\r\n", 0),
        (b"GET / HTTP/1.1\r\nX: a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: api.example.org\r\nX: " + b"x" * 70_000 + b"\r\n\r\n", 431),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 0),
        (b"\x00\x01\x02\r\n\r\n", 400),
    ],
)
def test_a_request_that_could_mean_something_else_never_reaches_the_host(
    world: World, content: bytes, status: int
) -> None:
    got = world.raw(content)
    if status:
        assert got.startswith(f"HTTP/1.1 {status} ".encode()), got
        assert b"factory: api.example.org: " in got
        assert world.seen == []
        assert world.map.dialled == []
        assert world.connections()[0].reason is Reason.INTERCEPTED
    assert all(headers["authorization"].endswith(SECRET) for _, _, headers, _ in world.seen)


def test_a_pipelined_second_request_is_judged_like_the_first(world: World) -> None:
    got = world.raw(
        b"GET /one HTTP/1.1\r\nHost: api.example.org\r\n\r\nGET /two HTTP/1.1\r\nHost:"
        b" www.example.org\r\n\r\n"
    )
    assert got.count(b"HTTP/1.1 200 ") == 1
    assert b"HTTP/1.1 421 " in got
    assert [path for _, path, _, _ in world.seen] == ["/one"]


def test_a_client_that_names_another_server_gets_no_handshake(world: World) -> None:
    with pytest.raises(ssl.SSLError):
        world.tls(name=OTHER)
    assert world.connections()[0].reason is Reason.SERVER_NAME
    assert world.map.dialled == []


def test_a_host_whose_certificate_does_not_hold_gets_no_credential(
    outer: Authority, tmp_path: Path
) -> None:
    seen: list[tuple[str, str, dict[str, str], bytes]] = []
    found = Map()
    with https(
        outer.context(tmp_path, OTHER), seen
    ) as port:  # of the right authority, for another name
        found.add(HOST, port)
        with made(outer, found) as world:
            got = world.raw(f"GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
        assert got.startswith(b"HTTP/1.1 502 ")
        assert b"certificate is not valid" in got
        with made(outer, found, ssl.create_default_context) as world:
            assert world.raw(f"GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()).startswith(
                b"HTTP/1.1 502 "
            )
    assert seen == []


def test_bytes_are_bounded(outer: Authority, tmp_path: Path) -> None:
    seen: list[tuple[str, str, dict[str, str], bytes]] = []
    with https(outer.context(tmp_path, HOST), seen) as port:
        found = Map()
        found.add(HOST, port)
        with made(outer, found, bounds=ConnectionBounds(bytes_up=200_000)) as world:
            with pytest.raises((OSError, http.client.HTTPException)):
                world.ask("POST", "/", b"x" * 2_000_000)
            assert world.connections()[0].reason is Reason.BYTES_UP
        with made(outer, found, bounds=ConnectionBounds(bytes_up=200_000)) as world:
            assert world.ask("POST", "/", b"x" * 150_000)[0] == 201
            with pytest.raises((OSError, http.client.HTTPException)):
                world.ask("POST", "/", b"x" * 150_000)
            assert [one.reason for one in world.connections()] == [Reason.DONE, Reason.BYTES_UP]
    assert all(len(body) < 300_000 for *_, body in seen)


# ── the authority ────────────────────────────────────────────────────────────


def test_the_authority_speaks_for_its_hosts_alone_and_for_minutes(tmp_path: Path) -> None:
    from cryptography import x509

    now = datetime.datetime.now(datetime.UTC)
    made_now = authorities.Authority([HOST], now, 60)
    certificate = x509.load_pem_x509_certificate(made_now.pem.encode())
    assert certificate.not_valid_before_utc < now
    assert certificate.not_valid_after_utc - now < datetime.timedelta(minutes=12)
    limits = certificate.extensions.get_extension_for_class(x509.NameConstraints)
    assert limits.critical
    assert [name.value for name in limits.value.permitted_subtrees or ()] == [HOST]
    assert (
        certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length == 0
    )
    assert "PRIVATE" not in made_now.pem
    for host, holds in ((HOST, True), (OTHER, False)):
        assert _holds(made_now, host) is holds, (
            "a leaf for another host is refused by its own authority"
        )


def _holds(authority: authorities.Authority, host: str) -> bool:
    ours, theirs = socket.socketpair()
    context = authority.context(host)

    def serve() -> None:
        with (
            theirs,
            contextlib.suppress(OSError),
            context.wrap_socket(theirs, server_side=True) as tls,
        ):
            tls.recv(1)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    trust = ssl.create_default_context(cadata=authority.pem)
    trust.verify_flags |= ssl.VERIFY_X509_STRICT
    try:
        with ours, trust.wrap_socket(ours, server_hostname=host):
            return True
    except ssl.SSLCertVerificationError:
        return False
    finally:
        thread.join()
