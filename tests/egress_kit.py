"""TLS servers on loopback that stand in for public hosts, and the map that leads there.

The map replaces resolver and dialler, in Python and only there. A name gets a public address, which
is judged like any other, and the dialler leads that address to a server of ours: no rule of the
product is switched off.
"""

from __future__ import annotations

import contextlib
import datetime
import http.server
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from factory.egress.connection import Connection, ConnectionBounds
from factory.egress.proxy import EgressProxy
from factory.egress.reach import Interceptor, Outside, Reach
from factory.egress.rules import Network

_DAY = datetime.timedelta(days=1)
# Public in the eyes of the rules, and nobody here ever sends a byte there: the dialler of these
# tests leads elsewhere.
ADDRESSES = tuple(f"9.9.9.{number}" for number in range(1, 250))


class Authority:
    """A certificate authority made for one test session."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name(
            [x509.NameAttribute(NameOID.COMMON_NAME, "an authority of these tests")]
        )
        made = self._builder(self._name, self._key.public_key()).add_extension(
            x509.BasicConstraints(True, None), True
        )
        self._certificate = made.sign(self._key, hashes.SHA256())
        self.pem = self._certificate.public_bytes(serialization.Encoding.PEM)

    def context(self, folder: Path, *hosts: str) -> ssl.SSLContext:
        """The server's side of TLS for some hosts."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hosts[0])])
        names = x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts])
        made = (
            self._builder(name, key.public_key())
            .add_extension(names, False)
            .sign(self._key, hashes.SHA256())
        )
        place = folder / f"{hosts[0]}.pem"
        place.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            + made.public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(place)
        return context

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey
    ) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder().subject_name(subject).issuer_name(self._name).public_key(key)
        )
        builder = builder.serial_number(x509.random_serial_number())
        return builder.not_valid_before(now - _DAY).not_valid_after(now + 30 * _DAY)


@dataclass
class Map:
    """Names to addresses, and addresses to ports of this host's loopback. Counts what was asked."""

    names: dict[str, tuple[str, ...]] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)
    resolved: list[str] = field(default_factory=list)
    dialled: list[tuple[str, int]] = field(default_factory=list)
    near: tuple[Network, ...] = ()

    def add(self, host: str, port: int) -> None:
        address = ADDRESSES[len(self.names)]
        self.names[host] = (address,)
        self.ports[address] = port

    def resolve(self, name: str, _port: int) -> tuple[str, ...]:
        host = name.removesuffix(".")
        self.resolved.append(host)
        if host not in self.names:
            raise OSError("no such name")
        return self.names[host]

    def dial(self, address: str, port: int, seconds: float) -> socket.socket:
        self.dialled.append((address, port))
        return socket.create_connection(("127.0.0.1", self.ports[address]), seconds)

    @property
    def outside(self) -> Outside:
        return Outside(self.resolve, self.dial, lambda: self.near)


@contextlib.contextmanager
def serving(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server on loopback that gives each client to `serve`, in a thread; its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def take() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=one, args=(client,), daemon=True).start()

        def one(client: socket.socket) -> None:
            with client, contextlib.suppress(OSError):
                serve(client)

        thread = threading.Thread(target=take, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


@contextlib.contextmanager
def http_plain(folder: Path) -> Iterator[int]:
    """Files of a folder in the clear on loopback; its port."""

    def make(*words: object) -> _Quiet:
        return _Quiet(*words, directory=str(folder))  # type: ignore[arg-type]

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), make) as server:
        thread = threading.Thread(
            target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_words: object) -> None:
        """Nothing on the terminal of the tests."""


@contextlib.contextmanager
def https(folder: Path, context: ssl.SSLContext) -> Iterator[int]:
    """Files of a folder over HTTPS on loopback; its port."""

    def make(*words: object) -> _Quiet:
        return _Quiet(*words, directory=str(folder))  # type: ignore[arg-type]

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), make) as server:
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


@dataclass
class Client:
    """A proxy on this host's loopback, as a stage would see it."""

    proxy: EgressProxy
    port: int

    def dial(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), 20)

    def ask(self, content: bytes) -> tuple[socket.socket, bytes]:
        """Send something; the connection and the head of the answer."""
        link = self.dial()
        with contextlib.suppress(
            ConnectionError
        ):  # who is turned away unheard may be so before it has spoken
            link.sendall(content)
        return link, head_of(link)

    def connect(self, target: str) -> tuple[socket.socket, bytes]:
        return self.ask(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())

    def only(self) -> Connection:
        """The one connection that there was."""
        (found,) = self.proxy.connections()
        return found


def head_of(link: socket.socket) -> bytes:
    """The head of an answer, or what came before the end."""
    read = b""
    while b"\r\n\r\n" not in read:
        try:
            chunk = link.recv(1)
        except ConnectionError:
            break
        if not chunk:
            break
        read += chunk
    return read


@contextlib.contextmanager
def proxy(
    hosts: tuple[str, ...],
    outside: Outside,
    bounds: ConnectionBounds | None = None,
    interceptor: Interceptor | None = None,
    **more: Any,
) -> Iterator[Client]:
    """A proxy with a listener of this host."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    port = listener.getsockname()[1]
    reach = Reach(hosts, interceptor=interceptor, bounds=bounds or ConnectionBounds(), **more)
    made = EgressProxy(reach, outside)
    made.serve(listener)
    try:
        yield Client(made, port)
    finally:
        made.close()
