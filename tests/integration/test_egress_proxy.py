"""The egress proxy against clients and servers that do what they like, over real sockets of this
host's loopback.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from factory.egress.connection import ConnectionBounds, Reason, Request, Target, Verdict
from factory.egress.proxy import Defective
from factory.egress.reach import SYSTEM, Outside, Served
from factory.egress.rules import Network
from factory.egress.tunnel import Meter
from tests.egress_kit import Authority, Client, Map, head_of, proxy, serving

pytestmark = pytest.mark.linux

HOST = "www.example.org"
DECLARED = (HOST, "*.below.org", "other.org:8443")
QUICK = ConnectionBounds(request=0.3, dial=0.3, idle=0.3)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def echo(authority: Authority, tmp_path: Path) -> Iterator[Map]:
    """A TLS server behind `HOST` that sends back what it gets, until the client is done."""
    context = authority.context(tmp_path, HOST, "a.below.org", "other.org")

    def serve(client: socket.socket) -> None:
        with context.wrap_socket(client, server_side=True) as tls:
            while chunk := tls.recv(65536):
                tls.sendall(chunk)

    with serving(serve) as port:
        found = Map()
        for host in (HOST, "a.below.org", "other.org"):
            found.add(host, port)
        yield found


def tls_over(link: socket.socket, authority: Authority, name: str | None = HOST) -> ssl.SSLSocket:
    context = ssl.create_default_context(cadata=authority.pem.decode())
    context.check_hostname = name is not None
    return context.wrap_socket(link, server_hostname=name)


# ── what is carried ──────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("target", "name"),
    [
        (f"{HOST}:443", HOST),
        ("WWW.Example.ORG:443", HOST),
        ("a.below.org:443", "a.below.org"),
        ("other.org:8443", "other.org"),
    ],
)
def test_a_declared_host_is_reached_and_what_was_carried_is_counted(
    echo: Map, authority: Authority, target: str, name: str
) -> None:
    with proxy(DECLARED, echo.outside) as client:
        link, head = client.connect(target)
        assert head.startswith(b"HTTP/1.1 200 ")
        with tls_over(link, authority, name) as tls:
            tls.sendall(b"x" * 100_000)
            got = b""
            while len(got) < 100_000:
                got += tls.recv(65536)
        one = client.only()
        assert client.proxy.connections() == ()
    assert (one.verdict, one.reason, one.host, one.address) == (
        Verdict.ALLOWED,
        Reason.DONE,
        name,
        echo.names[name][0],
    )
    assert one.bytes_up > 100_000
    assert one.bytes_down > 100_000
    assert echo.resolved == [name], "resolved once"
    assert echo.dialled == [(one.address, one.port)], "dialled what was judged, once"


def test_a_side_that_closes_its_half_still_reads() -> None:
    """The client is done at once; the server answers only when it has seen that."""
    hello, got_there = client_hello(HOST), []

    def serve(client: socket.socket) -> None:
        while chunk := client.recv(65536):
            got_there.append(chunk)
        client.sendall(b"late answer" * 10_000)

    with serving(serve) as port, _mapped(port) as found, proxy(DECLARED, found.outside) as client:
        link, _ = client.connect(f"{HOST}:443")
        link.sendall(hello)
        link.shutdown(socket.SHUT_WR)
        got = b""
        while chunk := link.recv(65536):
            got += chunk
        link.close()
        one = client.only()
    assert got == b"late answer" * 10_000
    assert b"".join(got_there) == hello
    assert (one.reason, one.bytes_up, one.bytes_down) == (Reason.DONE, len(hello), len(got))


def test_the_second_address_is_dialled_where_the_first_takes_nobody(
    echo: Map, authority: Authority
) -> None:
    (good,) = echo.names[HOST]
    echo.names[HOST] = ("9.9.9.250", good)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        echo.ports["9.9.9.250"] = closed.getsockname()[1]
    with proxy(DECLARED, echo.outside) as client:
        link, head = client.connect(f"{HOST}:443")
        tls_over(link, authority).close()
        one = client.only()
    assert head.startswith(b"HTTP/1.1 200 ")
    assert one.address == good
    assert [address for address, _ in echo.dialled] == ["9.9.9.250", good]


# ── what is refused before anything leaves ───────────────────────────────────


@pytest.mark.parametrize(
    ("content", "status", "reason"),
    [
        (
            b"GET http://www.example.org/ HTTP/1.1\r\nHost: www.example.org\r\n\r\n",
            405,
            Reason.NOT_CONNECT,
        ),
        (b"CONNECT www.example.org:80 HTTP/1.1\r\n\r\n", 403, Reason.NOT_DECLARED),
        (b"CONNECT example.org:443 HTTP/1.1\r\n\r\n", 403, Reason.NOT_DECLARED),
        (b"CONNECT below.org:443 HTTP/1.1\r\n\r\n", 403, Reason.NOT_DECLARED),
        (b"CONNECT evilbelow.org:443 HTTP/1.1\r\n\r\n", 403, Reason.NOT_DECLARED),
        (b"CONNECT other.org:443 HTTP/1.1\r\n\r\n", 403, Reason.NOT_DECLARED),
        (b"CONNECT www.example.org.:443 HTTP/1.1\r\n\r\n", 400, Reason.NOT_A_HOST),
        (b"CONNECT u@www.example.org:443 HTTP/1.1\r\n\r\n", 400, Reason.NOT_A_HOST),
        (b"CONNECT 127.0.0.1:443 HTTP/1.1\r\n\r\n", 400, Reason.NOT_A_HOST),
        (b"CONNECT 2130706433:443 HTTP/1.1\r\n\r\n", 400, Reason.NOT_A_HOST),
        (b"CONNECT 0x7f.1:443 HTTP/1.1\r\n\r\n", 400, Reason.NOT_A_HOST),
        (b"CONNECT [::1]:443 HTTP/1.1\r\n\r\n", 400, Reason.NOT_A_HOST),
        (b"CONNECT w\xc3\xa4.example.org:443 HTTP/1.1\r\n\r\n", 400, Reason.MALFORMED),
        (
            b"CONNECT www.example.org:443 HTTP/1.1\r\nHost: other.org:8443\r\n\r\n",
            400,
            Reason.HOST_HEADER,
        ),
        (b"CONNECT www.example.org:443 HTTP/1.1\nHost: a\r\n\r\n", 400, Reason.MALFORMED),
        (
            b"CONNECT www.example.org:443 HTTP/1.1\r\n\r\nCONNECT other.org:8443 HTTP/1.1\r\n\r\n",
            400,
            Reason.PIPELINED,
        ),
        (
            b"CONNECT www.example.org:443 HTTP/1.1\r\nX: " + b"x" * 9000 + b"\r\n\r\n",
            431,
            Reason.TOO_LARGE,
        ),
    ],
)
def test_a_request_that_is_refused_resolves_and_dials_nothing(
    echo: Map, content: bytes, status: int, reason: Reason
) -> None:
    with proxy(DECLARED, echo.outside) as client:
        link, head = client.ask(content)
        link.close()
        one = client.only()
    assert head.startswith(f"HTTP/1.1 {status} {reason.value}\r\n".encode())
    assert (one.verdict, one.reason, one.address, one.bytes_up, one.bytes_down) == (
        Verdict.REFUSED,
        reason,
        "",
        0,
        0,
    )
    assert echo.resolved == []
    assert echo.dialled == []


@pytest.mark.parametrize(
    "addresses",
    [
        ("127.0.0.1",),
        ("9.9.9.9", "10.0.0.1"),
        ("169.254.169.254",),
        ("::1",),
        ("::ffff:9.9.9.9",),
        ("64:ff9b::909:909",),
    ],
)
def test_one_address_that_is_not_public_spoils_the_whole_answer(
    echo: Map, addresses: tuple[str, ...]
) -> None:
    echo.names[HOST] = addresses
    with proxy(("*",), echo.outside) as client:
        link, head = client.connect(f"{HOST}:443")
        link.close()
        one = client.only()
    assert head.startswith(b"HTTP/1.1 403 address-not-public\r\n")
    assert (one.reason, one.address) == (Reason.NOT_PUBLIC, addresses[-1])
    assert echo.dialled == []


def nothing() -> tuple[Network, ...]:
    return ()


@pytest.mark.parametrize(
    ("near", "addresses", "refused"),
    [
        (("9.9.9.0/24",), ("9.9.9.9",), "9.9.9.9"),
        (("9.9.9.9/32",), ("8.8.8.8", "9.9.9.9"), "9.9.9.9"),
        (("2620:fe::/48",), ("9.9.9.9", "2620:fe::9"), "2620:fe::9"),
        (("0.0.0.0/0", "::/0"), ("9.9.9.9",), "9.9.9.9"),
        (("9.9.8.0/24", "2620:fe::/48"), (), ""),
    ],
)
def test_this_hosts_own_addresses_and_networks_are_refused(
    echo: Map, near: tuple[str, ...], addresses: tuple[str, ...], refused: str
) -> None:
    echo.names[HOST] = addresses or echo.names[HOST]
    echo.near = tuple(map(ipaddress.ip_network, near))
    with proxy(("*",), echo.outside) as client:
        link, head = client.connect(f"{HOST}:443")
        link.close()
        one = client.only()
    if refused:
        assert head.startswith(b"HTTP/1.1 403 address-of-this-host\r\n")
        assert (one.reason, one.address, echo.dialled) == (Reason.NEAR, refused, [])
    else:
        assert head.startswith(b"HTTP/1.1 200 ")


def test_loopback_is_refused_with_this_hosts_own_dialler(echo: Map) -> None:
    with socket.create_server(("127.0.0.1", 0)) as bait:
        port = bait.getsockname()[1]
        with proxy(
            ("*",), Outside(lambda _host, _port: ("127.0.0.1",), SYSTEM.dial, SYSTEM.near)
        ) as client:
            link, head = client.connect(f"{HOST}:{port}")
            link.close()
            assert client.only().reason is Reason.NOT_PUBLIC
        bait.setblocking(False)
        with pytest.raises(BlockingIOError):
            bait.accept()
    assert head.startswith(b"HTTP/1.1 403 ")


def test_names_are_looked_up_as_absolute_ones_once_for_each_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[object] = []

    def rows(host: object, port: int, **_words: object) -> list[tuple[object, ...]]:
        asked.append(host)
        return [(0, 0, 0, "", (address, port)) for address in ("9.9.9.9", "2620:fe::9", "9.9.9.9")]

    monkeypatch.setattr(socket, "getaddrinfo", rows)
    assert SYSTEM.resolve(f"{HOST}.", 443) == ("9.9.9.9", "2620:fe::9")
    assert asked == [b"www.example.org."]


def test_no_search_list_of_this_host_completes_a_name_but_a_private_one() -> None:
    names: list[str] = []

    def resolve(name: str, _port: int) -> tuple[str, ...]:
        names.append(name)
        return ("169.254.169.254",)

    outside = Outside(resolve, SYSTEM.dial, lambda: ())
    with proxy((HOST, "own.corp"), outside, private=("own.corp",)) as client:
        for host in (HOST, "own.corp"):
            client.connect(f"{host}:443")[0].close()
        assert {one.reason for one in client.proxy.connections()} == {Reason.NOT_PUBLIC}
    assert names == [f"{HOST}.", "own.corp"], "what ends in a dot is whole"


def test_this_hosts_own_dialler_reaches_what_it_is_told_or_says_why(tmp_path: Path) -> None:
    with (
        serving(lambda client: client.sendall(b"here")) as port,
        SYSTEM.dial("127.0.0.1", port, 5) as link,
    ):
        assert link.recv(10) == b"here"
    with pytest.raises(OSError, match="refused"):
        SYSTEM.dial("127.0.0.1", port, 5)


# ── what is refused in the handshake ─────────────────────────────────────────


def client_hello(name: str | None) -> bytes:
    context = ssl.create_default_context()
    context.check_hostname = False
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname=name)
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


@contextlib.contextmanager
def _mapped(port: int) -> Iterator[Map]:
    found = Map()
    found.add(HOST, port)
    yield found


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (client_hello("evil.org"), Reason.SERVER_NAME),
        (client_hello("example.org"), Reason.SERVER_NAME),
        (client_hello(None), Reason.NO_SERVER_NAME),
        (b"CONNECT other.org:8443 HTTP/1.1\r\n\r\n", Reason.NOT_TLS),
        (b"GET / HTTP/1.1\r\nHost: www.example.org\r\n\r\n", Reason.NOT_TLS),
        (b"SSH-2.0-OpenSSH\r\n", Reason.NOT_TLS),
        (b"\x16\x03\x01\x00\x05\x02\x00\x00\x01\x00", Reason.HELLO),
    ],
)
def test_a_handshake_that_is_refused_sends_the_server_nothing(
    content: bytes, reason: Reason
) -> None:
    got: list[bytes] = []
    ended = threading.Event()

    def serve(client: socket.socket) -> None:
        while chunk := client.recv(65536):
            got.append(chunk)
        ended.set()

    with serving(serve) as port, _mapped(port) as found, proxy(DECLARED, found.outside) as client:
        link, head = client.connect(f"{HOST}:443")
        assert head.startswith(b"HTTP/1.1 200 ")
        link.sendall(content)
        assert link.recv(7)[:3] in (b"\x15\x03\x03", b"")
        link.close()
        one = client.only()
        assert ended.wait(20)
    assert (one.verdict, one.reason, one.bytes_up, one.bytes_down) == (
        Verdict.REFUSED,
        reason,
        0,
        0,
    )
    assert got == []


def test_the_hello_may_come_in_pieces(echo: Map, authority: Authority) -> None:
    with proxy(DECLARED, echo.outside) as client:
        link, _ = client.connect(f"{HOST}:443")
        hello = client_hello(HOST)
        for at in range(0, len(hello), 100):
            link.sendall(hello[at : at + 100])
        assert link.recv(3)[:2] == b"\x16\x03", "the server's hello"
        link.close()
        assert client.only().reason is Reason.DONE


# ── bounds ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "begun", [b"", b"CONNECT www.exam", b"CONNECT www.example.org:443 HTTP/1.1\r\n"]
)
def test_a_client_that_dawdles_over_its_request_is_turned_away(echo: Map, begun: bytes) -> None:
    with proxy(DECLARED, echo.outside, QUICK) as client:
        link, head = client.ask(begun)
        link.close()
        one = client.only()
    assert head.startswith(b"HTTP/1.1 408 too-slow\r\n")
    assert one.reason is Reason.SLOW


def test_a_client_that_sends_a_byte_now_and_then_gains_no_time(echo: Map) -> None:
    with proxy(DECLARED, echo.outside, QUICK) as client:
        link = client.dial()
        stop = threading.Event()

        def drip() -> None:
            with contextlib.suppress(OSError):
                while not stop.wait(0.02):
                    link.sendall(b"C")

        thread = threading.Thread(target=drip)
        thread.start()
        head = head_of(link)
        stop.set()
        thread.join()
        link.close()
        assert head.startswith(b"HTTP/1.1 408 ") or head == b""
        assert client.only().reason is Reason.SLOW


def test_a_client_that_dawdles_over_its_hello_is_turned_away(echo: Map) -> None:
    with proxy(DECLARED, echo.outside, QUICK) as client:
        link, _ = client.connect(f"{HOST}:443")
        with contextlib.suppress(ConnectionError):
            link.sendall(client_hello(HOST)[:50])
            assert link.recv(1) in (b"\x15", b"")
        link.close()
        assert client.only().reason is Reason.SLOW


def test_a_tunnel_in_which_nothing_moves_is_cut(echo: Map, authority: Authority) -> None:
    with proxy(DECLARED, echo.outside, ConnectionBounds(idle=0.3)) as client:
        link, _ = client.connect(f"{HOST}:443")
        with (
            contextlib.suppress(OSError),
            tls_over(link, authority) as tls,
        ):  # on a busy machine cut in the handshake
            tls.sendall(b"x")
            while tls.recv(1):
                pass
        link.close()
        one = client.only()
    assert (one.verdict, one.reason) == (Verdict.CUT, Reason.IDLE)


@pytest.mark.parametrize(
    ("bounds", "reason"),
    [
        (ConnectionBounds(bytes_up=200_000), Reason.BYTES_UP),
        (ConnectionBounds(bytes_down=200_000), Reason.BYTES_DOWN),
    ],
)
def test_the_stage_carries_no_more_bytes_than_it_may(
    echo: Map, authority: Authority, bounds: ConnectionBounds, reason: Reason
) -> None:
    with proxy(DECLARED, echo.outside, bounds) as client:
        link, _ = client.connect(f"{HOST}:443")
        with contextlib.suppress(OSError), tls_over(link, authority) as tls:
            for _ in range(100):
                tls.sendall(b"x" * 10_000)
                tls.recv(10_000)
        link.close()
        one = client.only()
        again, _ = client.connect(f"{HOST}:443")
        with contextlib.suppress(OSError):
            again.sendall(client_hello(HOST))
            again.recv(1)
        again.close()
        second = client.only()
    assert (one.verdict, one.reason) == (Verdict.CUT, reason)
    assert max(one.bytes_up, one.bytes_down) <= 200_000 + 20_000
    assert min(bounds.bytes_up - one.bytes_up, bounds.bytes_down - one.bytes_down) >= 0
    assert second.reason is reason, "the bound is of the stage, not of a connection"


def test_too_many_at_once_are_turned_away(echo: Map) -> None:
    with proxy(DECLARED, echo.outside, ConnectionBounds(at_once=2)) as client:
        held = [client.connect(f"{HOST}:443")[0] for _ in range(2)]
        link, head = client.ask(b"CONNECT")
        assert head.startswith(b"HTTP/1.1 503 too-many-at-once") or head == b""
        for each in (*held, link):
            each.close()
        found = client.proxy.connections()
        more, head = client.connect(f"{HOST}:443")
        more.close()
    assert [one.reason for one in found] == [Reason.LEFT, Reason.LEFT, Reason.AT_ONCE]
    assert head.startswith(b"HTTP/1.1 200 "), "those that ended make room"


def wait_until_nobody_listens(client: Client) -> None:
    """Until the listener is gone a client may still come to wait for it."""
    for _ in range(2000):
        try:
            client.dial().close()
        except ConnectionError:
            return
        time.sleep(0.01)
    pytest.fail("somebody still listens")


def test_the_connections_of_a_stage_come_to_an_end(echo: Map) -> None:
    with proxy(DECLARED, echo.outside, ConnectionBounds(connections=3)) as client:
        for _ in range(4):
            client.ask(b"GET / HTTP/1.1\r\n\r\n")[0].close()
        found = client.proxy.connections()
        wait_until_nobody_listens(client)
    assert [one.reason for one in found] == [Reason.NOT_CONNECT] * 3 + [Reason.TOO_MANY]
    assert [one.number for one in found] == [1, 2, 3, 4]


# ── the other side ───────────────────────────────────────────────────────────


def test_a_name_without_address_and_a_server_that_is_not_there(echo: Map) -> None:
    echo.names["gone.below.org"] = ("9.9.9.251",)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        echo.ports["9.9.9.251"] = closed.getsockname()[1]
    with proxy(DECLARED, echo.outside) as client:
        for target in ("none.below.org:443", "gone.below.org:443"):
            link, head = client.connect(target)
            link.close()
            assert head.startswith(b"HTTP/1.1 502 ")
        found = client.proxy.connections()
    assert [one.reason for one in found] == [Reason.NO_ADDRESS, Reason.UNREACHABLE]
    assert {one.verdict for one in found} == {Verdict.FAILED}


def _never(event: threading.Event) -> Callable[[str, int], tuple[str, ...]]:
    def resolve(_host: str, _port: int) -> tuple[str, ...]:
        event.wait(60)
        return ("9.9.9.9",)

    return resolve


def test_a_resolver_and_a_server_that_never_answer_are_waited_for_no_longer_than_a_bound(
    echo: Map,
) -> None:
    released = threading.Event()
    late: list[socket.socket] = []

    def dial(_address: str, _port: int, _seconds: float) -> socket.socket:
        released.wait(60)
        ours, theirs = socket.socketpair()
        late.append(theirs)
        return ours

    for way, reason in (
        (Outside(_never(released), echo.dial, nothing), Reason.NO_ADDRESS),
        (Outside(echo.resolve, dial, nothing), Reason.UNREACHABLE),
    ):
        with proxy(DECLARED, way, ConnectionBounds(dial=0.3)) as client:
            link, head = client.connect(f"{HOST}:443")
            link.close()
            assert head.startswith(b"HTTP/1.1 502 ")
            assert client.only().reason is reason
    released.set()
    while not late:
        time.sleep(0.01)
    late[0].settimeout(20)
    assert late[0].recv(1) == b"", "a connection that came too late is closed"
    late[0].close()


def test_what_is_under_way_when_every_client_is_dead_ends_at_once(echo: Map) -> None:
    released = threading.Event()
    with proxy(
        DECLARED, Outside(_never(released), echo.dial, nothing), ConnectionBounds(dial=3600.0)
    ) as client:
        link = client.dial()
        link.sendall(b"CONNECT www.example.org:443 HTTP/1.1\r\n\r\n")
        link.close()
        assert client.only().reason is Reason.LEFT
    released.set()


def test_a_server_that_breaks_off_ends_the_connection() -> None:
    def serve(client: socket.socket) -> None:
        client.recv(10)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with serving(serve) as port, _mapped(port) as found, proxy(DECLARED, found.outside) as client:
        link, _ = client.connect(f"{HOST}:443")
        link.sendall(client_hello(HOST))
        with contextlib.suppress(ConnectionError):
            assert link.recv(1) == b""
        link.close()
        assert client.only().reason is Reason.DONE


# ── who serves a host itself ─────────────────────────────────────────────────


class Answers:
    """An interceptor that answers by itself, and asks the real host nothing or something."""

    def __init__(self, dials: bool = False, fails: Exception | None = None) -> None:
        self.dials, self.fails = dials, fails

    def serves(self, target: Target) -> bool:
        return target == Target(HOST, 443)

    def serve(
        self,
        client: socket.socket,
        dial: Callable[[], socket.socket],
        target: Target,
        meter: Meter,
    ) -> Served:
        if self.fails is not None:
            raise self.fails
        said = client.recv(100)
        if self.dials:
            dial().sendall(said)
        client.sendall(b"from inside")
        meter.up(len(said))
        return Served(len(said), 11, (Request("POST", target.host, "/v1", 200, len(said), 11),))


def test_a_host_with_an_interceptor_is_judged_like_any_and_then_served_by_it(echo: Map) -> None:
    with proxy(DECLARED, echo.outside, interceptor=Answers()) as client:
        link, head = client.connect(f"{HOST}:443")
        link.sendall(b"not even TLS")
        assert link.recv(100) == b"from inside"
        link.close()
        one = client.only()
        echo.names[HOST] = ("10.0.0.1",)
        refused, _ = client.connect(f"{HOST}:443")
        refused.close()
        assert client.only().reason is Reason.NOT_PUBLIC
    assert head.startswith(b"HTTP/1.1 200 ")
    assert one.requests == (Request("POST", HOST, "/v1", 200, 12, 11),)
    assert (one.verdict, one.bytes_up, one.bytes_down) == (Verdict.ALLOWED, 12, 11)
    assert echo.dialled == [], "it did not ask"


def test_an_interceptor_dials_exactly_the_address_that_was_judged() -> None:
    got = threading.Event()
    with (
        serving(lambda server: got.set() if server.recv(12) == b"hello there!" else None) as port,
        _mapped(port) as found,
        proxy(DECLARED, found.outside, interceptor=Answers(dials=True)) as client,
    ):
        link, _ = client.connect(f"{HOST}:443")
        link.sendall(b"hello there!")
        assert link.recv(100) == b"from inside"
        link.close()
        assert got.wait(20)
        one = client.only()
    assert found.dialled == [(one.address, 443)]


def test_an_interceptor_that_fails_ends_its_connection_and_a_defect_is_told(echo: Map) -> None:
    def tried() -> Client:
        link, _ = client.connect(f"{HOST}:443")
        assert link.recv(1) == b""
        link.close()
        return client

    with proxy(DECLARED, echo.outside, interceptor=Answers(fails=OSError("broke off"))) as client:
        assert tried().only().reason is Reason.DONE
    failing = Answers(fails=KeyError("defect"))
    with (
        proxy(DECLARED, echo.outside, interceptor=failing) as client,
        pytest.raises(Defective, match="KeyError: 'defect'"),
    ):
        tried().only()
